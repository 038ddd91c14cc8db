# /// script
# dependencies = ["nox", "tomli"]
# ///
"""T24: a noxfile may say what it imports; nox makes an environment for it only if its own lacks something."""

import sys

import nox
import tomli

print("runs in", sys.executable)


@nox.session(venv_backend="none")
def lint(session):
    """Look at it."""
