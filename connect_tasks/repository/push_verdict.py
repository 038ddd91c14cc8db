"""What `git push --porcelain` said (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ..process import Completed
from .git_messages import own_words


class Verdict(Enum):
    """What became of one ref."""

    LANDED = "landed"  # the remote has it
    RACE_LOST = "race lost"  # the branch moved on
    REFUSED = "refused"  # a hook or a rule of the remote, or a hook of ours: trying again changes nothing
    SHUT = "shut"  # no right to be there, or no such place
    DOUBT = "doubt"  # the exchange broke off: it may have landed


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The verdict on one ref, and the words that came with it."""

    verdict: Verdict
    words: str
    reason: str = ""  # git's own, as in "[rejected] (fetch first)"
    remote_said: str = ""

    @property
    def up_to_date(self) -> bool:
        """The remote has had it before."""
        return self.reason == "[up to date]"

    @property
    def left_behind(self) -> str | None:
        """The commit (or how it begins) that the remote's branch was at, where it went on from there."""
        moved = _MOVED.fullmatch(self.reason)
        return moved[1] if moved else None


#: Reasons in brackets that mean: somebody was faster. The last ones come from the server itself, when the race is lost
#: after it compared.
_RACE = re.compile(
    r"fetch first|non-fast-forward|stale info|remote ref updated|atomic"
    r"|failed to update ref|failed to lock|cannot lock ref|incorrect old value"
)
_TRANSIENT = re.compile(
    r"[Tt]imed out|time-?out|[Cc]onnection (reset|refused|closed|was)|hung up|early EOF|RPC failed|Operation too slow"
    r"|returned error: (5\d\d|408|429)|unexpected disconnect|Recv failure|Send failure|Empty reply|Broken pipe"
    r"|[Cc]ould not resolve|transfer closed|remote unpack failed: unable"
)
#: A fast-forward, in git's words.
_MOVED = re.compile(r"([0-9a-f]{7,64})\.\.[0-9a-f]{7,64}")
_LOCAL_HOOK = re.compile(r"^error: failed to push some refs")


def read_push(done: Completed, ref: str) -> Answer:
    """The verdict on `ref` (full name). The exit status alone says too little: it is 1 for a refused ref as for an
    unwritable tracking ref."""
    words = own_words(done.error_text)
    for line in done.text.splitlines():
        flag, _, rest = line.partition("\t")
        refs, _, summary = rest.partition("\t")
        if refs.rpartition(":")[2] != ref:
            continue
        said = remote_words(done.error_text)
        if flag in {" ", "*", "=", "+"}:
            return Answer(verdict=Verdict.LANDED, words=summary, reason=summary, remote_said=said)
        if flag == "!":
            verdict = Verdict.RACE_LOST if _RACE.search(summary) else Verdict.REFUSED
            if "failed to report status" in summary:
                verdict = Verdict.DOUBT
            return Answer(
                verdict=verdict, words="; ".join(filter(None, (summary, said))), reason=summary, remote_said=said
            )
    if _TRANSIENT.search(words):
        return Answer(verdict=Verdict.DOUBT, words=words)
    if _LOCAL_HOOK.search(words.rpartition("; ")[2]) and "fatal:" not in words:
        return Answer(verdict=Verdict.REFUSED, words=f"the pre-push hook: {words}")
    return Answer(verdict=Verdict.SHUT if done.status != 0 else Verdict.DOUBT, words=words or f"status {done.status}")


def remote_words(stderr: str) -> str:
    """Those words that the remote itself spoke, as one line."""
    spoken = (
        part.removeprefix("remote:").strip() for part in own_words(stderr).split("; ") if part.startswith("remote:")
    )
    return "; ".join(part for part in spoken if part)
