"""What the documentation says of each problem, read from the docstrings of their classes, so that it can't go stale."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from .problem import Problem, Problems


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A problem for people. `area` is the title of its module, `note` what the class says beside the three answers."""

    code: str
    name: str
    exit_code: int
    area: str
    what: str
    why: str
    next: str
    note: str = ""

    @property
    def text(self) -> str:
        return "\n\n".join((f"{self.code} {self.name}: {self.what}", f"Why: {self.why}", f"Next: {self.next}"))


def kinds() -> tuple[type[Problem], ...]:
    """Every kind of problem of this package, in the order of the codes."""

    def below(kind: type[Problem]) -> Iterator[type[Problem]]:
        for inner in kind.__subclasses__():
            yield inner
            yield from below(inner)

    package = __name__.rpartition(".")[0] + "."
    found = {kind for kind in below(Problem) if kind is not Problems and kind.__module__.startswith(package)}
    return tuple(sorted(found, key=lambda kind: kind.code))


def explain(kind: type[Problem]) -> Explanation:
    """What, why and next. Raises LookupError where the docstring leaves one out."""
    what, *rest = (" ".join(part.split()) for part in inspect.cleandoc(kind.__doc__ or "").split("\n\n"))
    said = {word: part.removeprefix(f"{word}: ") for word in ("Why", "Next") for part in rest if part.startswith(word)}
    if not what or set(said) != {"Why", "Next"}:
        raise LookupError(f"{kind.__name__} does not say what, why and next")
    module = inspect.getmodule(kind)
    return Explanation(
        code=kind.code,
        name=kind.__name__,
        exit_code=kind.exit_code,
        area=(module.__doc__ or "").strip().rstrip(".") if module else "",
        what=what,
        why=said["Why"],
        next=said["Next"],
        note=" ".join(part for part in rest if not part.startswith(("Why: ", "Next: "))),
    )
