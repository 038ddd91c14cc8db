"""What stands still costs no process and no call of its own; 500 apps for real, and the fan-out over several clones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from connect_tasks.emulator import running

from ..estate import change_app, make_estate, seed_server
from .conftest import Workshop, make_workshop
from .test_fleet import fetched, results
from .test_fleet import make_estate as make_apps

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@contextmanager
def seeded(place: Path, home: Path, count: int, *, files: int) -> Iterator[Workshop]:
    """A workshop whose `count` apps are all live, as far as the server's records go."""
    place.mkdir()
    data = place / "connect"
    with running(data) as first:
        workshop = make_workshop(first, place, f"estate-{count}")
        shutil.rmtree(workshop.root)
        make_estate(workshop.root, count, files=files, env=workshop.environ, python=PYTHON)
        workshop.git("remote", "add", "origin", first.git_url(workshop.name))
        workshop.git("config", f"http.{first.url}/.extraHeader", f"Authorization: Key {first.api_key}")
        workshop.git("push", "--quiet", "--force", "origin", "main")
    names = sorted(path.name for path in (workshop.root / "apps").iterdir())
    seed_server(data, names, repository=first.git_url(workshop.name), commit=workshop.head)
    with running(data, port=int(first.url.rsplit(":", 1)[1]), api_key=first.api_key, options=["--faults"]) as server:
        workshop.server = server
        yield workshop


def counted(workshop: Workshop, place: Path, verb: str = "plan", *, status: int = 0) -> tuple[int, list[str]]:
    """The git processes of a warm run, counted by a git in front of git on the path; what the server heard."""
    log, front = place / f"calls-{verb}", place / f"front-{verb}"
    front.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    seen = len(fetched(workshop))
    git = shutil.which("git", path=workshop.environ["PATH"])
    (front / "git").write_text(f'#!/bin/sh\necho "$1" >> {log}\nexec {git} "$@"\n')
    (front / "git").chmod(0o755)
    before = workshop.environ["PATH"]
    workshop.environ["PATH"] = f"{front}{os.pathsep}{before}"
    try:
        done = workshop.process(verb)
    finally:
        workshop.environ["PATH"] = before
    assert done.returncode == status, done.stdout + done.stderr
    return len(log.read_text().splitlines()), [call for call in fetched(workshop)[seen:] if "/git/" not in call]


def test_what_stands_still_costs_nothing_of_its_own(tmp_path: Path, private_home: Path) -> None:
    costs, states = [], []
    for count in (11, 22):
        with seeded(tmp_path / str(count), private_home, count, files=7) as workshop:
            cold = workshop.run("plan")
            assert results(cold.report) == dict.fromkeys(results(cold.report), "noop"), cold.said
            assert len(cold.report["apps"]) == count
            costs.append(counted(workshop, tmp_path / str(count)))
            states.append(counted(workshop, tmp_path / str(count), "status"))
    assert costs[0] == costs[1]
    assert states[0] == states[1]
    assert costs[0][1] == states[0][1] == ["GET /__api__/v1/user", "GET /__api__/v1/content"]


def test_the_state_of_many(tmp_path: Path, private_home: Path) -> None:
    """Those in sync by one list, the others like single ones: another setting, a pending change, a sick page."""
    with seeded(tmp_path / "estate", private_home, 14, files=7) as workshop:
        table = (workshop.root / "pyproject.toml").read_text()
        titled = "[tool.connect-tasks.apps.app005]\n"
        workshop.write("pyproject.toml", table.replace(titled, f'{titled}title = "Five"\n'))
        workshop.commit("a title")
        change_app(workshop.root, "app003", 2)
        (workshop.root / "apps/app007/notes.txt").write_text("mine\n")
        change_app(workshop.root, "app011", 2)
        workshop.git("commit", "--quiet", "--message", "app003", "apps/app003")
        ran = workshop.run("status")
        told = {one["app"]: one for one in ran.report["apps"]}
        states = {name: one["state"] for name, one in told.items()}
        good = {name for name, state in states.items() if (state["sync"], state["health"]) == ("in sync", "unseen")}
        assert good == set(states) - {"app003", "app005"}
        assert (states["app003"]["sync"], states["app005"]["sync"]) == ("pending", "drift")
        assert states["app005"]["differences"] == ["title is absent on the server, not 'Five'"]
        assert states["app003"]["health"] == "unhealthy"  # its page was visited: the estate's bundles hold nothing
        assert states["app011"]["work_tree"] == {"changed": ["app.py"], "untracked": []}
        assert states["app007"]["work_tree"] == {"changed": [], "untracked": ["notes.txt"]}
        assert "nox -s rollback -- --app app003 " in told["app003"]["error"]["hint"]
        assert "12 pages were not visited" in ran.said
        assert ran.status == 3
        assert workshop.run("status", "--app", "app001").report["state"]["health"] == "unhealthy"


