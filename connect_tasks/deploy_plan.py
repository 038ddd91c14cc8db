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
    UpdateContent,
    VerifyLive,
    VisitDraft,
)
from .configuration import App
from .server_survey import ServerFacts, same_link


def plan_deployment(app: App, facts: ServerFacts, *, commit: str | None, in_sync: bool) -> tuple[Action, ...]:
    """What is left to do on the server.

    `commit` is what shall be live, None while it is not made yet; `in_sync` says whether the app's tree of the live
    commit is already the one that ships. In sync and nothing to change gives an empty plan.
    """
    settings = tuple(_settings(app, facts))
    relinked = any(isinstance(action, LinkRepository) and not _only_polling(facts) for action in settings)
    if in_sync and not relinked:
        missing = tuple(name for name in app.env if name not in facts.variables)
        return (*settings, *_variables(missing))
    ready = next((bundle for bundle in facts.bundles if commit and bundle.source_commit == commit), None)
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
    if facts.repository is None:
        yield LinkRepository(settings=facts.wanted_link, exists=False)
    elif not same_link(facts.repository, facts.wanted_link) or facts.repository.polling != app.polling:
        yield LinkRepository(settings=facts.wanted_link, exists=True)
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


def _only_polling(facts: ServerFacts) -> bool:
    return facts.repository is not None and same_link(facts.repository, facts.wanted_link)


def _variables(names: tuple[str, ...]) -> tuple[Action, ...]:
    return (SendVariables(names=names),) if names else ()


def _vanity_path(path: str) -> str:
    return f"/{path.strip('/')}/"
