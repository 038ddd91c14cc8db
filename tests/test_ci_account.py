"""What CI systems are told of a run: whole, within their limits, and nothing of others' text taken for a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from connect_tasks.arguments import parse
from connect_tasks.ci_account import (
    SUMMARY_LIMIT,
    code_quality,
    dotenv,
    error_annotations,
    job_summary,
    junit,
    mask,
    outputs,
)
from connect_tasks.errors import DeployFailed, ManifestStale, Problems
from connect_tasks.outcome import Report, Result, StageOutcome
from connect_tasks.runner import run_verb
from connect_tasks.verbs import verb

from .content.repository import commit_all, make_repository, write_files

COMMIT = "d70f24e8391fd246d547102131bbceb4e154121d"
NASTY = "50% of <b>a|b</b>\n::error::forged, x: y \x1b[31m"


def live() -> dict[str, Any]:
    report = Report(verb="release", app="sales", target="production", result=Result.CHANGED)
    report.live_commit, report.bundle, report.url = COMMIT, "102", "https://connect.example.com/content/2f82/"
    report.stages.append(StageOutcome(name="deploy", result=Result.CHANGED, seconds=14.051, detail="bundle 102"))
    report.commits.append("4952783530 Sell *more* <b>")
    return report.as_json()


def broken(*problems: Any) -> dict[str, Any]:
    report = Report(verb="release", app="stock")
    report.stages.append(StageOutcome(name="deploy", result=Result.FAILED, seconds=3.2, detail=NASTY))
    report.fail(Problems(problems or (DeployFailed(NASTY, where="apps/stock/app.py:12", hint="nox -s status"),)))
    return report.as_json()


def test_outputs_of_one_and_of_several() -> None:
    one = {"commit": COMMIT, "bundle": "102", "url": "https://connect.example.com/content/2f82/"}
    assert outputs([live()]) == {"changed": "true", **one}

    several = outputs([broken(), live()])
    assert several["changed"] == "true"
    assert json.loads(several["apps"]) == {"stock": {"commit": "", "bundle": "", "url": ""}, "sales": one}
    assert outputs([broken()])["changed"] == "false"


def test_dotenv_is_what_gitlab_reads() -> None:
    assert dotenv([live()]).splitlines() == [
        "CONNECT_TASKS_CHANGED=true",
        f"CONNECT_TASKS_COMMIT={COMMIT}",
        "CONNECT_TASKS_BUNDLE=102",
        "CONNECT_TASKS_URL=https://connect.example.com/content/2f82/",
    ]
    assert dotenv([live(), broken()]) == "CONNECT_TASKS_CHANGED=true\nCONNECT_TASKS_APPS=sales\n"
    many = [{**live(), "app": f"an-app-with-a-long-name-{number}"} for number in range(500)]
    assert dotenv(many) == "CONNECT_TASKS_CHANGED=true\n"


def test_code_quality_has_what_gitlab_wants_of_an_issue() -> None:
    elsewhere = ManifestStale("it does not list data.csv")
    first, second = json.loads(code_quality([live(), broken(DeployFailed(NASTY, where="app.py:12"), elsewhere)]))
    assert first["location"] == {"path": "app.py", "lines": {"begin": 12}}
    assert second["location"] == {"path": "pyproject.toml", "lines": {"begin": 1}}
    assert (first["severity"], first["check_name"]) == ("major", DeployFailed.code)
    assert "\n" not in first["description"]
    moved = json.loads(code_quality([broken(DeployFailed(NASTY, where="app.py:99"))]))
    assert [one["fingerprint"] for one in moved] == [first["fingerprint"]]  # the same issue, on another line
    assert first["fingerprint"] != second["fingerprint"]
    assert json.loads(code_quality([live()])) == []


def test_annotations_name_file_and_line_and_forge_nothing() -> None:
    (line,) = error_annotations([live(), broken()])

    assert line.startswith("::error title=CT")
    assert ",file=apps/stock/app.py,line=12::50%25 of " in line
    assert "%0A::error::forged, x: y" in line
    assert line.endswith("%0Anext: nox -s status")
    assert "\n" not in line


@pytest.mark.parametrize("where", ["https://connect.example.com/x", "apps.sales.verify", None])
def test_what_is_no_file_is_annotated_without_one(where: str | None) -> None:
    (line,) = error_annotations([broken(DeployFailed("no", where=where))])
    assert ",file=" not in line


def test_at_most_ten_annotations() -> None:
    problems = [ManifestStale(f"file {number}") for number in range(30)]
    assert len(error_annotations([broken(*problems)])) == 10


def test_the_summary_is_a_table_that_others_can_not_break() -> None:
    text = job_summary("release", [live(), broken()])

    assert (
        "| ✅ | [sales on production](https://connect.example.com/content/2f82/) | changed | `d70f24e839` | 14.1 |"
        in text
    )
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert "next: nox -s status" in text
    assert "\nNew since what was live of sales:\n\n* 4952783530 Sell \\*more\\* \\<b\\>\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| deploy")]
    assert len(rows) == 2
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows)
    assert "| server |  | 0.00 |  | of that: waiting for Connect |" in text
    timed = live()
    timed["stages"][0]["before"], timed["server"] = 12.5, {"seconds": 13.25, "before": 11.0}
    text = job_summary("release", [timed])
    assert "| deploy | ✅ | 14.05 | 12.50 | bundle 102 |" in text
    assert "| server |  | 13.25 | 11.00 | of that: waiting for Connect |" in text


def test_the_summary_is_cut_at_githubs_limit() -> None:
    text = job_summary("release", [broken(*(ManifestStale("ü" * 2000) for _ in range(600)))])

    assert len(text.encode()) <= SUMMARY_LIMIT
    assert text.endswith("cut at 1 MiB\n")


def test_masks_are_one_for_each_line() -> None:
    assert mask("first%\n\nsecond\n") == "::add-mask::first%25\n::add-mask::second\n"


def test_junit_holds_every_stage_and_what_failed_outside_of_one() -> None:
    early = Report(verb="release", app="early")
    early.fail(ManifestStale("it does not list data.csv"))
    root = ET.fromstring(junit("release", [live(), broken(), early.as_json()]))  # noqa: S314  # our own

    found = {suite.get("name"): (suite.get("tests"), suite.get("failures")) for suite in root}
    assert found == {"sales on production": ("1", "0"), "stock": ("1", "1"), "early": ("1", "1")}
    assert [case.get("time") for case in root.iter("testcase")] == ["14.051", "3.200", "0.000"]
    assert ["next: nox -s status" in (failure.text or "") for failure in root.iter("failure")] == [True, False]


def test_a_job_of_github_gets_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stale manifest, as `check` of a real repository finds it."""
    table = '[tool.connect-tasks]\nmode = "flask"\nentrypoint = "app:app"\nenv = ["PASSWORD"]\n'
    root = make_repository(
        tmp_path / "r", {"app.py": "app = 1\n", ".python-version": "3.12\n", "pyproject.toml": table}
    )
    write_files(root, {"requirements.in": "flask\n"})
    commit_all(root)
    environ = {
        "GITHUB_ACTIONS": "true",
        "PATH": "/usr/bin:/bin",
        "PASSWORD": "canary-of-a-password",
        "HOME": str(tmp_path),
    }
    environ |= {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output")}
    (tmp_path / "output").write_text("earlier=1\n")
    options = parse(
        verb("check"),
        [
            "--junit",
            str(tmp_path / "junit.xml"),
            "--dotenv",
            str(tmp_path / "env"),
            "--code-quality",
            str(tmp_path / "q"),
        ],
        program="check",
    )

    status = run_verb(verb("check"), options, directory=root, environ=environ)

    said = capsys.readouterr().out
    assert status != 0
    assert "::add-mask::canary-of-a-password\n" in said
    assert "\n::error title=CT" in said
    assert (tmp_path / "output").read_text().startswith("earlier=1\nchanged=false\n")
    assert "### check" in (tmp_path / "summary").read_text()
    assert ET.parse(tmp_path / "junit.xml").getroot().find("testsuite/testcase/failure") is not None  # noqa: S314
    assert (tmp_path / "env").read_text().startswith("CONNECT_TASKS_CHANGED=false\n")
    assert json.loads((tmp_path / "q").read_text())[0]["check_name"].startswith("CT")
    del environ["GITHUB_ACTIONS"]
    run_verb(verb("check"), options, directory=root, environ=environ)
    said = capsys.readouterr().out
    assert "::" not in said
    assert "canary" not in said
