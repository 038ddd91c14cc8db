"""`plan`: the very actions of `release`, and not a byte moved."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from connect_tasks.outcome import EMPTY_PLAN
from connect_tasks.pipeline.planned import Planned

from .conftest import BARE_APP, BARE_TEST, Workshop


def state_of(workshop: Workshop) -> dict[str, Any]:
    """All that a plan must leave alone. Objects without a name are nobody's; remote-tracking refs are fetched."""
    refs = workshop.git("for-each-ref").splitlines()
    files = {
        path: path.read_bytes() for path in workshop.root.rglob("*") if path.is_file() and ".git" not in path.parts
    }
    return {
        "status": workshop.git("status", "--porcelain=v2", "--branch"),
        "head": (workshop.root / ".git" / "HEAD").read_text() + workshop.head,
        "refs": [line for line in refs if "refs/remotes/" not in line],
        "index": (workshop.root / ".git" / "index").read_bytes(),
        "files": files,
        "remote": subprocess.run(
            ["git", "-C", str(workshop.bare), "for-each-ref"], capture_output=True, text=True, check=False
        ).stdout,
        "writes": workshop.writes(),
    }


def calls_since(workshop: Workshop, count: int) -> list[str]:
    """The writing calls of the API that the server has seen, as a plan spells them."""
    return [call.replace("/__api__/", "") for call in workshop.writes()[count:] if "/__api__/" in call]


def test_a_plan_changes_nothing_and_release_does_what_it_said(workshop: Workshop) -> None:
    mine = workshop.commit("a commit of my own", notes_txt="mine\n")
    workshop.write("scribble.txt", "untracked\n")
    workshop.write("notes.txt", "mine, staged\n")
    workshop.git("add", "notes.txt")
    workshop.git("status")  # refreshes the index, which a plan must not
    workshop.git("commit", "--quiet", "--message", "and another")
    before = state_of(workshop)
    planned = workshop.run("plan")
    assert planned.status == 2, planned.said
    assert state_of(workshop) == before
    plan = planned.report["plan"]
    assert [action["kind"] for action in plan["actions"]] == [
        "RunTests",
        "CommitGenerated",
        "PushCommits",
        "CreateContent",
        "LinkRepository",
        "PrepareBundle",
        "VisitDraft",
        "Activate",
        "VerifyLive",
    ]
    assert [line.split(" ", 1) for line in plan["carried"]][-1] == [mine[:10], "a commit of my own"]
    assert plan["push"] == "origin HEAD:refs/heads/main"
    assert plan["diffs"]["manifest.json"].startswith("--- /dev/null\n+++ b/manifest.json\n")
    assert "a commit of my own" in planned.said
    assert "+++ b/requirements.txt" in planned.said
    released = workshop.run("release")
    assert released.status == 0, released.said
    guid = released.report["url"].rstrip("/").rsplit("/", 1)[-1]
    assert calls_since(workshop, len(before["writes"])) == [call.replace("{guid}", guid) for call in plan["calls"]]
    assert workshop.git("log", "-1", "--format=%B").strip() == plan["commit"].strip()
    subjects = workshop.git("log", "-3", "--format=%s").splitlines()
    assert subjects[1:] == ["and another", "a commit of my own"]


def test_the_empty_plan_has_the_keys_of_every_plan() -> None:
    assert json.loads(json.dumps(dict(EMPTY_PLAN))) == json.loads(json.dumps(Planned(actions=(), diffs={}).as_json()))


def test_nothing_to_do_is_an_empty_plan(workshop: Workshop) -> None:
    assert workshop.run("release").status == 0
    quick = workshop.run("plan")
    assert (quick.status, quick.report["result"], quick.report["plan"]["actions"]) == (0, "noop", [])
    for record in (workshop.root / ".git" / "connect-tasks" / "released").iterdir():
        record.unlink()
    surveyed = workshop.run("plan")
    assert (surveyed.status, surveyed.report["result"], surveyed.report["plan"]["actions"]) == (0, "noop", [])
    assert [stage["name"] for stage in surveyed.report["stages"]] == ["facts", "freeze", "manifest"]


def test_a_plan_of_a_change_names_what_moves(workshop: Workshop) -> None:
    assert workshop.run("release").status == 0
    workshop.write("app.py", BARE_APP.replace("version 1", "version 2"))
    workshop.write("test_app.py", BARE_TEST.replace("version 1", "version 2"))
    workshop.write("style.css", "body {}\n")
    workshop.commit("version 2")
    before = state_of(workshop)
    planned = workshop.run("plan")
    assert planned.status == 2, planned.said
    assert state_of(workshop) == before
    plan = planned.report["plan"]
    assert set(plan["diffs"]) == {"manifest.json"}
    assert '+    "style.css": {' in plan["diffs"]["manifest.json"]
    released = workshop.run("release")
    assert calls_since(workshop, len(before["writes"])) == plan["calls"]
    assert released.report["live_commit"] == workshop.head


def test_what_stops_a_release_stops_its_plan(workshop: Workshop) -> None:
    workshop.write("app.py", BARE_APP.replace("version 1", "version 9"))
    planned = workshop.run("plan")
    assert (planned.status, planned.code) == (1, "CT203")
    assert "plan" not in planned.report


def test_the_plan_as_a_command(workshop: Workshop, tmp_path: Path) -> None:
    done = workshop.process("plan")
    assert done.returncode == 2, done.stderr
    assert "commit   commit manifest.json and requirements.txt" in done.stdout
    assert "call     POST v1/content\n" in done.stdout
