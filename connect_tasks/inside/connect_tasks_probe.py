"""Runs inside the app's own Python: imports the entrypoint and says what stands there, or why it can't be imported.

Standard library only, Python 3.8 and later, and alone in its directory: nothing of ours may become importable for the
app. Run as `python -I connect_tasks_probe.py REQUEST`, it guards against an import that hangs, exits, serves or floods
its output.

REQUEST is JSON: {"directory", "module", "name" or null, "mode" in Connect's words or null, "timeout" in seconds,
"result": path of the JSON file to write}.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import json
import os
import re
import runpy
import signal
import sys
import threading
import time
import traceback
import typing
from types import ModuleType
from typing import Any

#: What is read and written as JSON. (In the spelling of Python 3.8.)
Json = typing.Dict[str, Any]  # noqa: UP006  # evaluated on 3.8
#: Of an object: its mode in Connect's words, whether it is a factory, what is wrong with it.
Kind = typing.Tuple[typing.Optional[str], bool, typing.Optional[str]]  # noqa: UP006, UP045  # same

#: The names that Connect tries where the entrypoint is a module alone, in its order.
DEFAULT_NAMES = ("app", "application", "create_app", "make_app")
#: First package and class name of the frameworks' objects -> Connect's mode.
FRAMEWORKS = {
    ("dash", "Dash"): "python-dash",
    ("shiny", "App"): "python-shiny",
    ("gradio", "Blocks"): "python-gradio",
    ("flask", "Flask"): "python-api",
    ("fastapi", "FastAPI"): "python-fastapi",
    ("starlette", "Starlette"): "python-fastapi",
    ("quart", "Quart"): "python-fastapi",
    ("litestar", "Litestar"): "python-fastapi",
    ("sanic", "Sanic"): "python-fastapi",
}
SCRIPTS = ("python-streamlit", "python-bokeh", "python-panel")
#: More output than this is dropped: an app that floods its streams must not fill the disk.
MOST_OUTPUT = 4 * 1024 * 1024
#: Objects between two looks for garbage, of which an import leaves next to none; they took a tenth of it.
SELDOM = 200_000
#: Functions that stay on the main thread's stack, after a socket was bound, where an import serves by itself.
SERVING = ("serve_forever", "run_forever", "run_simple", "serve")


def inspect_entrypoint(request: Json) -> Json:
    """Import and look -> a JSON-ready dict: `outcome` is "found", "failed" or "exited" (see `error`), or "wrong"."""
    directory = os.path.realpath(request["directory"])
    before = _listing(directory)
    module_name, name, mode = request["module"], request.get("name"), request.get("mode")
    try:
        if mode in SCRIPTS:
            result = _run_script(directory, module_name, mode)
        else:
            if mode == "python-gradio":
                _disarm_gradio()
            result = _look(importlib.import_module(module_name), directory, name, mode)
    except SystemExit as error:
        result = {"outcome": "exited", "error": _describe(error, directory)}
    except BaseException as error:
        result = {"outcome": "failed", "error": _describe(error, directory)}
    result["written"] = sorted(_listing(directory) - before)[:20]
    return result


def _look(module: ModuleType, directory: str, name: str | None, mode: str | None) -> Json:
    origin = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
    result: Json = {"origin": _inside(origin, directory), "objects": _objects(module)}
    names = (name,) if name else DEFAULT_NAMES
    for candidate in names:
        value: Any = module
        for part in candidate.split("."):
            value = getattr(value, part, None)
        if value is None:
            continue
        kind, factory, problem = _classify_called(value)
        if mode == "python-dash" and any(getattr(dash, "server", None) is value for dash in vars(module).values()):
            kind = mode  # `server = app.server`, as the documentation of other hosts asks for
        result["chosen"] = {
            "name": candidate,
            "kind": kind,
            "type": _type_name(value),
            "factory": factory,
            "problem": problem,
        }
        if kind is not None and (mode is None or kind == mode):
            result["outcome"] = "found"
            return result
        if name:
            break
    result["outcome"] = "wrong"
    return result


def _objects(module: ModuleType) -> list[Json]:
    """Every app object and factory of the module, under its own name."""
    found = []
    for name, value in sorted(vars(module).items(), key=lambda item: (item[0] not in DEFAULT_NAMES, item[0])):
        if name.startswith("__") or inspect.ismodule(value):
            continue
        kind = _framework(value)
        factory = False
        if kind is None and name in DEFAULT_NAMES:
            kind, factory, _ = _classify(value)
            factory = factory or kind == "factory"
        if kind is not None:
            found.append({"name": name, "kind": kind, "type": _type_name(value), "factory": factory})
    return found


def _classify_called(value: Any) -> Kind:
    """(kind, whether it is a factory, what went wrong), calling the factory to see what it makes."""
    kind, _, problem = _classify(value)
    if kind != "factory":
        return kind, False, problem
    made = value()
    kind, _, problem = _classify(made)
    if kind == "factory" or kind is None:
        return None, True, f"it returns {_type_name(made)}"
    return kind, True, None


def _classify(value: Any) -> Kind:
    if isinstance(value, type):
        return None, False, "it is a class, not an app"
    kind = _framework(value)
    if kind:
        return kind, False, None
    if not callable(value):
        return None, False, f"it is {_type_name(value)}, which can't be called"
    called = value if inspect.isroutine(value) else getattr(type(value), "__call__", value)
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return "python-api", False, None  # a callable written in C: nothing speaks against WSGI
    if inspect.iscoroutinefunction(called):
        return (
            ("python-fastapi", False, None)
            if _accepts(signature, 3)
            else (None, False, "it is a coroutine function that does not take (scope, receive, send)")
        )
    if _accepts(signature, 0) and inspect.isroutine(value):
        return "factory", True, None
    if _accepts(signature, 2):
        return "python-api", False, None
    if _accepts(signature, 1) and not inspect.isroutine(value):
        return "python-fastapi", False, None  # ASGI 2: an application called with the scope alone
    return None, False, "it takes other arguments than (environ, start_response) or (scope, receive, send)"


def _accepts(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*([None] * count))
    except TypeError:
        return False
    return True


def _framework(value: object) -> str | None:
    for base in type(value).__mro__:
        mode = FRAMEWORKS.get((base.__module__.partition(".")[0], base.__name__))
        if mode:
            return mode
    return None


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else kind.__module__ + "." + kind.__qualname__


def _run_script(directory: str, module_name: str, mode: str) -> Json:
    """Run a script as its framework does, without its server."""
    path = os.path.join(directory, *module_name.split(".")) + ".py"
    package = mode.partition("-")[2]
    error = _run_streamlit(path, directory) if package == "streamlit" else _run_bokeh(path, directory, package)
    if error:
        return {"outcome": "failed", "error": error}
    result: Json = {"origin": _inside(path, directory), "objects": [], "outcome": "found"}
    if not _uses(package, path, directory):
        chosen = {"name": None, "kind": None, "type": "a script", "problem": "it does not import " + package}
        result.update(outcome="wrong", chosen=chosen)
    return result


def _run_streamlit(path: str, directory: str) -> Json | None:
    importlib.import_module("streamlit")  # named as missing before its parts are
    try:
        testing = importlib.import_module("streamlit.testing.v1")
    except ImportError:  # before 1.28: its calls outside of a server only warn
        runpy.run_path(path)
        return None
    test = testing.AppTest.from_file(path, default_timeout=3600)
    test.run()
    for element in test.exception:
        return _describe_text(element.proto.type, element.message, element.stack_trace, directory)
    return None


def _run_bokeh(path: str, directory: str, package: str) -> Json | None:
    importlib.import_module(package)  # named as missing before the script is blamed
    application = importlib.import_module("bokeh.application")
    handler = importlib.import_module("bokeh.application.handlers").ScriptHandler(filename=path)
    if not handler.failed:
        application.Application(handler).create_document()
    if not handler.failed:
        return None
    lines = (handler.error_detail or handler.error or "").strip().splitlines()
    kind, _, message = lines[-1].partition(": ")
    return _describe_text(kind, message, lines, directory)


def _uses(package: str, path: str, directory: str) -> bool:
    """Whether the script, or a module of the app that it has loaded, imports its framework."""
    loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    for file in [path] + [file for file in loaded if file and _is_apps(file, directory)]:
        with open(file, "rb") as source:
            if re.search(rb"^\s*(import|from)\s+" + package.encode() + rb"\b", source.read(), re.MULTILINE):
                return True
    return False


def _disarm_gradio() -> None:
    """Most Gradio scripts end in `demo.launch()`; Connect starts the server itself, so there it does nothing."""
    blocks = importlib.import_module("gradio.blocks")
    blocks.Blocks.launch = lambda self, *args, **kwargs: (None, None, None)


def _describe(error: BaseException, directory: str) -> Json:
    """An exception as the app's author sees it: its own words, and the app's own lines on the way there."""
    text = str(error)
    if isinstance(error, SyntaxError):
        text = error.msg
    described: Json = {
        "type": type(error).__name__,
        "message": text[:2000],
        "frames": [
            _frame(frame, directory)
            for frame in traceback.extract_tb(error.__traceback__)
            if _is_apps(frame.filename, directory)
        ],
        "name": getattr(error, "name", None),
        "file": _inside(getattr(error, "filename", None), directory),
        "shadows": _shadows(directory),
    }
    if isinstance(error, SyntaxError) and error.filename:
        described["frames"].append(
            {"file": _inside(error.filename, directory), "line": error.lineno or 1, "text": (error.text or "").strip()}
        )
    return described


def _frame(frame: traceback.FrameSummary, directory: str) -> Json:
    return {"file": _inside(frame.filename, directory), "line": frame.lineno, "text": (frame.line or "").strip()}


def _describe_text(kind: str, message: str, lines: typing.Iterable[object], directory: str) -> Json:
    """The same for an exception of which a framework has left the text only."""
    frames = []
    for line in "\n".join(map(str, lines)).splitlines():
        found = re.match(r'\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', line)
        if found and _is_apps(found["file"], directory):
            frames.append({"file": _inside(found["file"], directory), "line": int(found["line"]), "text": ""})
    missing = re.match(r"No module named '(?P<name>[^']+)'", message)
    name = missing["name"] if missing else None
    return {
        "type": kind,
        "message": message,
        "frames": frames,
        "name": name,
        "file": None,
        "shadows": _shadows(directory),
    }


def _is_apps(path: str, directory: str) -> bool:
    real = os.path.realpath(path)
    return (
        not path.startswith("<")
        and real.startswith(directory + os.sep)
        and "site-packages" not in real[len(directory) :].split(os.sep)
    )


def _inside(path: Any, directory: str) -> str | None:
    """`path` relative to the app where it lies in there, as git writes it; else as it is."""
    if not isinstance(path, str):
        return None
    real = os.path.realpath(path)
    if real.startswith(directory + os.sep):
        return os.path.relpath(real, directory).replace(os.sep, "/")
    return path


def _shadows(directory: str) -> list[str]:
    """Files of the app that are called like a module of the standard library, and so take its place for everyone."""
    standard = getattr(sys, "stdlib_module_names", None) or {
        entry.partition(".")[0] for entry in os.listdir(os.path.dirname(os.__file__))
    }
    return sorted(
        entry
        for entry in os.listdir(directory)
        if (entry.endswith(".py") or os.path.isdir(os.path.join(directory, entry)))
        and entry.partition(".")[0] in standard
    )


def _listing(directory: str) -> set[str]:
    found: set[str] = set()
    for where, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if name != "__pycache__"]
        found.update(
            os.path.relpath(os.path.join(where, name), directory).replace(os.sep, "/") for name in files + directories
        )
    return found


def _write(request: Json, result: Json) -> None:
    temporary = request["result"] + ".part"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(temporary, request["result"])


class _Guard(threading.Thread):
    """Watches the main thread from a second one: the only way to say where an import hangs."""

    def __init__(self, request: Json) -> None:
        super().__init__(name="connect-tasks-guard", daemon=True)
        self.request = request
        self.bound = False
        self.main = threading.main_thread().ident or 0

    def hook(self, event: str, args: object) -> None:
        if event == "socket.bind":
            self.bound = True

    def run(self) -> None:
        deadline = time.monotonic() + self.request["timeout"]
        serving = 0
        while True:
            time.sleep(0.1)
            self._limit_output()
            frames = traceback.extract_stack(sys._current_frames().get(self.main))
            serving = serving + 1 if self.bound and any(frame.name in SERVING for frame in frames) else 0
            if serving >= 10 or time.monotonic() > deadline:
                directory = os.path.realpath(self.request["directory"])
                own = [_frame(frame, directory) for frame in frames if _is_apps(frame.filename, directory)]
                _write(self.request, {"outcome": "serves" if serving >= 10 else "hangs", "error": {"frames": own}})
                _end()

    def _limit_output(self) -> None:
        for descriptor in (1, 2):
            if os.fstat(descriptor).st_size > MOST_OUTPUT:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def _end() -> None:
    """Leave at once, without waiting for threads, and take along the processes that the app has started."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, replaced or None: it is the app's
            stream.flush()
    if hasattr(os, "killpg") and os.getpid() == os.getpgrp():
        os.killpg(0, signal.SIGKILL)  # us too: the result is on disk, the status says nothing
    os._exit(0)


def main() -> None:
    request = json.loads(sys.argv[1])
    guard = _Guard(request)
    sys.addaudithook(guard.hook)
    guard.start()
    gc.set_threshold(SELDOM)
    os.chdir(request["directory"])
    sys.path.insert(0, request["directory"])
    sys.argv[:] = [request["module"]]
    _write(request, inspect_entrypoint(request))
    _end()


if __name__ == "__main__":
    main()
