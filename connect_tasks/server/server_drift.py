"""What the server holds otherwise than the configuration says, and who made it so. Pure.

The configuration converges: what it says newly, or says otherwise than before, is set with the next release. What
somebody changed on the server by hand is not overwritten in silence: it is shown, and left unless `--force` is said.
Nobody keeps a state file to tell the two apart: the repository knows how the app was configured at the commit that is
live, and at each one since. A value that none of those says was set by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..configuration import App
from .connect import Bundle, same_repository
from .content_lookup import same_directory
from .server_survey import ServerFacts

#: What a difference is about, besides the fields of the content item.
LINK = ("repository", "branch", "directory")
VANITY, VARIABLE = "vanity", "variable"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One setting of the content item: as the server has it, as it is declared. `by_hand`: not by any release of ours.

    `of` names the API's field, or is one of `LINK`, or "vanity", or "variable NAME".
    """

    of: str
    found: object
    wanted: object
    by_hand: bool

    @property
    def is_link(self) -> bool:
        return self.of in LINK

    def __str__(self) -> str:
        found = "absent" if self.found is None else repr(self.found)
        by_hand = " (changed by hand)" if self.by_hand else ""
        if self.of.startswith(VARIABLE):
            return f"{self.of} is {found} on the server{by_hand}"  # its value is nobody's to print
        return f"{self.of} is {found} on the server, not {self.wanted!r}{by_hand}"


def differences(app: App, facts: ServerFacts, configured: Sequence[App] = ()) -> tuple[Difference, ...]:
    """All of them, none for an item that does not exist yet.

    `configured`: the app as it was configured at the live commit and since, oldest first; empty when that is unknown.
    """
    if facts.content is None:
        return ()
    return (
        *field_differences(app, facts.content.fields, facts.vanity, configured),
        *_of_link(app, facts, configured),
        *_of_polling(app, facts),
        *_of_variables(app, facts, configured),
    )


def declared_fields(app: App) -> dict[str, object]:
    """The settings of the content item that the configuration declares, by the API's names."""
    declared: dict[str, object] = {
        "title": app.title,
        "description": app.description,
        "access_type": app.access_type,
    }
    return {key: value for key, value in declared.items() if value is not None} | dict(app.process)


def vanity_path(path: str) -> str:
    """As the server stores it."""
    return f"/{path.strip('/')}/"


def field_differences(
    app: App, held: Mapping[str, object], vanity: str | None, configured: Sequence[App] = ()
) -> Iterator[Difference]:
    """Of what the server says of the item itself (`held`, by the API's names), and of its own path."""
    for field, wanted in declared_fields(app).items():
        earlier = [declared_fields(then).get(field) for then in configured]
        if held.get(field) != wanted:
            yield Difference(of=field, found=held.get(field), wanted=wanted, by_hand=_by_hand(held.get(field), earlier))
    if app.vanity is not None:
        wanted = vanity_path(app.vanity)
        earlier = [None if then.vanity is None else vanity_path(then.vanity) for then in configured]
        if vanity != wanted:
            yield Difference(of=VANITY, found=vanity, wanted=wanted, by_hand=_by_hand(vanity, earlier))


def _by_hand(found: object, earlier: Sequence[object]) -> bool:
    """It was declared when the live commit was released, and neither then nor since as it is now."""
    return bool(earlier) and earlier[0] is not None and found not in earlier


def _of_link(app: App, facts: ServerFacts, configured: Sequence[App]) -> Iterator[Difference]:
    """Where the item is linked to. It decides what is deployed, so here only a changed configuration is no drift."""
    found, wanted = facts.repository, facts.wanted_link
    if found is None:
        return
    same: dict[str, Callable[[str, str], bool]] = {
        "repository": same_repository,
        "branch": str.__eq__,
        "directory": same_directory,
    }
    for field in LINK:
        held, ours = getattr(found, field), getattr(wanted, field)
        if same[field](held, ours):
            continue
        earlier = [_declared_link(then)[field] for then in configured]
        was_ours = any(value is not None and same[field](held, value) for value in earlier)
        newly = bool(earlier) and earlier[0] is None and _declared_link(app)[field] is not None
        yield Difference(of=field, found=held, wanted=ours, by_hand=not (was_ours or newly))


def _of_polling(app: App, facts: ServerFacts) -> Iterator[Difference]:
    """Whoever switched it on or off: it decides whether a push goes live by itself, so each release sets it."""
    if facts.repository is not None and facts.repository.polling != app.polling:
        yield Difference(of="polling", found=facts.repository.polling, wanted=app.polling, by_hand=False)


def _declared_link(app: App) -> dict[str, str | None]:
    return {"repository": app.repository, "branch": app.deploy_branch or app.branch, "directory": app.path}


def _of_variables(app: App, facts: ServerFacts, configured: Sequence[App]) -> Iterator[Difference]:
    """By name: the server tells no values."""
    for name in app.env:
        if name not in facts.variables:
            removed = bool(configured) and name in configured[0].env
            yield Difference(of=f"{VARIABLE} {name}", found=None, wanted=name, by_hand=removed)


# another bundle -------------------------------------------------------------------------------------------------------


def activated_instead(
    facts: ServerFacts,
    *,
    is_ours: Callable[[Bundle], bool],
    in_history: Callable[[str | None], bool],
    rolled_back: str | None = None,
) -> Bundle | None:
    """The bundle of what we would ship that was live, or ready, before somebody activated another one; None as a rule.

    The server keeps no list of activations, but two times: when a bundle was made, and when the content was last
    deployed. A bundle of ours that is older than the last deploy, and newer than the bundle that is live, was left by a
    rollback or by hand (a run that was killed before it activated leaves one that is newer than the last deploy). One
    that is older than the live bundle was replaced by a release, as long as the live commit is in our history.

    `is_ours`: does a bundle hold what we would ship? `in_history`: is a commit in the history of our branch?
    `rolled_back`: the bundle that a rollback of ours in this clone left.
    """
    live = facts.active
    if live is None:
        return None
    foreign = not in_history(live.source_commit)
    for bundle in facts.bundles if foreign else facts.bundles[: facts.bundles.index(live)]:
        if bundle.id != live.id and is_ours(bundle):
            left = bundle.id == rolled_back or _before(bundle.created, last_deployed(facts))
            return bundle if left else None
    return None


def last_deployed(facts: ServerFacts) -> str | None:
    value = facts.content.fields.get("last_deployed_time") if facts.content else None
    return value if isinstance(value, str) else None


def _before(earlier: str | None, later: str | None) -> bool:
    first, second = _moment(earlier), _moment(later)
    return first is not None and second is not None and first < second


def _moment(text: str | None) -> datetime | None:
    """RFC 3339; `Z` is unknown to Python 3.10's reader."""
    try:
        moment = datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
