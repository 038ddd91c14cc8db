"""Every problem has a code of its own, in the range of its area, and says what, why and next."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import connect_tasks
from connect_tasks import errors
from connect_tasks.errors.explained import Explanation, explain, kinds
from connect_tasks.errors.problem import Problem
from connect_tasks.verbs import EXIT_CODES

PACKAGE = Path(connect_tasks.__file__).parent
HUNDREDS = {
    "usage": "1",
    "repository": "2",
    "packages": "3",
    "content": "45",
    "shipping": "6",
    "server": "7",
    "deployment": "8",
    "computer": "9",
}


def test_each_code_is_given_once() -> None:
    codes = [kind.code for kind in kinds()]

    assert len(codes) > 70
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: str(kind.code))
def test_it_says_what_why_and_what_to_do_next(kind: type[Problem]) -> None:
    explained = explain(kind)

    assert re.fullmatch(r"CT\d{3}", kind.code)
    assert kind.code[2] in HUNDREDS[kind.__module__.rpartition(".")[2]]
    assert kind.exit_code in EXIT_CODES
    assert getattr(errors, kind.__name__) is kind, "the package is its import surface"
    for sentence in (explained.what, explained.why, explained.next):
        assert sentence[-1] in ".`", sentence
        assert sentence.count("`") % 2 == 0


def test_a_docstring_that_leaves_an_answer_out_is_noticed() -> None:
    class Unexplained(Problem):
        """Something.

        Why: because.
        """

    with pytest.raises(LookupError, match="Unexplained"):
        explain(Unexplained)


def test_what_is_raised_anywhere_is_one_of_them() -> None:
    """No `Problem` is raised bare, and no module has a problem of its own beside the list."""
    known = {kind.__name__ for kind in kinds()}
    for path in PACKAGE.rglob("*.py"):
        if "emulator" in path.parts or "errors" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                assert not bases & {*known, "Problem", "Problems"}, f"{path.name}: {node.name}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "Problem", f"{path.name}:{node.lineno}"


def test_an_explanation_reads_as_text() -> None:
    text = explain(errors.RequirementsMissing).text

    assert isinstance(explain(errors.RequirementsMissing), Explanation)
    assert text.splitlines()[0].startswith("CT305 RequirementsMissing: There is no requirements.txt")
    assert text.endswith("Next: `nox -s freeze`.")
