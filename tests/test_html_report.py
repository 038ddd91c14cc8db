"""The page of a run: complete, harmless, small, and readable in a real browser without a network."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.errors import DeployFailed, ManifestStale, Problems
from connect_tasks.html_report import render
from connect_tasks.outcome import Report, Result, StageOutcome

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREENSHOTS = os.environ.get("CONNECT_TASKS_SCREENSHOTS")
NASTY = "<script>alert(1)</script>\x22 onload=x"


def told(report: Report) -> dict[str, Any]:
    return {**report.as_json(), "diffs": report.diffs, "log": list(report.log)}


def page(*reports: Report) -> str:
    return render("release", [told(report) for report in reports], when="2026-03-01 12:00 UTC", version="0.1.0")


def released() -> Report:
    report = Report(verb="release", app="sales", target="production", result=Result.CHANGED)
    report.commit = report.live_commit = "d70f24e8391fd246d547102131bbceb4e154121d"
    report.bundle, report.url = "102", "https://connect.example.com/content/2f82ec14/"
    for name, seconds, detail in (
        ("facts", 0.31, "main at 4952783530, https://connect.example.com"),
        ("freeze", 0.51, "7 pins for Python 3.13, 1 changed"),
        ("manifest", 0.25, "7 files, a WSGI app (Flask and others)"),
        ("test", 1.67, "5 passed in 0.34s"),
        ("commit", 0.07, "d70f24e839 Release sales"),
        ("push", 0.42, "origin main is at d70f24e839"),
        ("deploy", 14.05, "bundle 102, built from the commit"),
        ("verify", 0.35, "d70f24e839 is live"),
    ):
        report.stages.append(StageOutcome(name=name, result=Result.CHANGED, seconds=seconds, detail=detail))
    report.diffs["requirements.txt"] = (
        "--- a/requirements.txt\n+++ b/requirements.txt\n@@ -3 +3 @@\n-flask==3.1.0\n+flask==3.1.2\n"
    )
    report.log.extend(["Building environment.", "Bundle 102 is ready as a draft."])
    report.commits.append("4952783530 Sell more")
    return report


def timed() -> Report:
    """With a run before it."""
    report = released()
    report.stages[-1] = replace(report.stages[-1], before=12.34)
    return report


def failed() -> Report:
    report = Report(verb="release", app="stock", target="production")
    report.stages.append(StageOutcome(name="deploy", result=Result.FAILED, seconds=3.2, detail="no database"))
    report.log.append("ModuleNotFoundError: No module named 'psycopg'")
    problem = DeployFailed("the server could not start the app", where="bundle 103", hint="nox -s status")
    report.fail(Problems((problem, ManifestStale("it does not list data.csv"))))
    return report


def test_all_that_a_run_knows_is_on_it() -> None:
    text = page(released(), failed())

    for stage in released().stages:
        assert f"<td>{stage.name}</td>" in text
        assert f"{stage.seconds:.2f} s" in text
        assert stage.detail in text
    assert "<td>server</td>" in text
    assert '<td class="seconds dim">12.34 s</td>' in page(timed())
    for words in (
        "CT800",
        "CT402",
        "nox -s status",
        "1 of 2 failed",
        "psycopg",
        "+flask==3.1.2",
        "Sell more",
        "2026-03-01 12:00",
    ):
        assert words in text


def test_text_of_others_is_text() -> None:
    report = released()
    report.app = report.url = report.bundle = NASTY
    report.notes.append(NASTY)
    report.log.append(NASTY)
    report.commits.append(NASTY)
    report.diffs[NASTY] = f"+{NASTY}"
    report.stages.append(StageOutcome(name=NASTY, result=Result.OK, seconds=0, detail=NASTY))
    report.fail(DeployFailed(NASTY, where=NASTY, hint=NASTY))

    text = page(report)

    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert '" onload' not in text
    report.url = "javascript:alert(1)"
    assert "javascript:" not in page(report)


def test_nothing_on_it_comes_from_elsewhere() -> None:
    assert not re.search(r"<(script|link|img|iframe)|url\(|@import", page(released(), failed()))


@pytest.mark.parametrize("apps", [1, 400])
def test_it_is_under_a_megabyte_whatever_was_said(apps: int) -> None:
    reports = []
    for _ in range(apps):
        report = failed()
        report.log.extend("<&>" * 500 for _ in range(5000))
        report.commits.extend("<&>" * 500 for _ in range(100))
        report.diffs = dict.fromkeys(("requirements.txt", "manifest.json"), "+é<\n" * 100000)
        report.notes = ["x" * 5000] * (3000 // apps)
        reports.append(report)

    text = page(*reports)

    assert len(text.encode()) < 1_000_000
    assert text.endswith("</html>\n")


@pytest.fixture(scope="module")
def chromium() -> Any:
    library = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs a chromium")
    with library.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_it_opens_from_disk_in_the_light_in_the_dark_and_on_a_telephone(chromium: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(released(), failed()), encoding="utf-8")
    folder = Path(SCREENSHOTS or tmp_path)
    context = chromium.new_context(offline=True, color_scheme="light", viewport={"width": 1000, "height": 1000})
    sheet = context.new_page()
    wrong: list[str] = []
    sheet.on("request", lambda request: None if request.url == path.as_uri() else wrong.append(request.url))
    sheet.on("console", lambda message: wrong.append(message.text))
    sheet.goto(path.as_uri())
    sheet.get_by_text("requirements.txt").first.click()

    assert sheet.get_by_text("+flask==3.1.2").is_visible()
    assert sheet.get_by_text("psycopg").is_visible(), "the log of a failure is open"
    light = sheet.screenshot(path=folder / "report.png")
    grounds = [sheet.evaluate("getComputedStyle(document.body).backgroundColor")]
    sheet.emulate_media(color_scheme="dark")
    grounds.append(sheet.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert sheet.screenshot(path=folder / "report-dark.png") != light
    assert grounds == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]
    sheet.set_viewport_size({"width": 380, "height": 700})
    assert sheet.evaluate("document.documentElement.scrollWidth") <= 380
    assert wrong == []
    context.close()
