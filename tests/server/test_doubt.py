"""What may be done again, and what is looked for before: the rules, with calls that fail as they are told to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connect_tasks.errors import KeyRejected, Problem, ServerRefused, ServerUnreachable
from connect_tasks.server import doubt
from connect_tasks.server.doubt import is_doubtful, is_passing, looked_for, patiently, settled

LOST = ServerUnreachable("no answer")
NOT_SENT = ServerUnreachable("unknown CA", passing=False)
GARBAGE = ServerRefused("not JSON")


def status(number: int, retry_after: float | None = None) -> ServerRefused:
    return ServerRefused("an answer", status=number, retry_after=retry_after)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made, without making them."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    monkeypatch.setattr("tenacity.nap.time.sleep", made.append)
    monkeypatch.setattr(doubt, "PATIENCE", 0.0)
    return made


def script(*steps: object) -> Callable[[], object]:
    """A call that raises or returns one step after another."""
    left = list(steps)

    def call() -> object:
        step = left.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    return call


@pytest.mark.parametrize(
    ("problem", "passing", "doubtful"),
    [
        (LOST, True, True),
        (NOT_SENT, False, False),
        (GARBAGE, False, True),
        (status(400), False, False),
        (status(404), False, False),
        (status(409), False, False),
        (status(302), False, False),
        (status(429), True, True),
        (status(500), True, True),
        (status(503), True, True),
        (KeyRejected("401"), False, False),
        (ValueError("a fault of ours"), False, False),
    ],
)
def test_kinds_of_failure(problem: Problem, passing: bool, doubtful: bool) -> None:
    assert (is_passing(problem), is_doubtful(problem)) == (passing, doubtful)


def test_reads_are_repeated_with_growing_pauses(pauses: list[float]) -> None:
    assert patiently(script(LOST, status(502), LOST, "answer")) == "answer"
    assert [int(pause) for pause in pauses] == [0, 1, 2]  # 0.5, 1 and 2 s, and up to half a second more
    with pytest.raises(ServerRefused):
        patiently(script(LOST, LOST, LOST, status(503), "never"))
    with pytest.raises(KeyRejected):
        patiently(script(KeyRejected("401"), "never"))


def test_retry_after_is_honoured_as_long_as_it_is_bearable(pauses: list[float]) -> None:
    assert patiently(script(status(429, 7.0), "answer")) == "answer"
    assert pauses == [7.0]
    with pytest.raises(ServerRefused) as caught:
        patiently(script(status(429, 3600.0), "never"))
    assert caught.value.status == 429
    assert pauses == [7.0]


def test_a_write_is_looked_for_before_it_is_repeated(pauses: list[float]) -> None:
    assert settled(script("done"), script()) == "done"  # type: ignore[type-var]
    assert settled(script(LOST), script("found")) == "found"
    assert settled(script(GARBAGE), script("found")) == "found"
    assert settled(script(LOST, "done"), script(None)) == "done"
    assert settled(script(status(429, 9.0), "done"), script(None)) == "done"
    assert pauses[-1] == 9.0


def test_a_refused_write_is_not_repeated(pauses: list[float]) -> None:
    with pytest.raises(ServerRefused):
        settled(script(status(409), "never"), script("never looked for"))
    with pytest.raises(ServerUnreachable):
        settled(script(NOT_SENT, "never"), script("never looked for"))
    assert pauses == []


def test_a_write_is_not_repeated_in_the_dark(pauses: list[float]) -> None:
    """Nobody could look whether it happened: then it must not be done again."""
    with pytest.raises(ServerUnreachable) as caught:
        settled(script(LOST, "never"), script(status(503)))
    assert caught.value is LOST
    with pytest.raises(ServerRefused):  # three times not there
        settled(script(LOST, LOST, status(500), "never"), script(None, None, None))


def test_looking_goes_on_while_there_is_time(pauses: list[float]) -> None:
    assert looked_for(script(None, status(503), None, "found"), patience=60.0) == "found"
    assert pauses == [doubt.LOOK_AGAIN] * 3
    assert looked_for(script(None), patience=0.0) is None
    with pytest.raises(ServerRefused):
        looked_for(script(status(503)), patience=0.0)
