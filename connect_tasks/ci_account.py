"""The account of a run in the forms of CI systems. Pure: made from reports as `Report.as_json` gives them, redacted.

GitHub reads a summary in Markdown (at most 1 MiB), outputs (`name=value` lines), and workflow commands for annotations
(at most ten of a kind are shown); GitLab a dotenv report and code quality; nearly every other system reads JUnit.
Forms: GitHub's documentation of workflow commands, GitLab's of `artifacts:reports`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from xml.etree import ElementTree as ET

SUMMARY_LIMIT = 1 << 20
ANNOTATIONS = 10
#: What GitLab takes of a dotenv report.
DOTENV_LIMIT = 5 << 10
#: A `where` that is a file, not an address or a key of the configuration.
_PLACE = re.compile(r"(?P<file>[^\s:]*/[^\s:]+|[^\s:]+\.(?:py|toml|txt|json|in|lock|ipynb|qmd))(?::(?P<line>\d+))?")
_MARKS = {"ok": "✅", "changed": "✅", "noop": "➖", "failed": "❌"}
Told = Mapping[str, Any]


def job_summary(verb: str, reports: Sequence[Told]) -> str:
    """Markdown: a line for each app, its problems with the next command, and its stages with their times."""
    lines = [f"### {verb}", "", "| | app | result | commit | seconds |", "|---|---|---|---|--:|"]
    lines += [_row(report) for report in reports]
    for report in reports:
        lines += _details(report, f" of {_cell(report['app'] or '-')}" if len(reports) > 1 else "")
    text = "\n".join(lines) + "\n"
    if len(text.encode()) <= SUMMARY_LIMIT:
        return text
    return text.encode()[: SUMMARY_LIMIT - 100].decode("utf-8", "ignore") + "\n\n…cut at 1 MiB\n"


def outputs(reports: Sequence[Told]) -> Mapping[str, str]:
    """`changed` ("true" or "false"); `commit`, `bundle` and `url` of one app; `apps` (JSON: name to those) of many."""
    changed = {"changed": json.dumps(any(report["result"] == "changed" for report in reports))}
    if len(reports) == 1:
        return {**changed, **_where(reports[0])}
    return {**changed, "apps": json.dumps({report["app"] or "": _where(report) for report in reports})}


def dotenv(reports: Sequence[Told]) -> str:
    """Lines for GitLab's `artifacts:reports:dotenv`: the outputs, as variables of the jobs that come after; of several
    apps the names of those that changed, with commas between them."""
    found = dict(outputs(reports))
    if len(reports) > 1:
        found["apps"] = ",".join(report["app"] or "" for report in reports if report["result"] == "changed")
    lines = "".join(f"CONNECT_TASKS_{name.upper()}={text}\n" for name, text in found.items())
    return lines if len(lines.encode()) <= DOTENV_LIMIT else f"CONNECT_TASKS_CHANGED={found['changed']}\n"


def code_quality(reports: Sequence[Told]) -> str:
    """GitLab's code quality (a subset of Code Climate's): each problem with a fingerprint that outlives its line."""
    found = {one["fingerprint"]: one for report in reports for one in map(_issue, _problems(report))}
    return json.dumps(list(found.values()), indent=2) + "\n"


def _issue(problem: Told) -> Mapping[str, Any]:
    """The location has to be a file: the configuration's, where a problem has none."""
    place = _PLACE.fullmatch(problem["where"] or "")
    path, line = (place["file"], int(place["line"] or 1)) if place else ("pyproject.toml", 1)
    what = "\0".join((problem["code"], path, problem["message"].replace(problem["where"] or "\0", "")))
    return {
        "description": _line(problem["message"] + (f"; next: {problem['hint']}" if problem["hint"] else "")),
        "check_name": problem["code"],
        "fingerprint": hashlib.sha256(what.encode()).hexdigest(),
        "severity": "major",
        "location": {"path": path, "lines": {"begin": line}},
    }


def error_annotations(reports: Sequence[Told]) -> tuple[str, ...]:
    """Workflow commands: an error for each problem, with its file and line where it has one; the first ten."""
    return tuple(islice((_annotation(problem) for report in reports for problem in _problems(report)), ANNOTATIONS))


