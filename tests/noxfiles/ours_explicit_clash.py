"""Asking for `release` by name, where the noxfile has one."""

import nox

import connect_tasks


@nox.session(venv_backend="none")
def release(session):
    """Release to the index."""


connect_tasks.register("release")
