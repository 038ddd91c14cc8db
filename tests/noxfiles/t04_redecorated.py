"""T4: registering a registered function anew drops all that was said of it."""

import nox


@nox.session(tags=["ship"], default=False, requires=["lint"], venv_backend="none")
def release(session):
    """Ship it."""


@nox.session(venv_backend="none")
def lint(session):
    """Look at it."""


again = nox.session(name="again")(release)

for each in (release, again):
    print(each.name, each.tags, each.default, each.requires, each.venv_backend)