def mask(secret: str) -> str:
    """The workflow commands after which GitHub shows `***` for this text, one for each of its lines."""
    return "".join(f"::add-mask::{_escaped(line)}\n" for line in secret.splitlines() if line.strip())


def junit(verb: str, reports: Sequence[Told]) -> str:
    """JUnit's XML: a suite for each app, a case for each stage; what failed outside of a stage is a case of its own."""
    root = ET.Element("testsuites", name=f"connect_tasks {verb}")
    for report in reports:
        name = _xml(" on ".join(filter(None, (report["app"] or verb, report["target"]))))
        suite = ET.SubElement(root, "testsuite", name=name)
        cases = [
            (stage["name"], stage["seconds"], stage["result"] == "failed", stage["detail"])
            for stage in report["stages"]
        ]
        if report["error"] is not None and not any(failed for _, _, failed, _ in cases):
            cases.append((verb, 0.0, True, report["error"]["message"]))
        for stage, seconds, failed, detail in cases:
            case = ET.SubElement(suite, "testcase", classname=name, name=stage, time=f"{seconds:.3f}")
            if failed:
                ET.SubElement(case, "failure", message=_xml(detail)).text = _xml(_told(report))
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(sum(failed for _, _, failed, _ in cases)))
        suite.set("time", f"{sum(seconds for _, seconds, _, _ in cases):.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _where(report: Told) -> dict[str, str]:
    found = {"commit": report["live_commit"] or report["commit"], "bundle": report["bundle"], "url": report["url"]}
    return {name: _line(value or "") for name, value in found.items()}


def _row(report: Told) -> str:
    commit = (report["live_commit"] or report["commit"] or "-")[:10]
    app = _cell(" on ".join(filter(None, (report["app"], report["target"]))) or "-")
    shown = f"[{app}]({report['url']})" if report["url"] else app
    seconds = sum(stage["seconds"] for stage in report["stages"])
    return f"| {_MARKS[report['result']]} | {shown} | {report['result']} | `{commit}` | {seconds:.1f} |"


def _details(report: Told, of: str) -> Iterator[str]:
    for problem in _problems(report):
        yield from ("", f"**{problem['code']}**{of}: {_cell(problem['message'])}")
        if problem["hint"]:
            yield f"<br>next: {_cell(problem['hint'])}"
    if report["commits"]:
        yield from ("", f"New since what was live{of}:", "")
        yield from (f"* {_cell(commit)}" for commit in report["commits"])
    if report["stages"]:
        yield from ("", f"<details><summary>Stages{of}</summary>", "")
        yield from ("| stage | | seconds | last run | |", "|---|---|--:|--:|---|")
        for stage in report["stages"]:
            yield _timed(stage["name"], _MARKS[stage["result"]], stage, _cell(stage["detail"]))
        yield _timed("server", "", report["server"], "of that: waiting for Connect")
        yield from ("", "</details>")


def _timed(name: str, mark: str, times: Told, text: str) -> str:
    before = "" if times["before"] is None else f"{times['before']:.2f}"
    return f"| {name} | {mark} | {times['seconds']:.2f} | {before} | {text} |"


def _problems(report: Told) -> Sequence[Told]:
    error = report["error"]
    return () if error is None else error.get("all", [error])


def _told(report: Told) -> str:
    return "\n".join(
        f"{problem['code']}: {problem['message']}" + (f"\nnext: {problem['hint']}" if problem["hint"] else "")
        for problem in _problems(report)
    )


def _annotation(problem: Told) -> str:
    properties = [f"title={_escaped(problem['code'])}"]
    place = _PLACE.fullmatch(problem["where"] or "")
    if place is not None:
        properties.append(f"file={_escaped_property(place['file'])}")
        properties += [f"line={place['line']}"] if place["line"] else []
    text = problem["message"] + (f"\nnext: {problem['hint']}" if problem["hint"] else "")
    return f"::error {','.join(properties)}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    """Text of others on one line of a table, with nothing of it taken for Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", _line(text)).replace("&", "&amp;")


def _xml(text: str) -> str:
    """Without what no XML may hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
