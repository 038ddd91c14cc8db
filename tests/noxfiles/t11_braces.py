"""T11: `requires=` is formatted with `{python}` and `{py}` only; any other brace ends nox, even `-l`."""

import nox


@nox.session(venv_backend="none", requires=["build_{app}"])
def deploy(session):
    """Deploy."""
