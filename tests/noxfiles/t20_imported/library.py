import nox


@nox.session(venv_backend="none")
def push(session):
    print("push ran")


@nox.session(venv_backend="none", default=False)
def deploy(session):
    print("deploy ran")
