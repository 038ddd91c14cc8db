"""The bundles that the server has kept, and which of them a rollback means. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import NothingToReturnTo
from .connect import Bundle

#: Kept bundles that are named where another one was asked for.
SHOWN = 8
#: The least of a commit that names one; fewer digits count versions back.
SHORTEST = 4
#: A name for a commit -> the commit, None when git knows none by it.
Resolve = Callable[[str], "str | None"]
_AGAIN = "name one of these, or check that commit out and release it"


@dataclass(frozen=True, kw_only=True)
class KeptBundle:
    """A bundle that could be activated; `version` tells apart what two bundles hold: the id of the app's tree where the
    commit is at hand, else the commit."""

    bundle: Bundle
    version: str | None

    @property
    def id(self) -> str:
        return self.bundle.id

    @property
    def commit(self) -> str | None:
        return self.bundle.source_commit

    def __str__(self) -> str:
        made_of = f"commit {self.commit[:10]}" if self.commit else "no commit"
        return f"bundle {self.id} ({', '.join(filter(None, (made_of, self.bundle.created)))})"


def earlier_versions(kept: Sequence[KeptBundle], live: KeptBundle) -> tuple[KeptBundle, ...]:
    """What was there before the live bundle, the latest first: of each version its newest bundle.

    `kept` is all bundles, newest first. One that does not name its commit proves nothing, and is no version.
    """
    versions: dict[str | None, KeptBundle] = {live.version: live}
    for one in kept[kept.index(live) + 1 :]:
        if one.commit is not None:
            versions.setdefault(one.version, one)
    return tuple(one for one in versions.values() if one is not live)


def choose(kept: Sequence[KeptBundle], live: KeptBundle, wanted: str, *, resolve: Resolve) -> KeptBundle:
    """The bundle that `--to` names: a bundle's id, a number of versions back, or a commit.

    A number that is the id of a bundle is that bundle: ids are unique, and on a server of some age far larger than
    anybody counts. `resolve` knows git's other names for a commit. Raises `NothingToReturnTo`.
    """
    by_id = next((one for one in kept if one.id == wanted), None)
    if by_id is not None:
        return _with_commit(by_id)
    if wanted.isascii() and wanted.isdigit() and len(wanted) < SHORTEST:
        return _versions_back(earlier_versions(kept, live), live, int(wanted))
    known = resolve(wanted)
    name = known or wanted.lower()
    found = [one for one in kept if len(name) >= SHORTEST and (one.commit or "").startswith(name)]
    if len({one.commit for one in found}) == 1:
        return found[0]
    listed = ", ".join(map(str, kept[:SHOWN])) or "none"
    why = "could be several commits" if found else "is no bundle that the server has kept, nor the commit of one"
    raise NothingToReturnTo(f"{wanted} {why}; kept: {listed}", hint=_AGAIN)


def _versions_back(earlier: Sequence[KeptBundle], live: KeptBundle, steps: int) -> KeptBundle:
    if not 1 <= steps <= len(earlier):
        count = f"{len(earlier)} version{'s' if len(earlier) != 1 else ''}" if earlier else "no version"
        raise NothingToReturnTo(
            f"the server has kept {count} from before bundle {live.id}, which is live, and no bundle {steps}",
            hint="git revert the change, and release that",
        )
    return earlier[steps - 1]


def _with_commit(one: KeptBundle) -> KeptBundle:
    if one.commit is None:
        raise NothingToReturnTo(
            f"bundle {one.id} does not say which commit it was made of, so nothing could be proved",
            hint="activate it in Connect's dashboard",
        )
    return one
