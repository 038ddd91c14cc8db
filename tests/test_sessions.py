"""Our sessions in the noxfiles of others (`tests/noxfiles/ours_*.py`), run by the real nox."""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import connect_tasks
from connect_tasks.verbs import EXIT_CODES, NAMES, VERBS

from .nox_runs import Nox, NoxRun, environment, run_nox

SUMMARIES = {verb.name: verb.summary for verb in VERBS}


@pytest.fixture
def nox(tmp_path: Path) -> Nox:
    return Nox(tmp_path / "project")


@pytest.fixture
def project(nox: Nox) -> Nox:
    """A repository whose commit holds an app, and neither requirements nor manifest."""
    write(nox.directory, "app.py", "app = None\n")
    write(nox.directory, "pyproject.toml", '[tool.connect-tasks]\nmode = "flask"\n')
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "work"]):
        subprocess.run(["git", *command], cwd=nox.directory, check=True)
    return nox


def write(directory: Path, name: str, text: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(text)


def last_line(run: NoxRun) -> str:
    return run.err.strip().splitlines()[-1]


# what is registered ---------------------------------------------------------------------------------------------------


def test_every_verb_is_a_session_with_its_text_and_none_is_a_default_one(nox: Nox) -> None:
    run = nox("ours_all", "-l")

    assert run.listed() == {"lint": "Look at the code.", "docs": "Build the documentation.", **SUMMARIES}
    assert run.selected() == {"lint"}


def test_a_bare_nox_ships_nothing(nox: Nox) -> None:
    run = nox("ours_all")

    assert (run.status, run.out) == (0, "lint ran\n")


def test_other_pythons_get_the_texts_too(nox: Nox) -> None:
    listed = nox("ours_all", "-l", "-P", "3.12").listed()

    assert {f"{name}-3.12": text for name, text in SUMMARIES.items()}.items() <= listed.items()


def test_the_manual_of_a_session(nox: Nox) -> None:
    manual = nox("ours_all", "--usage", "release").out

    assert manual.startswith(SUMMARIES["release"])
    assert "nox -s release -- --help" in manual


def test_names_that_the_noxfile_has_are_left_to_it(nox: Nox) -> None:
    run = nox("ours_clash", "-l")

    free = set(NAMES) - {"test", "release"}
    assert set(run.listed()) == {"test", "release", "release_alpha", "connect_release", "connect_test", *free}
    assert run.listed()["connect_test"] == SUMMARIES["test"]
    assert run.listed()["connect_release"] == "The other name is taken, too."
    assert run.selected() == {"test", "release", "connect_release"}
    assert run.err == ""
    assert nox("ours_clash", "-s", "test").out == "the project's test ran\n"


@pytest.mark.parametrize("noxfile", ["ours_explicit_clash", "ours_sugar_clash"])
def test_a_name_asked_for_that_the_noxfile_has_is_an_error_with_the_cure(nox: Nox, noxfile: str) -> None:
    run = nox(noxfile, "-l")

    assert run.status == 1
    assert last_line(run).endswith(
        "CT105: the noxfile has a session `release` already; register ours under another name: "
        'connect_tasks.register("release", prefix="connect_")'
    )


def test_the_cure_cures_and_options_are_those_of_nox(nox: Nox) -> None:
    run = nox("ours_prefix", "-l")

    assert set(run.listed()) == {"release", "connect_manifest", "connect_release", "check"}
    assert "- connect_release [ship]" in run.out
    assert run.selected() == {"release", "check"}


def test_the_import_is_sugar(nox: Nox) -> None:
    run = nox("ours_sugar", "-l")

    assert run.listed() == {name: SUMMARIES[name] for name in ("manifest", "release")}
    assert run.selected() == set()


@pytest.mark.parametrize(
    ("noxfile", "words"),
    [
        ("ours_typo", "CT100: connect_tasks has no session `relase`; did you mean release?"),
        ("ours_late_options", 'CT105: session `release` is registered already: call register("release", ...) before'),
        ("ours_defaults", "CT100: a bare `nox` would ship; name sessions:"),
    ],
)
def test_mistakes_in_a_noxfile_are_one_clear_line(nox: Nox, noxfile: str, words: str) -> None:
    assert words in last_line(nox(noxfile, "-l"))


def test_no_module_shares_a_name_with_a_session() -> None:
    """T2: once such a module is imported, `from connect_tasks import NAME` registers nothing."""
    modules = {module.name for module in pkgutil.iter_modules(connect_tasks.__path__)}

    assert modules.isdisjoint({*NAMES, "register"})


@pytest.mark.parametrize("code", ["", "connect_tasks.register()", "from connect_tasks import release"])
def test_nothing_heavy_is_imported_before_a_session_runs(code: str, tmp_path: Path) -> None:
    tables = "[tool.connect-tasks.apps.a]\npath = 'a'\n[tool.connect-tasks.apps.b]\npath = 'b'\n"
    write(tmp_path, "pyproject.toml", tables)
    heavy = {"rsconnect", "posit", "git", "requests", "rich", "aiohttp", "starlette", "detect_secrets"}
    program = f"import sys, connect_tasks\n{code}\nprint(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert loaded & {*heavy, "connect_tasks.runner"} == set()
    assert ("nox" in loaded) == bool(code)


# several apps ---------------------------------------------------------------------------------------------------------


def test_each_of_several_apps_has_a_release_of_its_own(project: Nox) -> None:
    tables = "\n".join(f'[tool.connect-tasks.apps.{name}]\npath = "{name}"\n' for name in ("alpha", "beta-2"))
    write(project.directory, "pyproject.toml", tables)

    listed = project("ours_all", "-l").listed()
    project("ours_all", "-s", "release_beta-2", "--", "--json", "report.json")

    assert listed["release_alpha"] == "Release the app alpha."
    assert len(listed) == 2 + len(NAMES) + 2
    assert json.loads((project.directory / "report.json").read_text())["app"] == "beta-2"


def test_so_has_an_app_whose_table_stands_beside_it(project: Nox) -> None:
    (project.directory / "app.py").unlink()
    write(project.directory, "pyproject.toml", '[tool.connect-tasks]\nbranch = "main"\n')
    for name in ("alpha", "beta", "not-added"):
        write(project.directory / "apps" / name, "pyproject.toml", "[tool.connect-tasks]\n")
    subprocess.run(["git", "add", "apps/alpha", "apps/beta"], cwd=project.directory, check=True)

    listed = project("ours_all", "-l").listed()

    assert [name for name in listed if name.startswith("release_")] == ["release_alpha", "release_beta"]


def test_the_name_of_an_apps_release_yields_too(nox: Nox) -> None:
    tables = "\n".join(f'[tool.connect-tasks.apps.{name}]\npath = "{name}"\n' for name in ("alpha", "beta"))
    write(nox.directory, "pyproject.toml", tables)

    listed = nox("ours_clash", "-l").listed()

    assert listed["release_alpha"] == "A name that we would give to the app alpha."
    assert listed["connect_release_alpha"] == "Release the app alpha."
    assert listed["release_beta"] == "Release the app beta."


def test_a_thousand_apps_are_a_thousand_more_sessions(nox: Nox) -> None:
    tables = "\n".join(f'[tool.connect-tasks.apps.app{number}]\npath = "a{number}"' for number in range(1000))
    write(nox.directory, "pyproject.toml", tables)

    run = nox("ours_all", "-l")

    assert len(run.listed()) == 2 + len(NAMES) + 1000
    assert run.selected() == {"lint"}


@pytest.mark.parametrize(
    "text",
    ["[tool.connect-tasks\n", '[tool.connect-tasks]\napps = "many"\n', "[tool]\nconnect-tasks = 3\n", "\x00\xff"],
    ids=["no-toml", "no-table-of-apps", "no-table", "no-text"],
)
def test_a_bad_table_is_our_sessions_problem_only(project: Nox, text: str) -> None:
    (project.directory / "pyproject.toml").write_bytes(text.encode("latin-1"))

    lint = project("ours_all", "-s", "lint")
    check = project("ours_all", "-s", "check")

    assert (lint.status, lint.out) == (0, "lint ran\n")
    assert check.status == 1
    assert "CT10" in check.out
    assert "Traceback" not in check.err


# how they run ---------------------------------------------------------------------------------------------------------


def test_a_failure_is_told_and_nox_goes_on(project: Nox) -> None:
    run = project("ours_all", "-s", "check", "lint")

    assert run.status == 1
    assert "CT490" in run.out
    assert f"Session check aborted: exit code 2, {EXIT_CODES[2]}." in run.err
    assert run.out.endswith("lint ran\n")


@pytest.mark.parametrize(
    ("noxfile", "next_command"),
    [
        ("ours_all", "nox -s manifest"),
        ("ours_manifest", "nox -s connect_manifest"),  # the project has a `manifest` of its own
        ("ours_few", "python -m connect_tasks manifest"),  # nobody asked for that session
    ],
)
def test_a_hint_names_the_session_that_the_noxfile_has(project: Nox, noxfile: str, next_command: str) -> None:
    assert project(noxfile, "-s", "commit").out.endswith(f"next: {next_command}\n")


def test_with_several_apps_a_problem_names_its_app(project: Nox) -> None:
    table = "[tool.connect-tasks.apps.one]\npath = 'one'\n[tool.connect-tasks.apps.two]\npath = 'two'\n"
    write(project.directory, "pyproject.toml", table)
    write(project.directory / "one", "app.py", "app = None\n")
    write(project.directory / "two", "app.py", "app = None\n")
    write(project.directory / "two", "requirements.in", "")
    for command in (["add", "."], ["commit", "-qm", "two apps"]):
        subprocess.run(["git", *command], cwd=project.directory, check=True)

    said = project("ours_all", "-s", "freeze").out

    assert " one: CT" in said
    assert " two: CT" in said


def test_libraries_do_not_talk_through_nox(project: Nox) -> None:
    """nox logs at DEBUG for the whole process, and GitPython logs every argv."""
    talk = [line for line in project("ours_all", "-s", "check").err.splitlines() if not line.startswith("nox > ")]

    assert talk == []


def test_a_python_that_nox_lacks_is_no_reason_to_skip(project: Nox) -> None:
    """T7, T23: a skipped session would be a success."""
    run = project("ours_prefix", "-s", "check", "-P", "2.6")

    assert run.status == 1
    assert "CT490" in run.out


def test_an_argument_that_a_verb_lacks_is_an_error_of_that_verb(project: Nox) -> None:
    run = project("ours_all", "-s", "check", "push", "docs", "--", "--staged")

    assert run.status == 1
    assert "CT490" in run.out
    assert "Session push aborted: CT100: unrecognized arguments: --staged; next: nox -s push -- --help." in run.err
    assert run.out.endswith("docs ran\n")


def test_help_ends_neither_nox_nor_the_sessions_after_it(project: Nox) -> None:
    run = project("ours_all", "-s", "check", "push", "docs", "--", "--help")

    assert run.status == 0
    assert "usage: nox -s check -- " in run.out
    assert "usage: nox -s push -- " in run.out
    assert run.out.endswith("docs ran\n")


def test_a_yielded_name_stands_in_the_usage(nox: Nox) -> None:
    assert "usage: nox -s connect_test -- " in nox("ours_clash", "-s", "connect_test", "--", "-h").out


def test_the_key_does_not_come_back_from_a_mistyped_argument(project: Nox) -> None:
    run = project("ours_all", "-s", "check", "--", "--api-key=s3cr3t-k3y", CONNECT_API_KEY="s3cr3t-k3y")

    assert "unrecognized arguments: --api-key=****" in run.err
    assert "s3cr3t-k3y" not in run.err + run.out


def test_keywords_run_only_those_of_ours_that_they_name(project: Nox) -> None:
    """T9: `-k "not lint"` selects every session, default or not. Nobody means to ship by that."""
    unnamed = project("ours_all", "-k", "not lint")
    named = project("ours_all", "-k", "check or lint")

    assert (unnamed.status, unnamed.out) == (0, "docs ran\n")
    assert unnamed.err.count("skipped: nobody named it") == len(NAMES)
    assert named.status == 1
    assert "CT490" in named.out


def test_under_j_ours_run_alone_and_in_order(project: Nox) -> None:
    run = project("ours_all", "-j", "3", "--allow-parallel", "-s", "check", "lint", "push", "docs")

    order = [line.split()[2].rstrip(".") for line in run.out.splitlines() if line.startswith("Starting session ")]
    blocks = [line.split()[2].rstrip(":") for line in run.out.splitlines() if line.startswith("==========")]
    assert run.status == 1
    assert order.index("check") == 0
    assert blocks.index("check") == 0  # it had ended before anything else began
    assert blocks[order.index("push")] == "push"
    assert "CT490" in run.out


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_nox(project: Nox, tmp_path: Path, number: signal.Signals) -> None:
    """After `session.error` nox would go on with the next session: Ctrl-C in `release` and `deploy` begins."""
    project("ours_all", "-l")
    write(tmp_path / "bin", "git", f"#!/bin/sh\n[ $1 = grep ] && exit 1\ntouch '{tmp_path}/asked'\nexec sleep 60\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    env = environment()
    run = subprocess.Popen(
        [sys.executable, "-m", "nox", "-s", "check", "lint"],
        cwd=project.directory,
        env=env | {"PATH": os.pathsep.join((str(tmp_path / "bin"), env["PATH"]))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "asked").exists():
        assert run.poll() is None
        time.sleep(0.02)

    run.send_signal(number)
    out, err = run.communicate(timeout=60)

    assert run.returncode == 130
    assert "CT990: interrupted" in out
    assert "lint ran" not in out
    assert "Session check interrupted" in err


def test_sessions_run_from_another_directory(project: Nox, tmp_path: Path) -> None:
    project("ours_all", "-l")

    run = run_nox(tmp_path, "-f", str(project.directory / "noxfile.py"), "-s", "check")

    assert "CT490" in run.out
