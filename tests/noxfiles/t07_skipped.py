"""T7, T8, T12: what satisfies `requires=`, and what does not hold it."""

import nox


@nox.session(python="2.6", download_python="never", venv_backend="virtualenv")
def test(session):
    """No computer has this Python."""


@nox.session(requires=["test"], venv_backend="none")
def deploy(session):
    print("deploy ran")


@nox.session(venv_backend="none")
def broken(session):
    session.error("broken")


@nox.session(requires=["broken"], venv_backend="none")
def after_broken(session):
    print("after_broken ran")


@nox.session(requires=["nobody"], venv_backend="none", default=False)
def lonely(session):
    print("lonely ran")
