"""Starts one app in its mode, run by the app's own Python in the app's own environment.

`python -u launcher.py JSON`, in the bundle's directory; standard library only, Python 3.8 and later. The web server
comes from a directory that is appended to the path after the app has been imported: an app that imports what it did not
declare fails here as it would on Connect, and where an app pins a web server itself, its own wins. (What an app imports
later, inside a request, can find the web server's few packages.)
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":  # our own directory comes first then: the app must not find this server's modules
    OURS = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  before pathlib can be shadowed
    sys.path[:] = [entry for entry in sys.path if entry != OURS]

import gc
import importlib
import json
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

HOST = "127.0.0.1"
OBJECTS = ("app", "application", "create_app", "make_app")  # what Connect tries when the entrypoint names none
FACTORIES = ("create_app", "make_app")
#: Objects between two looks for garbage while the app is imported, which leaves next to none; they took a tenth of it.
SELDOM = 200_000


class NotStartable(Exception):
    pass


def main() -> None:
    launch = json.loads(sys.argv[1])
    sys.path.insert(0, str(Path.cwd()))  # as on Connect: the bundle comes first
    sys.argv[:] = [launch["entrypoint"]]
    try:
        MODES[launch["mode"]](launch)
    except NotStartable as exc:
        sys.exit(str(exc))


def serve_wsgi(launch: dict[str, Any]) -> None:
    os.environ["FLASK_RUN_FROM_CLI"] = "true"  # makes an unguarded app.run() at module level a no-op
    run_waitress(partial(mounted_wsgi, load(launch["entrypoint"]), cgi_name(launch["mount_header"])), launch)


def cgi_name(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def mounted_wsgi(app: Any, variable: str, environ: dict[str, Any], start_response: Any) -> Any:
    """The app below the mount that the proxy says with each request, as waitress's url_prefix does for a fixed one."""
    mount, path = environ.pop(variable, ""), environ["PATH_INFO"]
    environ["SCRIPT_NAME"] = mount
    if mount and (path == mount or path.startswith(mount + "/")):
        environ["PATH_INFO"] = path[len(mount) :]
    return app(environ, start_response)


def serve_dash(launch: dict[str, Any]) -> None:
    os.environ["FLASK_RUN_FROM_CLI"] = "true"
    os.environ["DASH_REQUESTS_PATHNAME_PREFIX"] = launch["prefix"] + "/"  # the proxy takes it off
    app = load(launch["entrypoint"])
    run_waitress(getattr(app, "server", app), launch)


def run_waitress(app: Any, launch: dict[str, Any]) -> None:
    sys.path.append(launch["overlay"])
    import waitress

    waitress.serve(
        app,
        host=HOST,
        port=launch["port"],
        threads=8,
        connection_limit=10000,  # its default of 100 stalls a pooling proxy
        backlog=2048,
        channel_timeout=3600,  # the proxy closes idle connections, never this side
        ident=None,
    )


def serve_asgi(launch: dict[str, Any]) -> None:
    app = load(launch["entrypoint"])
    sys.path.append(launch["overlay"])
    import uvicorn

    header = launch["mount_header"].encode()
    # Since 0.26 a root path is part of the path, too; an app that pins an older one goes with frameworks of its time.
    whole_path = tuple(map(int, uvicorn.__version__.split(".")[:2])) >= (0, 26)
    uvicorn.run(
        mounted_asgi(app, header, whole_path=whole_path),
        host=HOST,
        port=launch["port"],
        proxy_headers=True,
        forwarded_allow_ips=HOST,
        timeout_keep_alive=3600,
        ws_max_size=2**31,
    )


def mounted_asgi(app: Any, header: bytes, *, whole_path: bool) -> Any:
    """The app below the mount that the proxy says with each request, as uvicorn's root_path has it for a fixed one."""

    async def mounted(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):  # in place: uvicorn's access log has the path out of the same scope
            said = [value for name, value in scope["headers"] if name == header]
            scope["headers"] = [each for each in scope["headers"] if each[0] != header]
            mount = said[0].decode("ascii") if said else ""
            scope["root_path"] = mount
            if whole_path:
                scope["path"] = mount + scope["path"]
                scope["raw_path"] = mount.encode() + scope["raw_path"]
        await app(scope, receive, send)

    return mounted


