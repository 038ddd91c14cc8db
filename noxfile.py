"""The project's own sessions, and the product's: `nox -l` is the manual.

`nox -s rehearse` releases sample_project to a local Connect server; nothing outside a scratch directory changes.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import nox
from nox.command import CommandFailed

import connect_tasks

nox.needs_version = ">=2026.8.10"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "tests"]


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests_all(session: nox.Session) -> None:
    """Run the tests on every Python that the tool supports."""
    _run_tests(session)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests (add `-- PATH` or any pytest argument)."""
    _run_tests(session)


@nox.session
def frameworks(session: nox.Session) -> None:
    """Deploy and visit an app of every framework (downloads about 2 GB the first time)."""
    session.install("-e", ".[emulator]", "--group", "test")
    session.run("pytest", "-m", "frameworks", "--timeout", "900", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take minutes: long races, many kills, heavy loads."""
    session.install("-e", ".[emulator]", "--group", "test")
    session.run("pytest", "-m", "slow", "--timeout", "1800", *session.posargs)


@nox.session
def oldest_git(session: nox.Session) -> None:
    """Run the tests of the repository with git 2.30, built from Debian's source the first time (8 minutes)."""
    session.install("-e", ".[emulator]", "--group", "test")
    build = ["sh", "tests/repository/build_oldest_git.sh", str(Path(session.cache_dir) / "git-2.30")]
    found = session.run(*build, external=True, silent=True, stderr=None)
    path = os.pathsep.join([str(found).strip().splitlines()[-1], session.env.get("PATH") or os.defpath])
    session.run("git", "--version", external=True, env={"PATH": path})
    tests = ["tests/repository", "-m", "not frameworks and not slow", *session.posargs]
    session.run("pytest", "-n", "2", "--dist", "loadscope", *tests, env={"PATH": path})


@nox.session
def faults(session: nox.Session) -> None:
    """Kill a release a thousand times, and two hundred processes, and write docs/faults.md (about an hour).

    CONNECT_TASKS_DEATHS and CONNECT_TASKS_KILLS say how many; CONNECT_TASKS_SEED repeats a failure.
    """
    session.install("-e", ".[emulator]", "--group", "test")
    ledger = Path(session.create_tmp())
    run = (
        "pytest",
        "tests/faults",
        "-m",
        "slow or not slow",
        "--timeout",
        "21600",
        "-k",
        "thousand or hundred or rerun",
    )
    session.run(*run, *session.posargs, env={"CONNECT_TASKS_LEDGER": str(ledger)})
    session.run("python", "tests/faults/table.py", str(ledger), "docs/faults.md")


@nox.session
def audit(session: nox.Session) -> None:
    """Look for known weaknesses in the dependencies; what can't be looked up is said, and is no failure."""
    session.install("-e", ".[emulator]", "pip-audit>=2.9")
    account = Path(session.create_tmp()) / "audit.json"
    account.unlink(missing_ok=True)
    options = ["--skip-editable", "--progress-spinner", "off", "--format", "json", "--output", str(account)]
    said = session.run("pip-audit", *options, silent=True, success_codes=[0, 1])
    if not account.exists():
        session.warn(f"the advisory database could not be asked: {str(said).strip().splitlines()[-1:]}")
        return
    found = json.loads(account.read_text(encoding="utf-8"))["dependencies"]
    packages = [one for one in found if one["name"] != "connect-tasks"]
    weak = [
        f"{one['name']} {one['version']}: {weakness['id']}" for one in packages for weakness in one.get("vulns", ())
    ]
    if weak:
        session.error(f"known weaknesses: {', '.join(weak)}")
    # "No known vulnerabilities found" is also what pip-audit says when it knew none of the packages.
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if unknown:
        session.warn(f"{len(unknown)} of {len(packages)} packages could not be looked up: {', '.join(unknown)}")
    session.log(f"no known weakness in {len(packages) - len(unknown)} packages")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the floor, as ratios taken in one run (`-- NAME ...` for some of benchmarks/, `-- write` for the
    page in the docs)."""
    session.install("-e", ".[emulator]", "--group", "test")
    names = [word for word in session.posargs if word != "write"]
    names = names or sorted(path.stem for path in Path("benchmarks").glob("[!_]*.py"))
    _measure(
        session, *([f"benchmarks/{name}.py"] for name in names), then="write" if "write" in session.posargs else "show"
    )


@nox.session
def bench_check(session: nox.Session) -> None:
    """Fail where a ratio has become half as much again as in docs/speed.json: a short form of the quick benchmarks."""
    session.install("-e", ".[emulator]", "--group", "test")
    short = (("listing", "5"), ("standstill", "5"), ("git_overhead", "5"), ("releasing", "1"))
    benchmarks = [[f"benchmarks/{name}.py", rounds] for name, rounds in short]
    try:
        _measure(session, *benchmarks, then="check")
    except CommandFailed:
        session.log("once more: a shared machine is busy for a while, a regression is there each time")
        _measure(session, *benchmarks, then="check")


def _measure(session: nox.Session, *benchmarks: Sequence[str], then: str) -> None:
    """Run them all, whatever they find; the table's verdict ends the session."""
    figures = Path(session.cache_dir, "figures.jsonl")  # not in create_tmp, which moves TMPDIR into this project
    figures.unlink(missing_ok=True)
    # The package is compiled first: where bytecode may not be written, each run would compile it again.
    env = {"PYTHONDONTWRITEBYTECODE": "", "FIGURES": str(figures), "LOAD": f"{os.getloadavg()[0]:.1f}"}
    for argv in benchmarks:
        session.run("python", *argv, env=env, success_codes=[0, 1])
    session.run("python", "benchmarks/_table.py", str(figures), then, env=env)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, strictly, into site/, and test it (add `-- serve` to read it while you write)."""
    session.install("-e", ".", "--group", "docs", "--group", "test")
    session.run("mkdocs", *(session.posargs or ("build", "--strict")), env={"NO_MKDOCS_2_WARNING": "1"})
    if not session.posargs:
        session.run("pytest", "tests/documentation/test_site.py", env={"CONNECT_TASKS_SITE": "site"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    session.install("--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly, and the direction of imports between our packages."""
    session.install("-e", ".[emulator]", "--group", "lint", "--group", "test")
    session.run("mypy")
    session.run("lint-imports")


def _run_tests(session: nox.Session) -> None:
    """Three at once, also on two cores: a test of a release waits for a quarter of its time, for pauses and servers."""
    session.install("-e", ".[emulator]", "--group", "test")
    session.run(
        "pytest", "-n", "3", "--dist", "loadscope", "-m", "not frameworks and not slow and not site", *session.posargs
    )


connect_tasks.register()
