"""A noxfile that has a `test` and a `release` of its own, as four of ten public ones have."""

import nox

import connect_tasks

nox.options.default_venv_backend = "none"


@nox.session
def test(session):
    """Test, our way."""
    print("the project's test ran")


@nox.session
def release(session):
    """Release to the index."""
    print("the project's release ran")


@nox.session
def connect_release(session):
    """The other name is taken, too."""


@nox.session(default=False)
def release_alpha(session):
    """A name that we would give to the app alpha."""


connect_tasks.register()
connect_tasks.register()  # twice, as when two people add it
