"""The pytest plugin, in the tests of somebody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TEST = """
import os
import urllib.request


def test_one(connect_server):
    assert "CONNECT_API_KEY" in os.environ  # the tester's own, which stays outside
    request = urllib.request.Request(connect_server.url + "/__api__/v1/user")
    request.add_header("Authorization", f"Key {connect_server.api_key}")
    assert urllib.request.urlopen(request).status == 200
    open("server", "w").write(str(connect_server.pid))


def test_two(connect_server):
    assert open("server").read() == str(connect_server.pid)
    assert connect_server.api_key not in repr(connect_server)
"""


def test_a_conftest_of_one_line_gives_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["connect_tasks.emulator.pytest_plugin"]\n')
    (tmp_path / "test_it.py").write_text(TEST)
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", "temp", "--rootdir", "."],
        cwd=tmp_path,
        env={**os.environ, "CONNECT_API_KEY": "not-for-tests", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert not Path(f"/proc/{(tmp_path / 'server').read_text()}").exists()
