"""The cure: another name. Options are those of `nox.session`."""

import nox

import connect_tasks


@nox.session(venv_backend="none")
def release(session):
    """Release to the index."""


connect_tasks.register("manifest", "release", prefix="connect_", tags=["ship"])
connect_tasks.register("check", default=True)
connect_tasks.register("check")  # asking again changes nothing
