"""T8, T17: under `-j` each session is a process of its own, and has nobody to ask."""

import os
import sys

import nox

seen = []


@nox.session(venv_backend="none", allow_parallel=True)
def one(session):
    seen.append("one")
    print(f"one: saw {seen}, pid {os.getpid()}, stdin says {sys.stdin.read()!r}")


@nox.session(venv_backend="none", allow_parallel=True)
def two(session):
    seen.append("two")
    print(f"two: saw {seen}, pid {os.getpid()}, stdin says {sys.stdin.read()!r}")


@nox.session(venv_backend="none", allow_parallel=False)
def alone(session):
    print(f"alone: pid {os.getpid()}")
