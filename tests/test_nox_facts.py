"""Facts about nox that the design rests on, each shown by the real nox on a small noxfile (`tests/noxfiles`).

A test here that fails after an upgrade of nox is news, not a fault: look up the fact's number in the code.
T16 and T25 are prices: `benchmarks/listing.py`.
"""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nox.sessions import Session

from .nox_runs import Nox, environment, place


@pytest.fixture
def nox(tmp_path: Path) -> Nox:
    return Nox(tmp_path / "project")


def test_t1_t2_a_lazy_import_asks_twice_and_a_submodule_of_the_name_wins(nox: Nox) -> None:
    run = nox("t01_lazy_import", "-l")

    assert "asked for: ['freeze', 'freeze']" in run.out
    assert "deploy is a module" in run.out
    assert set(run.listed()) == {"freeze"}


def test_t3_a_linter_deletes_the_import_that_registers(tmp_path: Path) -> None:
    ruff = pytest.importorskip("ruff", reason="ruff is in the group `lint`")
    noxfile = place("t03_sugar_import", tmp_path) / "noxfile.py"

    subprocess.run(
        [ruff.find_ruff_bin(), "check", "--isolated", "--select", "F401", "--fix", "--quiet", noxfile], check=True
    )

    assert "import" not in noxfile.read_text().split('"""')[2]


def test_t4_decorating_again_drops_what_was_said(nox: Nox) -> None:
    run = nox("t04_redecorated", "-l")

    assert "release ['ship'] False ['lint'] none" in run.out
    assert "again [] True [] None" in run.out


def test_t5_a_partial_has_no_text_of_its_own_and_breaks_nox(nox: Nox) -> None:
    assert "partial application" in nox("t05_partial", "-l").listed()["deploy"]  # the text of functools.partial

    other_python = nox("t05_partial", "-s", "lint", "-P", "3.12")

    assert other_python.err.strip().splitlines()[-1].startswith("AttributeError: 'functools.partial' object")


def test_t6_t19_order_is_no_safety_and_arguments_reach_every_session(nox: Nox) -> None:
    run = nox("t06_order", "-s", "test", "deploy", "--", "--target", "live")
    stopped = nox("t06_order", "-x", "-s", "test", "deploy")

    assert (run.status, run.out) == (1, "deploy ran with ['--target', 'live']\n")
    assert (stopped.status, stopped.out) == (1, "")


def test_t7_skipped_counts_as_success(nox: Nox) -> None:
    run = nox("t07_skipped", "-s", "deploy")
    in_ci = nox("t07_skipped", "-s", "deploy", CI="1")

    assert (run.status, run.out) == (0, "deploy ran\n")
    assert "Session test skipped: Python interpreter 2.6 not found" in run.err
    assert (in_ci.status, in_ci.out) == (1, "")


def test_t8_no_dependencies_means_none(nox: Nox) -> None:
    assert nox("t07_skipped", "-s", "after_broken").out == ""
    assert nox("t07_skipped", "-s", "after_broken", "--no-dependencies").out == "after_broken ran\n"


def test_t8_t17_parallel_sessions_share_nothing_and_cannot_ask(nox: Nox) -> None:
    run = nox("t08_parallel", "-j", "2", "-s", "one", "two", "alone")

    assert "one: saw ['one']" in run.out
    assert "two: saw ['two']" in run.out
    assert run.out.count("stdin says ''") == 2
    assert len({line.split("pid ")[1].split(",")[0] for line in run.out.splitlines() if "pid " in line}) == 3


@pytest.mark.parametrize(
    ("arguments", "ran"),
    [
        ((), {"lint"}),
        (("-k", "not lint"), {"deploy", "connect-deploy"}),
        (("-t", "ship"), {"deploy"}),
        (("-k", "connect-deploy"), {"deploy"}),
    ],
    ids=["t20-bare", "t9-keyword", "t9-tag", "t10-arithmetic"],
)
def test_t9_t10_keywords_and_tags_select_what_is_no_default(
    nox: Nox, arguments: tuple[str, ...], ran: set[str]
) -> None:
    run = nox("t09_keywords", *arguments)

    assert {line.removesuffix(" ran") for line in run.out.splitlines()} == ran


