"""T22: nox keeps its environments beside the noxfile, and rsconnect takes them for files of the app."""

import nox


@nox.session(venv_backend="venv", venv_params=["--without-pip"], python=None)
def manifest(session):
    session.run(
        "rsconnect", "write-manifest", "flask", ".", "--entrypoint", "app", "--python", session.posargs[0], external=True
    )
