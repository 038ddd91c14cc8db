"""`--events`: what happens, as it happens, for machines."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema

import connect_tasks

from .conftest import TABLE, Workshop

SCHEMA = json.loads(Path(connect_tasks.__file__).with_name("report.schema.json").read_text(encoding="utf-8"))
SECRET = "a-word-that-nobody-may-read"


def read(path: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for event in events:
        jsonschema.validate(event, {**SCHEMA, "anyOf": [{"$ref": "#/definitions/event"}]})
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    return events


def test_each_stage_begins_and_ends_and_the_last_line_is_the_report(workshop: Workshop, tmp_path: Path) -> None:
    ran = workshop.run("release", "--events", str(tmp_path / "events"))

    first, *stages, last = read(tmp_path / "events")
    assert (first["event"], first["schema"], first["verb"]) == ("begin", 1, "release")
    ended = [event for event in stages if event["event"] == "stage-end"]
    assert [(each["stage"], each["seconds"]) for each in ended] == [
        (stage["name"], stage["seconds"]) for stage in ran.report["stages"]
    ]
    for _, pair in groupby(sorted(stages, key=lambda event: str(event["stage"])), key=lambda event: event["stage"]):
        assert [event["event"] for event in pair] == ["stage-begin", "stage-end"]
    assert (last["event"], last["exit_code"], last["report"]) == ("end", 0, ran.report)
    assert (tmp_path / "events").stat().st_mode & 0o077 == 0


def test_standard_output_is_nothing_but_events(workshop: Workshop) -> None:
    done = workshop.process("check", "--events", "-")

    told = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert (done.returncode, told[0], told[-1]) == (2, "begin", "end")
    assert "CT490" in done.stderr
    both = workshop.process("check", "--events", "-", "--json", "-")
    assert (both.returncode, both.stderr.count("only one of them")) == (4, 1)


def test_no_secret_and_no_failure_of_a_run_by_a_place_that_can_not_be_written(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.environ["WORD"] = SECRET
    table = TABLE + 'env = ["WORD"]\ntest = { env = ["WORD"] }\n'
    failing = "import os\n\n\ndef test_it():\n    assert os.environ['WORD'] == 'x'\n"
    workshop.commit(**{"pyproject.toml": table, "test_app.py": failing})

    assert workshop.run("release", "--events", str(tmp_path / "events")).code == "CT500"

    assert SECRET not in (tmp_path / "events").read_text()
    assert read(tmp_path / "events")[-1]["exit_code"] == 1
    nowhere = workshop.run("freeze", "--events", str(tmp_path / "nowhere" / "events"))
    assert (nowhere.status, workshop.git("status", "--porcelain")) == (1, "?? requirements.txt")
    assert "CT902: the events could not be written: No such file or directory" in nowhere.said
