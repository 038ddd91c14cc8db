"""T15: `session.run(silent=True)` mixes the streams; what stands in argv is printed."""

import nox

PROGRAM = "import sys; print('out'); print('err', file=sys.stderr)"


@nox.session(venv_backend="none")
def program(session):
    print("result:", repr(session.run("python", "-c", PROGRAM, silent=True, external=True)))
    session.run("python", "-c", "pass", "--key", "hunter2", external=True)
