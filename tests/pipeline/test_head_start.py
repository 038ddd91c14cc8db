"""What begins before it is certain what ships: it saves time where nothing else ships, and leaves no trace where it
does."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from connect_tasks.packages.environment_templates import SPARE

from .conftest import BARE_APP, Workshop

#: Waits, at the question whether the branch may be pushed to, until the tests have begun.
PATIENT_GIT = """#!/bin/sh
case " $* " in *" --dry-run "*)
    for _ in $(seq 600); do [ -s "{begun}" ] && break; sleep 0.05; done
    [ -s "{begun}" ] || {{ echo "the tests have not begun" >&2; exit 1; }} ;;
esac
exec "{git}" "$@"
"""


@pytest.fixture
def begun(workshop: Workshop, tmp_path: Path) -> Path:
    """A released app with a new commit, whose remote does not answer before this file has been written."""
    assert workshop.run("release").status == 0
    begun, git = tmp_path / "begun", shutil.which("git")
    place = tmp_path / "bin"
    place.mkdir()
    (place / "git").write_text(PATIENT_GIT.format(begun=begun, git=git))
    (place / "git").chmod(0o755)
    workshop.environ["PATH"] = f"{place}{os.pathsep}{workshop.environ['PATH']}"
    workshop.commit(app_py=BARE_APP.replace("version 1", "version 2"), test_app_py=writing(begun))
    return begun


def writing(begun: Path, more: str = "") -> str:
    """An app's test that says that it has begun, and which process it is."""
    return f"""import os


def test_app():
    with open({str(begun)!r}, "a") as file:
        print(os.getpid(), file=file)
{more}"""


def pids(begun: Path) -> list[int]:
    return [int(line) for line in begun.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_tests_run_while_the_remote_is_still_asked(workshop: Workshop, begun: Path) -> None:
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
    assert len(pids(begun)) == 1
    assert workshop.page(ran.report["url"]) == "version 2"
    stages = {stage["name"]: stage for stage in ran.report["stages"]}
    assert stages["test"]["detail"].startswith("1 passed")


def test_what_stops_the_release_ends_the_tests(workshop: Workshop, begun: Path) -> None:
    workshop.commit(test_app_py=writing(begun, "    import time\n    time.sleep(600)\n"))
    workshop.write("app.py", BARE_APP.replace("version 1", "version 3"))  # not committed
    before = workshop.remote()
    started = time.monotonic()
    ran = workshop.run("release")
    assert ran.status == 1
    assert "app.py" in ran.report["error"]["message"]
    assert time.monotonic() - started < 60, "it did not wait for the tests"
    assert not any(map(is_alive, pids(begun)))
    assert workshop.remote() == before


def test_pins_that_moved_are_what_is_tested(workshop: Workshop, begun: Path) -> None:
    """The tests that were begun with the old pins would never end: they are ended, and nothing of them is evidence."""
    waits = (
        "    import importlib.util, time\n    if not importlib.util.find_spec('markupsafe'):\n        time.sleep(600)\n"
    )
    workshop.commit(test_app_py=writing(begun, waits), **{"requirements.in": "markupsafe\n"})
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
    first, second = pids(begun)
    assert first != second
    assert not is_alive(first)
    assert "markupsafe==" in workshop.git("show", "HEAD:requirements.txt")
    assert workshop.remote() == workshop.head == ran.report["live_commit"]


def test_a_failure_is_told_once_and_by_its_own_stage(workshop: Workshop, begun: Path) -> None:
    workshop.commit(test_app_py=writing(begun, "    assert 'the page' == 'as it was'\n"))
    ran = workshop.run("release")
    assert (ran.status, ran.code) == (1, "CT500")
    assert ran.said.count("= FAILURES =") == 1
    assert [stage["name"] for stage in ran.report["stages"] if stage["result"] == "failed"] == ["test"]
    assert len(pids(begun)) == 1


def test_an_import_that_fails_is_told_by_the_test_stage(workshop: Workshop, begun: Path) -> None:
    workshop.commit(app_py="import no_such_module\n")
    begun.write_text("0\n")  # the remote need not wait
    ran = workshop.run("release")
    assert ran.status == 1
    assert "no_such_module" in ran.report["error"]["message"]
    assert [stage["name"] for stage in ran.report["stages"] if stage["result"] == "failed"] == ["test"]


def test_a_command_before_the_tests_comes_before_them(workshop: Workshop, begun: Path, tmp_path: Path) -> None:
    """It may start what they need: so they are not begun ahead. It takes longer than they would."""
    begun.write_text("0\n")
    made = tmp_path / "made-by-the-hook"
    workshop.commit(
        test_app_py=f"import os\n\n\ndef test_app():\n    assert os.path.exists({str(made)!r})\n",
        **{
            "pyproject.toml": (workshop.root / "pyproject.toml").read_text()
            + f'hooks = {{ before_test = ["sleep 3", "touch {made}"] }}\n'
        },
    )
    ran = workshop.run("release")
    assert ran.status == 0, ran.said


def test_what_the_next_run_takes_is_made_while_the_server_works(
    workshop: Workshop, begun: Path, tmp_path: Path
) -> None:
    """The copies of the environments in which the app is imported and tested."""
    workshop.environ["CONNECT_TASKS_CACHE"] = str(tmp_path / "cache")
    slow = f"import time\n\ntime.sleep(2)\n{BARE_APP.replace('version 1', 'version 2')}"
    workshop.commit(app_py=slow, test_app_py=writing(begun))
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
    spares = list((tmp_path / "cache").glob(f"environments/*/{SPARE}"))
    assert len(spares) == 2
    known = {spare.stat().st_ino for spare in spares}
    where = "\n\ndef test_where():\n    import os, sys\n    assert os.stat(sys.prefix).st_ino in " + f"{known}\n"
    workshop.commit(test_app_py=writing(begun, where))
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
