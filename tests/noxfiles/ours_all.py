"""A project's noxfile with two lines for us at its end."""

import nox

nox.options.default_venv_backend = "none"


@nox.session
def lint(session):
    """Look at the code."""
    print("lint ran")


@nox.session(default=False)
def docs(session):
    """Build the documentation."""
    print("docs ran")


import connect_tasks

connect_tasks.register()
