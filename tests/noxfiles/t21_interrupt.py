"""T21: on an interrupt nox gives a child 0.3 s, then TERM, and KILL 0.2 s later."""

import nox

#: Notes each signal, and takes the time that a commit with a slow hook takes.
CHILD = """
import pathlib, signal, time
note = pathlib.Path("signals")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: note.open("a").write(signal.Signals(number).name + " "))
pathlib.Path("ready").touch()
for _ in range(200):
    time.sleep(0.1)
note.open("a").write("done")
"""


@nox.session(venv_backend="none")
def commit(session):
    session.run("python", "-c", CHILD, external=True)


@nox.session(venv_backend="none")
def push(session):
    print("push ran")
