"""A noxfile whose own `manifest` is of a ship: ours is `connect_manifest`, and hints say so."""

import nox

import connect_tasks

nox.options.default_venv_backend = "none"


@nox.session
def manifest(session):
    """List the cargo."""


connect_tasks.register()
