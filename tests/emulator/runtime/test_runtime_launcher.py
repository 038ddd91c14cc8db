"""How an app is found and started: entrypoints, its environment, what it sees of the world."""

from __future__ import annotations

import json
import textwrap

import pytest

from connect_tasks.emulator.instances import StartFailed
from connect_tasks.emulator.interpreters import choose_interpreter, find_interpreters

pytestmark = pytest.mark.anyio

WSGI = textwrap.dedent("""
    def {name}(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"{name} of {file}"]
""")


def wsgi(name: str = "app", file: str = "app") -> str:
    return WSGI.format(name=name, file=file)


FACTORY = textwrap.dedent("""
    def {name}():
        def made(environ, start_response):
            start_response("200 OK", [])
            return [b"made by {name}"]
        return made
""")


@pytest.mark.parametrize(
    ("entrypoint", "files", "answer"),
    [
        ("app", {"app.py": wsgi()}, "app of app"),
        ("app:app", {"app.py": wsgi()}, "app of app"),
        ("app.py", {"app.py": wsgi()}, "app of app"),
        ("app.py:application", {"app.py": wsgi("application")}, "application of app"),
        ("main", {"main.py": wsgi("application", "main")}, "application of main"),
        ("main:server", {"main.py": wsgi("server", "main") + wsgi("app", "main")}, "server of main"),
        ("pkg.web:app", {"pkg/__init__.py": "", "pkg/web.py": wsgi("app", "pkg")}, "app of pkg"),
        ("pkg/web.py", {"pkg/web.py": wsgi("app", "namespace")}, "app of namespace"),
        ("app:holder.app", {"app.py": wsgi() + "\nclass holder: app = staticmethod(app)\n"}, "app of app"),
        ("app", {"app.py": FACTORY.format(name="create_app")}, "made by create_app"),
        ("app", {"app.py": FACTORY.format(name="make_app")}, "made by make_app"),
        ("app", {"app.py": FACTORY.format(name="create_app") + wsgi()}, "app of app"),
        ("my-app", {"my-app.py": wsgi("app", "my-app")}, "app of my-app"),
        ("app", {"app.py": "from beside import app", "beside.py": wsgi("app", "beside")}, "app of beside"),
        # names of ours and of the standard library that an app may use as its own
        ("proxy", {"proxy.py": wsgi("app", "proxy"), "supervisor.py": "1/0", "instances.py": "1/0"}, "app of proxy"),
    ],
)
async def test_entrypoints(front, build, bundle, entrypoint, files, answer):
    launch = front.mount(bundle(files), await build(), entrypoint=entrypoint)
    assert await front.get(launch) == (200, answer)


@pytest.mark.parametrize(
    ("entrypoint", "app", "said"),
    [
        ("app:missing", wsgi(), "entrypoint 'app:missing': module 'app' has no 'missing'"),
        ("app", "web = 1", "module 'app' has none of app, application, create_app, make_app"),
        ("other", wsgi(), "No module named 'other'"),
        ("app", "import flask", "No module named 'flask'"),
        ("app", "1 / 0", "ZeroDivisionError"),
        ("app", "import sys; print('on my way out'); sys.exit(4)", "on my way out"),
    ],
)
async def test_what_does_not_start_says_why(front, build, bundle, entrypoint, app, said):
    launch = front.mount(bundle({"app.py": app}), await build(), entrypoint=entrypoint)
    with pytest.raises(StartFailed, match=r"the app ended with exit code \d before it answered") as caught:
        await front.instances.get(launch)
    assert said in caught.value.log


@pytest.mark.parametrize(
    "module", ["waitress", "uvicorn", "click", "h11", "websockets", "pip", "starlette", "launcher", "connect_tasks"]
)
@pytest.mark.parametrize("mode", ["python-api", "python-fastapi"])
async def test_an_app_that_imports_what_it_did_not_declare_does_not_start(front, build, bundle, module, mode):
    """Also where the web server beside it has just that."""
    launch = front.mount(bundle({"app.py": f"import {module}\n{wsgi()}"}), await build(), mode=mode)
    with pytest.raises(StartFailed) as caught:
        await front.instances.get(launch)
    assert f"No module named '{module}'" in caught.value.log


async def test_a_factory_is_no_way_around_that(front, build, bundle):
    files = {"app.py": "def create_app():\n    import h11\n"}
    with pytest.raises(StartFailed) as caught:
        await front.instances.get(front.mount(bundle(files), await build()))
    assert "No module named 'h11'" in caught.value.log


async def test_a_web_server_that_the_app_pins_wins(front, build, bundle):
    files = {
        "app.py": """
            async def app(scope, receive, send):
                if scope["type"] != "http":
                    return
                import uvicorn, h11
                text = "%s %s" % (uvicorn.__version__, "web-servers" in uvicorn.__file__ + h11.__file__)
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": text.encode()})
            """
    }
    launch = front.mount(bundle(files), await build("uvicorn==0.30.6"), mode="python-fastapi")
    assert await front.get(launch) == (200, "0.30.6 False")


SEEN = """
    import json, os, sys

    def app(environ, start_response):
        start_response("200 OK", [])
        seen = {"variables": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "argv": sys.argv,
                "version": sys.version.split()[0], "prefix": sys.prefix}
        return [json.dumps(seen).encode()]
"""


