"""T23: a shim of pyenv that stands for an inactive Python hides that Python from nox."""

import nox


@nox.session(python="3.8", venv_backend="virtualenv", download_python="never")
def test(session):
    print("test ran")
