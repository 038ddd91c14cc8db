"""From the server's facts to the server's part of the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator

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
from .configuration import App
from .connect import mentions
from .server_survey import ServerFacts, same_link


def plan_polling(app: App, facts: ServerFacts) -> tuple[Action, ...]:
    """What must be done before the push, so that it does not go live by itself."""
    if facts.repository is not None and facts.repository.polling and not app.polling:
        return (StopPolling(settings=facts.repository),)
    return ()


def plan_deployment(
    app: App, facts: ServerFacts, *, commit: str | None, in_sync: bool, unverified: bool = False
) -> tuple[Action, ...]:
    """What is left to do on the server.

    `commit` is what shall be live, None while it is not made yet; `in_sync`: the live commit holds the tree that ships;
    `unverified`: it went live in a run that did not come to its end. In sync and nothing to change gives an empty plan.
    """
    settings = tuple(_settings(app, facts))
    relinked = facts.repository is None or not same_link(facts.repository, facts.wanted_link)
    if in_sync and not relinked:
        missing = tuple(name for name in app.env if name not in facts.variables)
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


def _settings(app: App, facts: ServerFacts) -> Iterator[Action]:
    declared = declared_fields(app)
    if facts.content is None:
        yield CreateContent(name=facts.wanted_name, fields=declared)
    else:
        changed = {key: value for key, value in declared.items() if facts.content.fields.get(key) != value}
        if changed:
            yield UpdateContent(fields=changed)
    found = facts.repository
    if found is None or not same_link(found, facts.wanted_link) or (app.polling and not found.polling):
        yield LinkRepository(settings=facts.wanted_link, exists=found is not None)
    if app.vanity and facts.vanity != _vanity_path(app.vanity):
        yield SetVanity(path=app.vanity)


def declared_fields(app: App) -> dict[str, object]:
    """The settings of the content item that the configuration declares, by the API's names."""
    declared: dict[str, object] = {
        "title": app.title,
        "description": app.description,
        "access_type": app.access_type,
    }
    return {key: value for key, value in declared.items() if value is not None} | dict(app.process)


def _variables(names: tuple[str, ...]) -> tuple[Action, ...]:
    return (SendVariables(names=names),) if names else ()


def _vanity_path(path: str) -> str:
    return f"/{path.strip('/')}/"
