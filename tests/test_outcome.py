"""The report: what CI systems and scripts read. Its spellings are a promise, schema 1."""

from __future__ import annotations

import json

import pytest

from connect_tasks.content.manifest_changes import ManifestChange
from connect_tasks.errors import Drift, Interrupted, LockHeld, Problem, Problems, TestsFailed, raise_all
from connect_tasks.outcome import Report, Result, recorded, several_as_json, summarise

COMMIT = "c538c3fac7f2453ea84c8c56ef5062bbcbaa6022"


def test_a_report_has_every_key_whatever_happened() -> None:
    assert Report(verb="release").as_json() == {
        "schema": 1,
        "verb": "release",
        "result": "ok",
        "app": None,
        "target": None,
        "commit": None,
        "pushed": None,
        "bundle": None,
        "live_commit": None,
        "url": None,
        "stages": [],
        "server": {"seconds": 0.0, "before": None},
        "commits": [],
        "changes": [],
        "notes": [],
        "error": None,
    }


def test_a_full_report_is_json() -> None:
    report = Report(verb="release", app="shop", target="production", result=Result.CHANGED, commit=COMMIT, bundle="7")
    report.changes.append(ManifestChange(kind="missing", path="a.py", matters=True, detail="not in the manifest"))
    with recorded(report, "push") as stage:
        stage.result, stage.detail = Result.CHANGED, "origin main"

    data = json.loads(json.dumps(report.as_json()))

    assert data["result"] == "changed"
    assert data["changes"] == [{"kind": "missing", "path": "a.py", "matters": True, "detail": "not in the manifest"}]
    (told,) = data["stages"]
    assert told.pop("seconds") >= 0
    assert told == {"name": "push", "result": "changed", "before": None, "detail": "origin main"}


def test_a_failure_leaves_what_was_done() -> None:
    report = Report(verb="release", commit=COMMIT, result=Result.CHANGED)
    with recorded(report, "commit"):
        pass
    with pytest.raises(TestsFailed) as caught, recorded(report, "test"):
        raise TestsFailed("2 failed", where="app/tests", hint="mend them")
    report.fail(caught.value)

    data = report.as_json()

    assert (data["result"], data["commit"]) == ("failed", COMMIT)
    assert [(stage["name"], stage["result"], stage["detail"]) for stage in data["stages"]] == [
        ("commit", "ok", ""),
        ("test", "failed", "2 failed"),
    ]
    assert data["error"] == {
        "code": "CT500",
        "message": "2 failed (app/tests)",
        "where": "app/tests",
        "hint": "mend them",
    }


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("x"), SystemExit(2)])
def test_a_stage_that_anything_ends_is_a_failed_one(error: BaseException) -> None:
    report = Report(verb="test")
    with pytest.raises(type(error)), recorded(report, "test"):
        raise error

    assert [(stage.result, stage.detail) for stage in report.stages] == [(Result.FAILED, type(error).__name__)]


def test_several_problems_are_all_in_the_report() -> None:
    with pytest.raises(Problems) as caught:
        raise_all([Problem("one", hint="first"), LockHeld("two", where="here")])
    report = Report(verb="check")
    report.fail(caught.value)

    error = report.as_json()["error"]

    assert (error["code"], error["message"], error["hint"]) == ("CT000", "one (and 1 more)", "first")
    assert [each["code"] for each in error["all"]] == ["CT000", "CT211"]
    assert caught.value.exit_code == LockHeld.exit_code


@pytest.mark.parametrize(
    ("results", "word"),
    [
        ([], "noop"),
        (["noop", "noop"], "noop"),
        (["noop", "ok"], "ok"),
        (["ok", "changed", "noop"], "changed"),
        (["changed", "failed", "ok"], "failed"),
    ],
)
def test_one_word_for_several_apps(results: list[str], word: str) -> None:
    reports = [Report(verb="release", app=str(number), result=Result(each)) for number, each in enumerate(results)]

    data = several_as_json("release", reports)

    assert summarise(Result(each) for each in results) == Result(word)
    assert {key: data[key] for key in ("schema", "verb", "result")} == {"schema": 1, "verb": "release", "result": word}
    assert [app["app"] for app in data["apps"]] == [str(number) for number in range(len(results))]


def test_the_documented_exit_codes() -> None:
    assert [kind("x").exit_code for kind in (Problem, Drift, LockHeld, Interrupted)] == [1, 2, 5, 130]
