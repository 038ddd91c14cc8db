"""T9, T10: `-k` and `-t` select sessions that are no default ones, and a dash in `-k` is arithmetic."""

import nox

nox.options.default_venv_backend = "none"


@nox.session
def lint(session):
    print("lint ran")


@nox.session(default=False, tags=["ship"])
def deploy(session):
    print("deploy ran")


@nox.session(name="connect-deploy", default=False)
def connect_deploy(session):
    print("connect-deploy ran")
