"""Push a commit until the remote has it, refuses it, or the time is up.

The verdict is the remote's: read ref by ref from `push --porcelain`, and asked for with `ls-remote` after any doubt,
since a push that was killed here may still be accepted there. What to do about a lost race is the caller's: `remake`
answers with a commit on top of the new tip.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import CommandTimedOut, PushRejected, RemoteUnreachable, TagTaken
from .git import Git
from .git_messages import own_words, unreachable_because
from .push_verdict import Answer, Verdict, read_push
from .release_tag import ReleaseTag, drop_tag, set_tag
from .repository_lock import inside_our_lock

#: Seconds for the question that follows a doubt, beyond the limit of the push itself.
LAST_QUESTION = 15.0


@dataclass(frozen=True, kw_only=True)
class Landed:
    """The commit that the branch holds, what the remote said beside it, and what was odd on the way."""

    commit: str
    remote_said: str = ""
    note: str | None = None


class _Again(Exception):
    """Not yet: the branch moved, or the exchange broke off."""


@dataclass(kw_only=True)
class PushRounds:
    """One push in its rounds; `commit` changes when it is made anew on another tip.

    `remake(tip, seconds left)` raises what is to be told when it can't be, and answers `tip` itself when that holds the
    same already. `lease`: None pushes plainly and never forces; else the branch is ours alone and may be overwritten
    where it still is at that commit ("" where it does not exist).
    """

    git: Git
    remote: str
    branch: str
    commit: str
    timeout: float
    remake: Callable[[str, float], str]
    lease: str | None = None
    tag: ReleaseTag | None = None
    verify: bool = True
    last: Answer = field(default=Answer(verdict=Verdict.DOUBT, words="not tried"))
    deadline: float = 0.0

    def run(self) -> Landed:
        """Raises PushRejected, TagTaken, RemoteUnreachable, and what `remake` raises."""
        from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

        self.deadline = time.monotonic() + self.timeout
        rounds = Retrying(
            stop=stop_after_delay(self.timeout),
            wait=wait_random_exponential(multiplier=0.05, max=3.0),
            retry=retry_if_exception_type(_Again),
        )
        try:
            return rounds(self._round)
        except RetryError:
            self._drop_tag()
            raise self._out_of_time() from None
        except BaseException:
            self._drop_tag()
            raise

    @property
    def left(self) -> float:
        return max(1.0, self.deadline - time.monotonic())

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    def _round(self) -> Landed:
        self.last = self._push()
        if self.last.verdict is Verdict.LANDED:
            return Landed(commit=self.commit, remote_said=self.last.remote_said)
        if self.last.verdict is Verdict.RACE_LOST:
            return self._after_a_lost_race()
        return self._after_doubt()

    def _push(self) -> Answer:
        if self.tag is not None:
            set_tag(self.git, self.tag, self.commit)
            answer = self._push_refs(f"{self.commit}:{self.ref}", self.tag.refspec, "--atomic")
            if "does not support --atomic" not in answer.words:
                return answer
        answer = self._push_refs(f"{self.commit}:{self.ref}")
        if (
            self.tag is not None and answer.verdict is Verdict.LANDED
        ):  # without --atomic: the branch first, then the tag
            return self._push_refs(f"{self.commit}:{self.ref}", self.tag.refspec)
        return answer

    def _push_refs(self, *arguments: str) -> Answer:
        refspecs = [argument for argument in arguments if not argument.startswith("--")]
        options = ["--porcelain", "--no-follow-tags", "--no-recurse-submodules"]
        options += [argument for argument in arguments if argument.startswith("--")]
        if self.lease is not None:
            options.append(f"--force-with-lease={self.ref}:{self.lease}")
        if not self.verify:
            options.append("--no-verify")
        inside = inside_our_lock(self.git)  # for the pre-push hook
        try:
            done = self.git.run_remote("push", *options, "--", self.remote, *refspecs, timeout=self.left, env=inside)
        except CommandTimedOut as error:
            return Answer(verdict=Verdict.DOUBT, words=error.message)
        if self.tag is not None and len(refspecs) > 1:
            tagged = read_push(done, self.tag.ref)
            if tagged.verdict is Verdict.REFUSED and "atomic" not in tagged.reason:
                if "already exists" in tagged.reason:
                    raise TagTaken(
                        f"{self.remote} has another tag {self.tag.name}", hint=f"git fetch {self.remote} --tags"
                    )
                return tagged
        return read_push(done, self.ref)

    def _after_a_lost_race(self) -> Landed:
        try:
            tip = self.git.fetch(self.remote, self.branch, timeout=self.left)
        except (RemoteUnreachable, CommandTimedOut):
            raise _Again from None
        if tip is None:
            self.lease = None if self.lease is None else ""
            raise _Again  # it was deleted meanwhile: the next push makes it
        if tip == self.commit or (self.lease is None and self.git.is_ancestor(self.commit, tip)):
            return Landed(commit=self.commit)
        self.commit = self.remake(tip, self.left)
        if self.commit == tip:
            return Landed(commit=tip, note="the remote holds the same files already")
        self.lease = None if self.lease is None else tip
        raise _Again

    def _after_doubt(self) -> Landed:
        """Ask the remote, whatever the push said last."""
        in_doubt = self.last.verdict is Verdict.DOUBT
        try:
            if self._is_there():
                note = f"the push ended with an error ({self.last.words}), but the remote has the commit"
                return Landed(commit=self.commit, note=note)
        except (RemoteUnreachable, CommandTimedOut):
            if in_doubt:
                raise _Again from None
        if in_doubt:
            raise _Again
        if self.last.verdict is Verdict.SHUT:
            raise unreachable_because(self.remote, self.last.words)
        raise PushRejected(
            f"{self.remote} refused {self.commit[:10]} on {self.branch}: {self.last.words}",
            where=own_words(self.git.remote_url(self.remote) or self.remote),
            hint="nox -s release -- --pull-request"
            if self.lease is None
            else "mend what it names, then run the command again",
        )

    def _is_there(self) -> bool:
        tip = self.git.remote_tip(self.remote, self.branch, timeout=min(self.left, LAST_QUESTION) + 1)
        if tip is None or tip == self.commit:
            return tip is not None
        fetched = self.git.fetch(self.remote, self.branch, timeout=self.left)
        return self.lease is None and fetched is not None and self.git.is_ancestor(self.commit, fetched)

    def _drop_tag(self) -> None:
        if self.tag is not None:
            drop_tag(self.git, self.tag)

    def _out_of_time(self) -> RemoteUnreachable:
        return RemoteUnreachable(
            f"pushing {self.commit[:10]} to {self.remote} did not succeed within {self.timeout:g} s (push_timeout): "
            f"{self.last.words}; the commit is kept",
            hint=f"git ls-remote {self.remote} {self.branch}, then run the same command again",
        )
