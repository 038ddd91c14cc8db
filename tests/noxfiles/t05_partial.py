"""T5: a partial as a session is listed with the text of `functools.partial`, and `-P` crashes all of nox."""

import functools

import nox


def deploy_app(session, app):
    """Deploy an app."""


nox.session(name="deploy", venv_backend="none")(functools.partial(deploy_app, app="one"))


@nox.session(venv_backend="none", python=False)
def lint(session):
    """Look at it."""
