"""The short spelling, where the noxfile has such a name."""

import nox


@nox.session(venv_backend="none")
def release(session):
    """Release to the index."""


from connect_tasks import release