async def test_the_app_sees_connects_variables_and_its_own_and_nothing_of_ours(front, build, bundle, monkeypatch):
    monkeypatch.setenv("CONNECT_API_KEY", "the-publishers-key")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("TMPDIR", "/tmp")
    directory, environment = bundle({"app.py": SEEN}), await build()
    launch = front.mount(directory, environment, CONNECT_SERVER="http://connect/", COLOUR="green", LANG="de_DE.UTF-8")
    instance = await front.instances.get(launch)
    seen = json.loads((await front.get(launch))[1])
    variables = seen["variables"]
    assert variables.pop("PATH").startswith(f"{environment.path}/bin:")
    home = variables.pop("HOME")
    for name in ("TZ", "LC_CTYPE"):
        variables.pop(name, None)
    assert variables == {
        "POSIT_PRODUCT": "CONNECT",
        "RSTUDIO_PRODUCT": "CONNECT",
        "CONNECT_CONTENT_GUID": launch.guid,
        "CONNECT_CONTENT_JOB_KEY": instance.job_key,
        "CONNECT_SERVER": "http://connect/",
        "COLOUR": "green",
        "LANG": "de_DE.UTF-8",
        "FLASK_RUN_FROM_CLI": "true",
        "CONNECT_TASKS_EMULATOR_DATA": home.partition("/homes/")[0],
    }
    assert home.endswith(launch.guid)
    assert seen["cwd"] == seen["path"][0] == str(directory)
    assert seen["prefix"] == str(environment.path)
    assert seen["argv"] == ["app"]
    assert "connect_tasks" not in "".join(seen["path"]).replace(str(environment.path.parent), "")


async def test_pythons_own_variables_are_the_apps_to_set(front, build, bundle, tmp_path):
    bundle({"elsewhere.py": "HERE = b'elsewhere'"}, "library")
    app = """
        from elsewhere import HERE

        def app(environ, start_response):
            start_response("200 OK", [])
            return [HERE]
        """
    directory, variables = bundle({"app.py": app}), {"PYTHONPATH": str(tmp_path / "library"), "PYTHONSAFEPATH": "1"}
    assert await front.get(front.mount(directory, await build(), **variables)) == (200, "elsewhere")


async def test_bytecode_is_kept_for_the_next_start(front, build, bundle):
    directory = bundle({"app.py": "from beside import app", "beside.py": wsgi()})
    assert (await front.get(front.mount(directory, await build())))[0] == 200
    assert list(directory.glob("__pycache__/beside.*.pyc"))


async def test_an_app_on_python_3_8_sees_its_own_version(front, build, bundle):
    old = choose_interpreter(find_interpreters(), requires="==3.8.*", version=None)
    if old is None:
        pytest.skip("no Python 3.8 here")
    launch = front.mount(bundle({"app.py": SEEN}), await build(interpreter=old))
    assert json.loads((await front.get(launch))[1])["version"] == old.version
    asgi = front.mount(
        bundle({"app.py": ASGI}, "asgi"), await build(interpreter=old), mode="python-fastapi", guid="asgi"
    )
    assert await front.get(asgi, "/x") == (200, "/content/asgi http /content/asgi/x lifespan ran")


ASGI = """
    ran = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            ran.append("lifespan ran")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        text = " ".join([scope["root_path"], scope["scheme"], scope["path"], *ran])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})
"""


async def test_asgi_apps_are_told_their_mount_and_run_their_lifespan(front, build, bundle):
    launch = front.mount(bundle({"app.py": ASGI}), await build(), mode="python-fastapi", mount="/dash/it")
    assert await front.get(launch, "/x") == (200, "/dash/it http /dash/it/x lifespan ran")


async def test_an_unguarded_run_at_module_level_does_not_hold_up_a_flask_app(front, build, bundle):
    app = """
        from flask import Flask, redirect, request, url_for
        app = Flask(__name__)

        @app.route("/")
        def home():
            return url_for("other") + " " + request.script_root

        @app.route("/other/")
        def other():
            return redirect(url_for("home"))

        app.run()
        """
    launch = front.mount(bundle({"app.py": app}), await build("flask"), guid="g")
    assert await front.get(launch) == (200, "/content/g/other/ /content/g")
    async with front.visitor.get(front.at(launch, "/other"), allow_redirects=False) as answer:
        assert answer.status == 308
        assert answer.headers["Location"] == front.at(launch, "/other/")
    assert await front.get(launch, "/other/") == (200, "/content/g/other/ /content/g")


async def test_fastapi_under_its_mount(front, build, bundle):
    app = """
        from fastapi import FastAPI, Request
        app = FastAPI()

        @app.get("/")
        def home(request: Request):
            return {"url": str(request.url_for("home")), "base": str(request.base_url)}
        """
    launch = front.mount(bundle({"app.py": app}), await build("fastapi"), mode="python-fastapi", guid="g")
    public = {"Host": "connect.example.com"}
    _, text = await front.get(launch, headers=public)
    base = "http://connect.example.com/content/g/"
    assert json.loads(text) == {"url": base, "base": base}
    status, text = await front.get(launch, "/docs", headers=public)
    assert status == 200
    assert "/content/g/openapi.json" in text
    status, text = await front.get(launch, "/openapi.json", headers=public)
    assert json.loads(text)["paths"] == {"/": json.loads(text)["paths"]["/"]}