def serve_gradio(launch: dict[str, Any]) -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    gradio = importlib.import_module("gradio")
    start = gradio.Blocks.launch
    gradio.Blocks.launch = lambda *_, **__: None  # an unguarded demo.launch() at module level
    demo = load(launch["entrypoint"], (*OBJECTS, "demo"))
    gradio.Blocks.launch = start
    demo.launch(server_name=HOST, server_port=launch["port"], root_path=launch["prefix"], quiet=True)


def serve_streamlit(launch: dict[str, Any]) -> None:
    become(
        "streamlit", "run", script(launch["entrypoint"]),
        "--server.port", str(launch["port"]),
        "--server.address", HOST,
        "--server.baseUrlPath", launch["prefix"],
        "--server.headless", "true",
        "--server.fileWatcherType", "none",
        "--server.enableCORS", "false",  # it would refuse the visitor's Origin ...
        "--server.enableXsrfProtection", "false",  # ... unless both are off
        "--browser.gatherUsageStats", "false",
    )  # fmt: skip


def serve_bokeh(launch: dict[str, Any]) -> None:
    become(
        "panel" if launch["mode"] == "python-panel" else "bokeh", "serve", script(launch["entrypoint"]),
        "--address", HOST,
        "--port", str(launch["port"]),
        "--prefix", launch["prefix"],
        "--allow-websocket-origin", "*",
        "--use-xheaders",
    )  # fmt: skip


def serve_voila(launch: dict[str, Any]) -> None:
    become(
        "voila", *([launch["entrypoint"]] if launch["entrypoint"] else []),
        "--no-browser",
        f"--port={launch['port']}",
        f"--Voila.ip={HOST}",
        f"--base_url={launch['prefix']}/",
    )  # fmt: skip


def become(module: str, *arguments: str) -> NoReturn:
    """Run a module of the app's environment in our place: the bundle's directory comes first on its path, too."""
    os.execv(sys.executable, [sys.executable, "-u", "-m", module, *arguments])  # noqa: S606  no shell: that is meant


def load(entrypoint: str, objects: tuple[str, ...] = OBJECTS) -> Any:
    """The object that an entrypoint means: `module`, `module:object`, `package.module:object`, `file.py`."""
    name, _, wanted = entrypoint.partition(":")
    if name.endswith(".py"):
        name = name[:-3].replace("/", ".")
    usual = gc.get_threshold()
    gc.set_threshold(SELDOM)
    try:
        module = importlib.import_module(name)
    finally:
        gc.set_threshold(*usual)
    for candidate in (wanted,) if wanted else objects:
        found: Any = module
        for attribute in candidate.split("."):
            found = getattr(found, attribute, None)
        if found is not None:
            return found() if candidate in FACTORIES else found
    missing = f"no {wanted!r}" if wanted else f"none of {', '.join(objects)}"
    raise NotStartable(f"entrypoint {entrypoint!r}: module {name!r} has {missing}")


def script(entrypoint: str) -> str:
    """The file (or directory) that an entrypoint means: `app`, `app.py`, `app:app`, `package.module`."""
    name = entrypoint.partition(":")[0]
    dotted = name.replace(".", "/")
    for candidate in (name, f"{name}.py", f"{dotted}.py"):
        if Path(candidate).is_file():
            return candidate
    if Path(dotted).is_dir():
        return dotted
    raise NotStartable(f"entrypoint {entrypoint!r}: the bundle has no file {dotted}.py")


MODES = {
    "python-api": serve_wsgi,
    "python-fastapi": serve_asgi,
    "python-shiny": serve_asgi,
    "python-dash": serve_dash,
    "python-gradio": serve_gradio,
    "python-streamlit": serve_streamlit,
    "python-bokeh": serve_bokeh,
    "python-panel": serve_bokeh,
    "jupyter-voila": serve_voila,
}

if __name__ == "__main__":
    main()
