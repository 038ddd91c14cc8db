"""Python's garbage collector steps back while a verb runs, and is as it was afterwards."""

from __future__ import annotations

import json
import subprocess
import sys

LOOK = """
import gc, json
from connect_tasks.garbage import SELDOM, seldom_collected

usual = gc.get_threshold()
try:
    with seldom_collected():
        meanwhile = gc.get_threshold()
        raise KeyError
except KeyError:
    pass
print(json.dumps([meanwhile[0] == SELDOM, gc.isenabled(), gc.get_threshold() == usual, gc.get_freeze_count() > 1000]))
"""


def test_it_is_seldom_at_work_and_comes_back() -> None:
    """In a process of its own: what is frozen stays so."""
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, True, True, True]


def test_a_verb_runs_so() -> None:
    code = (
        "import gc, sys, connect_tasks.__main__ as entry\n"
        "sys.argv = ['connect-tasks', '--version']\n"
        "try:\n    entry.main()\nexcept SystemExit:\n    pass\n"
        "print(gc.get_freeze_count() > 1000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"