def test_t11_a_brace_in_requires_breaks_the_listing(nox: Nox) -> None:
    run = nox("t11_braces", "-l")

    assert (run.status, run.out) == (3, "")
    assert "Session not found: app" in run.err


def test_t12_requiring_nobody_fails_only_when_selected(nox: Nox) -> None:
    assert nox("t07_skipped", "-l").status == 0
    assert nox("t07_skipped", "-s", "lonely").status == 3


def test_t13_the_later_of_two_wins(nox: Nox) -> None:
    run = nox("t13_twice")

    assert run.out == "the second ran\n"
    assert "has already been registered; this will be an error in a future version" in run.err


def test_t14_a_noxfile_that_raises_has_no_sessions(nox: Nox) -> None:
    run = nox("t14_raises", "-s", "lint")

    assert (run.status, run.out) == (1, "")
    assert run.err.strip().splitlines()[-1] == "ValueError: the configuration of something else is wrong"


def test_t15_streams_are_mixed_and_argv_is_printed(nox: Nox) -> None:
    run = nox("t15_output")

    assert "err" in run.out.split("result:")[1].splitlines()[0]
    assert "--key hunter2" in run.err


@pytest.mark.parametrize("session", ["test", "program", "crash"])
def test_t18_every_failure_is_one(nox: Nox, session: str) -> None:
    assert nox("t06_order", "-s", session).status == 1


def test_t18_a_skip_is_success_and_leaving_loses_the_rest(nox: Nox) -> None:
    skipped = nox("t06_order", "-s", "skipped")
    left = nox("t06_order", "-s", "leaves", "deploy")

    assert skipped.status == 0
    assert "Session skipped skipped: not today" in skipped.err
    assert (left.status, left.out) == (2, "")


def test_t20_imported_sessions_are_default_ones(nox: Nox) -> None:
    assert nox("t20_imported").out == "push ran\n"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_t21_an_interrupt_kills_a_child_that_takes_its_time(tmp_path: Path) -> None:
    directory = place("t21_interrupt", tmp_path / "project")
    run = subprocess.Popen(
        [sys.executable, "-m", "nox"], cwd=directory, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not (directory / "ready").exists():
        assert run.poll() is None
        time.sleep(0.02)

    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=60)

    assert run.returncode == 130
    assert out == b""  # the sessions after it are lost as well
    assert (directory / "signals").read_text() == "SIGTERM "  # and never "done": it was killed
    limits = inspect.signature(Session.run).parameters
    assert (limits["interrupt_timeout"].default, limits["terminate_timeout"].default) == (0.3, 0.2)


def test_t22_rsconnect_lists_the_environments_of_nox(nox: Nox) -> None:
    nox.directory.mkdir()
    (nox.directory / "app.py").write_text("app = None\n")
    (nox.directory / "requirements.txt").write_text("")

    run = nox("t22_own_directory", "--", sys.executable)

    assert run.status == 0, run.err
    assert '".nox/manifest/' in (nox.directory / "manifest.json").read_text()


@pytest.mark.skipif(os.name == "nt", reason="shims are shell scripts")
def test_t23_a_shim_hides_an_installed_python(nox: Nox, tmp_path: Path) -> None:
    shims, versions = tmp_path / "pyenv" / "shims", tmp_path / "pyenv" / "versions" / "3.8.18" / "bin"
    shims.mkdir(parents=True)
    versions.mkdir(parents=True)
    shim = shims / "python3.8"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.8: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    (versions / "python3.8").symlink_to(sys.executable)

    run = nox("t23_shim", PATH=str(shims), PYENV_ROOT=str(tmp_path / "pyenv"))

    assert (run.status, run.out) == (0, "")
    assert "Session test skipped: Python interpreter 3.8 not found" in run.err


def test_t24_script_mode_stays_at_home_where_nothing_is_missing(nox: Nox) -> None:
    run = nox("t24_script_mode", "-l")

    assert f"runs in {sys.executable}" in run.out
    assert not (nox.directory / ".nox").exists()
