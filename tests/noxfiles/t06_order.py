"""T6, T18, T19: a failure ends a session, not the run; what nox makes of each way to end."""

import nox

nox.options.default_venv_backend = "none"


@nox.session
def test(session):
    session.error("a test failed")


@nox.session
def deploy(session):
    print("deploy ran with", session.posargs)


@nox.session
def program(session):
    session.run("python", "-c", "raise SystemExit(7)", external=True)


@nox.session
def crash(session):
    raise RuntimeError("not a nox exception")


@nox.session
def skipped(session):
    session.skip("not today")


@nox.session
def leaves(session):
    raise SystemExit(2)
