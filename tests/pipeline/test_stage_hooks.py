"""Commands of the user's own around the stages of a release."""

from __future__ import annotations

import sys
from pathlib import Path

from .conftest import TABLE, Workshop

#: Writes down what it was told; ends as its second argument says.
SCRIPT = """\
import os, sys
names = ("APP", "TARGET", "STAGE", "SHA", "BUNDLE", "URL")
with open(sys.argv[1], "a") as file:
    print(*(os.environ["CONNECT_TASKS_" + name] or "-" for name in names), file=file)
print("said by the hook")
sys.exit(int(sys.argv[2]))
"""


def set_hooks(workshop: Workshop, log: Path, **statuses: int) -> None:
    script = log.with_name("hook.py")
    script.write_text(SCRIPT)
    lines = (f"{name} = [{[sys.executable, str(script), str(log), str(status)]}]" for name, status in statuses.items())
    workshop.write("pyproject.toml", TABLE + "[tool.connect-tasks.hooks]\n" + "\n".join(lines) + "\n")
    workshop.commit("hooks")


def told(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def test_commands_run_around_stages_and_are_told_what_is_known(workshop: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    set_hooks(workshop, log, before_commit=0, before_deploy=0, after_verify=3, on_failure=0)
    before = workshop.head

    ran = workshop.run("release")

    assert ran.status == 0, "one after a stage changes nothing"
    name, commit, bundle, url = (ran.report[key] for key in ("app", "live_commit", "bundle", "url"))
    assert told(log) == [
        [name, "-", "commit", before, "-", "-"],
        [name, "-", "deploy", commit, "-", "-"],
        [name, "-", "verify", commit, bundle, url],
    ]
    assert any("after_verify" in note and "ended with status 3" in note for note in ran.report["notes"])
    assert "said by the hook" in ran.said

    assert workshop.run("release").report["result"] == "noop"
    assert len(told(log)) == 3, "nothing was done, so nothing runs"


def test_one_before_a_stage_has_a_veto_and_a_failure_is_told(workshop: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    set_hooks(workshop, log, before_deploy=7, on_failure=9)

    ran = workshop.run("release")

    assert (ran.status, ran.code) == (1, "CT811")
    assert [line[2] for line in told(log)] == ["deploy", "-"]
    assert ran.report["pushed"] == workshop.remote(), "what was done before stays done"
    assert ran.report["bundle"] is None
    assert any("on_failure" in note for note in ran.report["notes"])

    set_hooks(workshop, log, before_deploy=0)
    assert workshop.run("release").status == 0


def test_a_command_that_does_not_exist_is_a_veto_too_and_a_rehearsal_asks_nobody(workshop: Workshop) -> None:
    workshop.write("pyproject.toml", TABLE + '[tool.connect-tasks.hooks]\nbefore_test = ["./no-such-program"]\n')
    workshop.commit("a hook")

    ran = workshop.run("release")

    assert ran.code == "CT811"
    assert "no-such-program" in ran.report["error"]["message"]
    rehearsed = workshop.run("rehearse")
    assert rehearsed.status == 0
    assert "not rehearsed: before_test" in rehearsed.said


def test_the_veto_of_one_app_is_not_that_of_another(workshop: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    set_hooks(workshop, log, before_push=5, on_failure=0)
    hooks = (workshop.root / "pyproject.toml").read_text().partition("[tool.connect-tasks.hooks]\n")[2]
    for name in ("one", "two"):
        for file in ("app.py", "requirements.in", ".python-version"):
            workshop.write(f"{name}/{file}", (workshop.root / file).read_text())
    apps = "".join(f'[tool.connect-tasks.apps.{name}]\npath = "{name}"\n' for name in ("one", "two"))
    workshop.write("pyproject.toml", f"{TABLE}{apps}[tool.connect-tasks.apps.two.hooks]\n{hooks}")
    workshop.commit("two apps")

    ran = workshop.run("release")

    one, two = ran.report["apps"]
    assert (one["error"], one["result"]) == (None, "changed")
    assert two["error"]["code"] == "CT811"
    assert [line[0] for line in told(log)] == ["two", "two"], "before_push, on_failure"
    assert workshop.git("ls-tree", "-r", "--name-only", workshop.remote() or "").count("manifest.json") == 1
