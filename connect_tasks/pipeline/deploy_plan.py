"""From the server's facts to the server's part of the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..configuration import App
from ..server.connect import mentions
from ..server.server_drift import VANITY, VARIABLE, Difference, declared_fields, vanity_path
from ..server.server_survey import ServerFacts
from .actions import (
    Action,
    Activate,
    CreateContent,
    LinkRepository,
    PrepareBundle,
    SendVariables,
    SetVanity,
    StopPolling,
    UpdateContent,
    VerifyLive,
    VisitDraft,
)


def plan_polling(app: App, facts: ServerFacts) -> tuple[Action, ...]:
    """What must be done before the push, so that it does not go live by itself."""
    if facts.repository is not None and facts.repository.polling and not app.polling:
        return (StopPolling(settings=facts.repository),)
    return ()


def plan_deployment(
    app: App,
    facts: ServerFacts,
    *,
    commit: str | None,
    in_sync: bool,
    unverified: bool = False,
    differences: Sequence[Difference] = (),
) -> tuple[Action, ...]:
    """What is left to do on the server.

    `commit` is what shall be live, None while it is not made yet; `in_sync`: the live commit holds the tree that ships;
    `unverified`: it went live in a run that did not come to its end; `differences`: the settings to mend. In sync and
    nothing to mend gives an empty plan.
    """
    settings = tuple(_settings(app, facts, differences))
    relinked = facts.repository is None or any(difference.is_link for difference in differences)
    if in_sync and not relinked:
        missing = tuple(name for name in app.env if any(one.of == f"{VARIABLE} {name}" for one in differences))
        return (*settings, *_variables(missing), *([VerifyLive()] if unverified else []))
    if app.polling:
        return (*settings, *_variables(app.env), Activate(), VerifyLive())
    ready = mentions(facts.bundles, commit) if commit else None
    return (
        *settings,
        *_variables(app.env),
        PrepareBundle(adopt=ready.id if ready else None),
        VisitDraft(),
        Activate(),
        VerifyLive(),
    )


def _settings(app: App, facts: ServerFacts, differences: Sequence[Difference]) -> Iterator[Action]:
    if facts.content is None:
        yield CreateContent(name=facts.wanted_name, fields=declared_fields(app))
    fields = {one.of: one.wanted for one in differences if one.of in declared_fields(app)}
    if fields:
        yield UpdateContent(fields=fields)
    found = facts.repository
    relinked = found is None or any(difference.is_link for difference in differences)
    if relinked or (found is not None and app.polling and not found.polling):
        yield LinkRepository(settings=facts.wanted_link, exists=found is not None)
    if app.vanity and (facts.content is None or any(one.of == VANITY for one in differences)):
        yield SetVanity(path=vanity_path(app.vanity))


def _variables(names: tuple[str, ...]) -> tuple[Action, ...]:
    return (SendVariables(names=names),) if names else ()
