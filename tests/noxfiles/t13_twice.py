"""T13: of two sessions of one name the later wins, with a warning."""

import nox

nox.options.default_venv_backend = "none"


@nox.session
def test(session):
    print("the first ran")


@nox.session(name="test")
def other(session):
    print("the second ran")
