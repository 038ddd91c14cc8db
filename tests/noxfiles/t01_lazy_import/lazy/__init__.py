import nox

asked = []
made = {}


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    asked.append(name)
    if name not in made:

        def run(session):
            """Made when it was asked for."""

        made[name] = nox.session(name=name, venv_backend="none")(run)
    return made[name]