def test_five_hundred_apps(tmp_path: Path, private_home: Path) -> None:
    """11,500 files: plan, check, release of what changed, each under 300 MB."""
    with seeded(tmp_path / "estate", private_home, 500, files=23) as workshop:
        assert len(workshop.git("ls-files", "apps").splitlines()) == 11_500
        planned = workshop.run("plan")
        assert (planned.status, len(planned.report["apps"])) == (0, 500), planned.said
        assert "   ok 500\n" in planned.said
        assert workshop.run("check").status == 0
        processes, calls = counted(workshop, tmp_path, "status")
        assert processes < 20
        assert calls == ["GET /__api__/v1/user", "GET /__api__/v1/content"]
        for name in ("app003", "app499"):
            change_app(workshop.root, name, 2)
        workshop.commit("two of five hundred")
        matrix = json.loads(workshop.process("plan", "--matrix", "json").stdout)
        assert [row["app"] for row in matrix] == ["app003", "app499"]
        code = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [sys.executable, "-c", code, sys.executable, "-m", "connect_tasks", "release", "-j", "2"]
        done = subprocess.run(
            command, cwd=workshop.root, env=workshop.environ, capture_output=True, text=True, check=True
        )
        assert int(done.stdout) < 300 * 1024
        again = workshop.run("plan")
        assert (again.status, set(results(again.report).values())) == (0, {"noop"})
        live = {one["app"]: one for one in again.report["apps"]}
        assert workshop.page(live["app499"]["url"]) == "version 2 of app499"


def test_a_fan_out_lands_every_share(workshop: Workshop, tmp_path: Path) -> None:
    """The printed matrix, split over three clones that release at the same time into one branch, as CI jobs do."""
    names = tuple(f"app{number}" for number in range(6))
    estate = make_apps(workshop, names)
    matrix = json.loads(estate.process("plan", "--matrix", "github").stdout)
    apps = [row["app"] for row in matrix["include"]]
    assert apps == list(names)
    url, key = estate.server.git_url(estate.name), estate.server.api_key

    def job(number: int) -> list[subprocess.CompletedProcess[str]]:
        """A runner: a clone of its own, a cache of its own, detached at the commit that was planned."""
        place = tmp_path / f"job{number}"
        environ = {**estate.environ, "CONNECT_TASKS_CACHE": str(tmp_path / f"cache{number}"), "CI": "true"}
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", url, place], env=environ, check=True)
        runner = Workshop(root=place, server=estate.server, name=estate.name, environ=environ)
        runner.git("config", f"http.{estate.server.url}/.extraHeader", f"Authorization: Key {key}")
        return [
            runner.process("release", "--app", name, "--json", str(tmp_path / f"{name}.json"))
            for name in apps[number::3]
        ]

    with ThreadPoolExecutor(3) as pool:
        done = [one for share in pool.map(job, range(3)) for one in share]
    assert [one.returncode for one in done] == [0] * len(apps), [one.stdout + one.stderr for one in done]
    estate.git("fetch", "--quiet", "origin", "main")
    subjects = estate.git("log", "--format=%s", "HEAD..origin/main").splitlines()
    assert sorted(subjects) == [f"Release {name}" for name in names]
    for name in names:
        report = json.loads((tmp_path / f"{name}.json").read_text())
        assert report["live_commit"] == report["pushed"]
        assert estate.page(report["url"]) == f"version 1 of {name}"
    estate.git("merge", "--quiet", "--ff-only", "origin/main")
    assert json.loads(estate.process("plan", "--matrix", "github").stdout) == {"include": []}
