"""The generated reference holds all that the code knows: every verb, argument, key, error and exit code."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

import connect_tasks
from connect_tasks.configuration.keys import APP_KEYS, PROCESS_KEYS, TEST_KEYS, VERIFY_KEYS
from connect_tasks.errors import ManifestStale, Problems, PushRejected
from connect_tasks.errors.explained import kinds
from connect_tasks.outcome import Report, Result, StageOutcome, several_as_json
from connect_tasks.verbs import EXIT_CODES, VERBS

from .pages import pages

SCHEMA = json.loads(Path(connect_tasks.__file__).with_name("report.schema.json").read_text(encoding="utf-8"))


def test_verbs() -> None:
    text = pages()["docs/reference/verbs.md"]
    for each in VERBS:
        section = text.partition(f"## {each.name} {{ #{each.name} }}")[2].partition("\n## ")[0]
        assert each.manual in section
        for argument in each.arguments:
            assert f"| `{argument.flags[0]}" in section
        for example in each.examples:
            assert f"nox -s {each.name}" + (f" -- {example}" if example else "") in section


def test_configuration() -> None:
    text = pages()["docs/reference/configuration.md"]
    tables = {"": APP_KEYS, "test.": TEST_KEYS, "verify.": VERIFY_KEYS, "process.": PROCESS_KEYS}
    for outer, keys in tables.items():
        for name, key in keys.items():
            assert f"# {outer}{name} {{ #" in text
            assert key.about in text
            assert f"\n{name} = {key.example}\n" in text
    assert "Default: `60`." in text
    assert 'Default: `"origin"`.' in text


def test_errors_and_exit_codes() -> None:
    text, codes = pages()["docs/reference/errors.md"], pages()["docs/reference/exit-codes.md"]
    for kind in kinds():
        assert f"### {kind.code} {kind.__name__} {{ #{kind.code} }}" in text
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in codes


def full() -> Report:
    """A report in which nothing is left out."""
    report = Report(verb="release", app="sales", target="production", commit="a" * 40, url="http://127.0.0.1/")
    report.stages.append(StageOutcome(name="test", result=Result.OK, seconds=1.5, detail="3 passed"))
    report.notes.append("a note")
    report.commits.append("d70f24e839 Sell more")
    report.state = {"sync": "in sync"}
    report.fail(Problems((ManifestStale("one", where="app.py"), PushRejected("two", hint="git push"))))
    return report


@pytest.mark.parametrize("report", [Report(verb="check"), full()], ids=["empty", "full"])
def test_the_schema_of_the_report_describes_reports(report: Report) -> None:
    jsonschema.validate(report.as_json(), SCHEMA)
    jsonschema.validate(several_as_json("check", [report, report]), SCHEMA)


def test_every_key_of_a_report_is_described() -> None:
    described = set(SCHEMA["definitions"]["report"]["properties"])
    assert set(full().as_json()) <= described
    assert {field.name for field in fields(Report)} - {"diffs", "log", "before"} <= described, (
        "those are for the page and the stages"
    )
    text = pages()["docs/reference/report.md"]
    assert [name for name in described if f"| `{name}` |" not in text] == []


def test_a_report_that_lacks_something_is_no_report() -> None:
    broken = {key: value for key, value in full().as_json().items() if key != "stages"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)
