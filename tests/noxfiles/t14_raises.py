"""T14: an exception while the noxfile loads takes every session with it."""

import nox


@nox.session(venv_backend="none")
def lint(session):
    print("lint ran")


raise ValueError("the configuration of something else is wrong")
