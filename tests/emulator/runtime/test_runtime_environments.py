"""Environments hold exactly what the requirements say, and equal ones are built once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from connect_tasks.emulator.environments import BuildFailed, Environments, environment_key

pytestmark = pytest.mark.anyio


@pytest.fixture
def environments(tmp_path):
    return Environments(tmp_path / "environments")


@pytest.fixture
def log():
    return []


@pytest.fixture
def prepare(environments, own_python, tmp_path, log):
    async def prepare(requirements, directory=tmp_path, interpreter=own_python):
        return await environments.prepare(interpreter, requirements, log.append, directory=directory)

    return prepare


def importable(environment) -> set[str]:
    """What the environment's own Python says it has, beyond the standard library."""
    question = (
        "import json; from importlib.metadata import distributions as d; print(json.dumps([x.name for x in d()]))"
    )
    answer = subprocess.run([environment.python, "-I", "-c", question], check=True, capture_output=True, text=True)
    return set(json.loads(answer.stdout))


async def test_exactly_the_list_not_even_pip(prepare, log):
    built = await prepare("blinker==1.9.0\nitsdangerous==2.2.0  # signs\n")
    assert importable(built) == {"blinker", "itsdangerous"}
    assert built.packages == (("blinker", "1.9.0"), ("itsdangerous", "2.2.0"))
    assert not built.cached
    assert len(built.key) == 22
    assert f"Creating environment: {built.key}" in log
    assert any("blinker==1.9.0" in line for line in log)


async def test_the_second_time_it_is_taken_from_the_cache_also_by_another_server(prepare, environments, log):
    built = await prepare("blinker==1.9.0\n")
    log.clear()
    again = await prepare("# comments do not matter\n\nblinker==1.9.0")
    assert (again.path, again.packages, again.cached) == (built.path, built.packages, True)
    assert log == [f"Using cached environment: {built.key}"]
    assert Environments(built.path.parent).open(built.key) == again
    assert environments.open("never-built") is None


async def test_many_at_once_build_once(prepare, log):
    built = await asyncio.gather(*(prepare("blinker==1.9.0") for _ in range(10)))
    assert len({each.path for each in built}) == 1
    assert sum(not each.cached for each in built) == 1
    assert sum(line.startswith("Creating") for line in log) == 1


async def test_what_connect_skips_is_skipped(prepare, log):
    hashed = "rsconnect-python==1.32.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n"
    built = await prepare(f"{hashed}blinker==1.9.0\nappnope==0.1.4\nRSConnect_Python\n")
    assert built.packages == (("blinker", "1.9.0"),)
    assert "Skipped packages: rsconnect-python==1.32.0, appnope==0.1.4, RSConnect_Python" in log


async def test_a_build_that_was_cut_off_is_begun_again(prepare, environments):
    built = await prepare("blinker==1.9.0")
    (built.path / "complete.json").unlink()  # as after kill -9: the marker is written last
    shutil.rmtree(next(built.path.glob("lib/python*/site-packages/blinker")))
    assert environments.open(built.key) is None
    again = await prepare("blinker==1.9.0")
    assert not again.cached
    assert importable(again) == {"blinker"}


async def test_an_environment_whose_interpreter_is_gone_is_built_again(prepare):
    built = await prepare("blinker==1.9.0")
    built.python.unlink()
    built.python.symlink_to("/no/such/python")
    again = await prepare("blinker==1.9.0")
    assert not again.cached
    assert importable(again) == {"blinker"}


async def test_a_version_that_does_not_exist_fails_with_connects_code_in_one_line(prepare, environments, own_python):
    requirements = "blinker==99.98"
    with pytest.raises(BuildFailed, match=r"blinker==99\.98") as caught:
        await prepare(requirements)
    assert caught.value.code == "python-package-version-not-available"
    assert "\n" not in str(caught.value)
    assert environments.open(environment_key(own_python.version, requirements, Path())) is None


async def test_requirements_that_cannot_be_read_fail_with_another_code(prepare):
    with pytest.raises(BuildFailed) as caught:
        await prepare("what is this?")
    assert caught.value.code == "python-package-install-failed"


async def test_paths_are_relative_to_the_bundle_and_such_environments_are_not_shared(prepare, bundle):
    first = bundle({"requirements.txt": "-r more/list.txt\n", "more/list.txt": "blinker==1.9.0\n"}, "one")
    second = bundle({"requirements.txt": "-r more/list.txt\n", "more/list.txt": "itsdangerous==2.2.0\n"}, "two")
    built = [await prepare("-r more/list.txt\n", directory) for directory in (first, second)]
    assert [each.packages for each in built] == [(("blinker", "1.9.0"),), (("itsdangerous", "2.2.0"),)]
    assert sorted(path.name for path in first.iterdir()) == ["more", "requirements.txt"], "nothing of ours stays there"


async def test_the_web_servers_lie_beside_and_are_no_part_of_it(prepare):
    built = await prepare("")
    assert built.packages == ()
    assert {"waitress", "uvicorn", "websockets", "h11"} <= {path.name for path in built.overlay.iterdir()}
    assert importable(built) == set()


async def test_builds_see_no_key_of_the_publisher(prepare, bundle, monkeypatch, log):
    monkeypatch.setenv("CONNECT_API_KEY", "the-publishers-key")
    monkeypatch.setenv("CONNECT_TASKS_EMULATOR_KEY", "the-emulators-key")
    source = bundle(
        {
            "lib/pyproject.toml": """
            [build-system]
            requires = []
            build-backend = "backend"
            backend-path = ["."]
            [project]
            name = "nosy"
            version = "1"
            """,
            "lib/backend.py": """
            import os
            names = sorted(name for name in os.environ if name.startswith("CONNECT_"))
            raise SystemExit("seen: %s %s" % (names, os.environ.get("HOME")))
            """,
        }
    )
    with pytest.raises(BuildFailed):
        await prepare("./lib\n", source)
    assert any("seen: ['CONNECT_TASKS_EMULATOR_DATA']" in line for line in log)
    assert os.environ["HOME"] in "\n".join(log)  # where the user's own index settings are


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("3.11.1", "a==1\nb==2"), ("3.11.1", "a==1\nb==2\n"), True),
        (("3.11.1", "a==1"), ("3.11.2", "a==1"), False),
        (("3.11.1", "a==1"), ("3.11.1", "a==2"), False),
        (("3.11.1", "a==1  # why"), ("3.11.1", "# what\na==1\n\n"), True),
        (("3.11.1", "a\nb"), ("3.11.1", "ab"), False),
    ],
)
async def test_keys(one, other, same):
    assert (environment_key(*one, Path("x")) == environment_key(*other, Path("y"))) is same
