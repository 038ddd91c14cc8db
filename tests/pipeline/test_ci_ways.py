"""What CI systems do to a release: they split it over jobs, and they cancel it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .ci_jobs import Machine
from .conftest import BARE_TEST, TABLE, Workshop
from .hands import call, items, version
from .test_ci_files import gitlab_variables
from .test_fleet import NAMES, change, make_estate

pytestmark = pytest.mark.usefixtures("clean_machine")

#: A test that does not end, and takes no hint.
STUBBORN = """import os, pathlib, signal, time


def test_hangs():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(r"{begun}").write_text(str(os.getpid()))
    time.sleep(60)
"""


def test_tests_in_one_job_the_deploy_in_another(workshop: Workshop, tmp_path: Path) -> None:
    """Two clones, each a commit deep with HEAD detached; the record of the pass goes from the one to the other."""
    noxfile = "import connect_tasks\n\nconnect_tasks.register()\n"
    table = TABLE + 'branch = "main"\nexclude = ["noxfile.py"]\n'
    workshop.commit(**{"pyproject.toml": table, ".gitignore": ".evidence/\n", "noxfile.py": noxfile})
    workshop.git("push", "--quiet", "origin", "main")
    variables = gitlab_variables(workshop)
    push = [
        'git config user.name "release" && git config user.email "release@example.com"',
        'git remote set-url origin "$CI_PROJECT_URL.git"',
        """git config credential.helper '!f() { echo username=oauth2; echo "password=$RELEASE_TOKEN"; }; f'""",
    ]
    nox = ["nox -s freeze manifest", "nox -s test -- --evidence .evidence", "nox -s commit push"]
    build = Machine(shop=workshop, place=tmp_path / "build")
    build.gitlab({"script": [*push, *nox]}, variables)
    assert "1 passed" in build.said

    deploy = Machine(shop=workshop, place=tmp_path / "deploy")
    evidence = tmp_path / "artifacts"
    shutil.copytree(build.work / ".evidence", evidence)
    deploy.gitlab({"script": [f"nox -s deploy -- --evidence {evidence} --dotenv live.env"]}, variables)
    assert "1 passed" not in deploy.said
    assert " ✓ deploy" in deploy.said
    told = dict(line.split("=", 1) for line in (deploy.work / "live.env").read_text().splitlines())
    assert told["CONNECT_TASKS_COMMIT"] == workshop.remote()
    assert workshop.page(told["CONNECT_TASKS_URL"]) == "version 1"
    (record,) = evidence.iterdir()
    assert not list((deploy.work / ".git/connect-tasks").glob("evidence/*")), "it was carried, not made again"
    assert json.loads(record.read_text())["summary"].startswith("1 passed")


def cancelled(shop: Workshop, begun: Path, *arguments: str) -> int:
    """A release that is cancelled once `begun` is there, as GitHub does: INT, TERM, KILL, with less patience."""
    command = [sys.executable, "-m", "connect_tasks", "release", *arguments]
    seen = len(shop.writes())
    with subprocess.Popen(command, cwd=shop.root, env=shop.environ, stdout=subprocess.PIPE, text=True) as child:
        while not begun.exists():
            assert child.poll() is None, child.communicate()
            time.sleep(0.02)
            if begun.name == "asked" and any("/repository/bundle" in write for write in shop.writes()[seen:]):
                begun.touch()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            child.send_signal(number)
            try:
                child.wait(0.4)
            except subprocess.TimeoutExpired:
                continue
            break
        child.communicate()
    return child.returncode


@pytest.mark.parametrize(
    "where", ["deploy", pytest.param("test", marks=pytest.mark.slow), pytest.param("fleet", marks=pytest.mark.slow)]
)
def test_cancelled_as_ci_systems_do(workshop: Workshop, tmp_path: Path, where: str) -> None:
    """INT, then TERM, then KILL: what was live stays live, the clone is whole, and the same command finishes.

    Each signal at each moment, alone: tests/faults.
    """
    begun = tmp_path / ("asked" if where == "deploy" else "begun")
    arguments = ("-j", "2") if where == "fleet" else ()
    if where == "fleet":
        make_estate(workshop, NAMES[:2])
    assert workshop.run("release", *arguments).status == 0
    if where == "deploy":
        version(workshop, 2)
        call(workshop, "POST", "__emulator__/fault", {"pattern": r"GET /__api__/v1/tasks/", "delay": 20, "times": 1})
    else:
        name = "apps/desk" if where == "fleet" else "."
        workshop.write(f"{name}/test_app.py", STUBBORN.format(begun=begun))
        if where == "fleet":
            change(workshop, "lamp", 2)
        workshop.commit("a test that hangs")
    work = workshop.git("status", "--porcelain")
    status = cancelled(workshop, begun, *arguments)
    assert status in {130, -signal.SIGTERM, -signal.SIGKILL}  # TERM may come when all is put away
    if begun.exists() and begun.read_text():
        stop(int(begun.read_text()))
    assert workshop.git("status", "--porcelain") == work
    workshop.git("fsck", "--strict")
    call(workshop, "DELETE", "__emulator__/fault")
    if where == "fleet":
        change(workshop, "desk", 2)
        workshop.commit("mended")
    elif where == "test":
        workshop.commit(test_app_py=BARE_TEST)
    after = workshop.run("release", *arguments)
    assert after.status == 0, after.said
    for one in after.report.get("apps", [after.report]):
        assert workshop.page(one["url"]).startswith("version 2" if where != "test" else "version 1")
        assert one["live_commit"] == workshop.remote() or one["result"] == "noop"
    assert len(items(workshop)) == (2 if where == "fleet" else 1)
    assert workshop.git("status", "--porcelain") == ""
    again = workshop.run("release", *arguments)
    assert {one["result"] for one in again.report.get("apps", [again.report])} == {"noop"}


def stop(process: int) -> None:
    """The runner ends what a killed job left."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
