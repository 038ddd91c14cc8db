"""The entrypoint is imported by real Pythons in real environments; each way to get it wrong is named in one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.content.entrypoint import Entrypoint, verify_entrypoint
from connect_tasks.errors import EntrypointWrong, ModeUnknown

from .repository import write_files

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"
WSGI = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"
ASYNCIO_SERVER = """\
import asyncio

async def serve():
    server = await asyncio.start_server(print, "127.0.0.1", 0)
    await server.serve_forever()

asyncio.run(serve())"""
FACTORY = "from flask import Flask\n\ndef create_app(config=None):\n    return Flask(__name__)\n"
WRAPPED_WSGI = "class Wrapped:\n    def __call__(self, environ, start_response): ...\n\napp = Wrapped()\n"
WRAPPED_ASGI = "class Wrapped:\n    async def __call__(self, scope, receive, send): ...\n\napp = Wrapped()\n"
ASGI = "async def app(scope, receive, send):\n    pass\n"

Files = dict[str, str | bytes]
Verify = Callable[..., Entrypoint]


@pytest.fixture
def verify(tmp_path: Path, frozen_python: Path, app_env: dict[str, str]) -> Verify:
    """verify(files, mode, entrypoint) in an export that holds these files."""

    def call(
        files: Files, mode: str | None = "flask", entrypoint: str | None = "app:app", **options: Any
    ) -> Entrypoint:
        directory = tmp_path / "export"
        directory.mkdir(exist_ok=True)
        write_files(directory, files)
        return verify_entrypoint(frozen_python, directory, mode, entrypoint, app_env, **options)

    return call


def problem_of(verify: Verify, *arguments: object, **options: object) -> EntrypointWrong:
    with pytest.raises(EntrypointWrong) as caught:
        verify(*arguments, **options)
    message = caught.value.message
    assert "\n" not in message, "one line for people"
    assert "Traceback" not in message
    return caught.value


# what is right ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "mode", "entrypoint", "found_mode", "found"),
    [
        ({"app.py": FLASK}, None, None, "flask", "app:app"),
        ({"main.py": FASTAPI}, None, None, "fastapi", "main:app"),
        ({"app.py": FLASK}, "python-api", "app", "flask", "app"),
        ({"app.py": WSGI}, "api", "app:app", "flask", "app:app"),
        ({"app.py": ASGI}, "fastapi", "app:app", "fastapi", "app:app"),
        ({"pkg/__init__.py": "", "pkg/web.py": FLASK}, None, None, "flask", "pkg.web:app"),
        ({"src/shop/web.py": FLASK}, "flask", "src.shop.web:app", "flask", "src.shop.web:app"),
        ({"my-app.py": FLASK}, None, None, "flask", "my-app:app"),
        (
            {"shop/__init__.py": FACTORY},
            None,
            None,
            "flask",
            "shop:create_app",
        ),
        (
            {"app.py": FLASK + WRAPPED_WSGI},
            "flask",
            "app:app",
            "flask",
            "app:app",
        ),
        (
            {"app.py": FASTAPI + WRAPPED_ASGI},
            "fastapi",
            "app:app",
            "fastapi",
            "app:app",
        ),
        (
            {"app.py": f"{FLASK}\nclass place:\n    inner = app\n"},
            "flask",
            "app:place.inner",
            "flask",
            "app:place.inner",
        ),
        ({"app.py": f"{FLASK}\nif __name__ == '__main__':\n    app.run()\n"}, None, None, "flask", "app:app"),
        ({"app.py": "from helper import name\n" + FLASK, "helper.py": "name = 1\n"}, None, None, "flask", "app:app"),
        ({"app.py": FLASK, "test_app.py": FASTAPI, "tests/app.py": FASTAPI}, None, None, "flask", "app:app"),
    ],
)
def test_right_ones_are_found(
    verify: Verify, files: Files, mode: str | None, entrypoint: str | None, found_mode: str, found: str
) -> None:
    answer = verify(files, mode, entrypoint)

    assert (answer.mode.name, answer.entrypoint) == (found_mode, found)
    assert answer.notes == ()


def test_the_app_sees_only_what_it_is_given(
    verify: Verify, monkeypatch: pytest.MonkeyPatch, app_env: dict[str, str]
) -> None:
    monkeypatch.setenv("CONNECT_API_KEY", "the-publisher's")
    code = "import os, sys\nassert 'CONNECT_API_KEY' not in os.environ\n"
    code += "assert os.getcwd() == sys.path[0] == os.path.dirname(os.path.abspath(__file__))\n"
    code += "assert not any('connect_tasks' in path for path in sys.path)\n"
    code += "assert sys.argv == ['app']\nassert 'PYTHONDONTWRITEBYTECODE' not in os.environ\n"

    assert verify({"app.py": code + FLASK}).entrypoint == "app:app"


def test_nothing_of_ours_can_be_imported(verify: Verify) -> None:
    for name in ("connect_tasks", "errors", "entrypoint", "rsconnect", "nox"):
        assert f"No module named '{name}'" in problem_of(verify, {"app.py": f"import {name}\n{FLASK}"}).message


# mode and object ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "mode", "entrypoint", "words", "hint"),
    [
        ({"app.py": FASTAPI}, "api", "app:app", ["an ASGI app", "fastapi.applications.FastAPI"], 'mode = "fastapi"'),
        ({"app.py": FLASK}, "fastapi", "app", ["a WSGI app", "flask.app.Flask"], 'mode = "flask"'),
        ({"app.py": FLASK}, "dash", "app:app", ["and not a Dash app"], 'mode = "flask"'),
        (
            {"app.py": FLASK},
            None,
            "app:server",
            ["app has no server", "app:app (flask.app.Flask)"],
            'entrypoint = "app:app"',
        ),
        (
            {"app.py": FLASK.replace("app =", "web =")},
            None,
            "app",
            ["app has none of app, application", "app:web"],
            'entrypoint = "app:web"',
        ),
        ({"app.py": "app = 3\n"}, "flask", "app:app", ["app:app is not a WSGI app", "int"], None),
        ({"app.py": "from flask import Flask as app\n"}, "flask", "app:app", ["it is a class"], None),
        ({"app.py": "def app(x):\n    pass\n"}, "flask", "app:app", ["other arguments"], None),
        ({"app.py": "def create_app():\n    return None\n"}, "flask", "app:create_app", ["it returns NoneType"], None),
        ({"app.py": FLASK}, "flask", "app:create_app()", ["factory by its name"], 'entrypoint = "app:create_app"'),
        ({"app.py": FLASK}, "flask", "app.py", ["is a file"], 'entrypoint = "app"'),
        ({"pkg/web.py": FLASK}, "flask", "pkg/web.py:app", ["is a file"], 'entrypoint = "pkg.web:app"'),
        ({"app.py": FLASK}, "flask", "app:app:app", ["module:object"], 'entrypoint = "app:app"'),
        ({"app.py": FLASK}, "flask", "nosuch:thing", ["no module nosuch", "found app:app"], 'entrypoint = "app:app"'),
        ({"pkg/web.py": FLASK}, "flask", "pkg.nosuch:app", ["no module pkg.nosuch", "found pkg.web:app"], None),
        ({"app.py": "x = 1\n"}, "flask", "nosuch:thing", ["no module nosuch", "found no app at all"], None),
    ],
)
def test_wrong_ones_are_refused_with_the_candidates(
    verify: Verify, files: Files, mode: str | None, entrypoint: str, words: list[str], hint: str | None
) -> None:
    problem = problem_of(verify, files, mode, entrypoint)

    for word in words:
        assert word in problem.message
    assert hint is None or problem.hint == hint


def test_nothing_to_be_found(verify: Verify) -> None:
    with pytest.raises(ModeUnknown, match="no app of a framework"):
        verify({"notes.txt": "x"}, None, None)


def test_two_apps_are_both_named(verify: Verify) -> None:
    problem = problem_of(verify, {"one.py": FLASK, "two.py": FASTAPI}, None, None)

    assert "one:app (flask)" in problem.message
    assert "two:app (fastapi)" in problem.message


# imports that fail --------------------------------------------------------------------------------------------------


def test_the_apps_own_error_comes_first(verify: Verify) -> None:
    code = "import os\n\nDATABASE = os.environ['DATABASE_URL']\n"
    problem = problem_of(verify, {"app.py": WSGI + "import settings\n", "settings.py": code})

    assert (
        problem.message == "app can't be imported: KeyError: 'DATABASE_URL' at `DATABASE = os.environ['DATABASE_URL']`"
    )
    assert problem.where == "settings.py:3"


def test_a_syntax_error_is_named_with_its_line(verify: Verify) -> None:
    problem = problem_of(verify, {"app.py": WSGI + "import broken\n", "broken.py": "x = 1\ndef f(:\n"})

    assert problem.message.startswith("app can't be imported: SyntaxError: ")
    assert problem.where == "broken.py:2"


def test_an_undeclared_package_is_named(verify: Verify) -> None:
    problem = problem_of(verify, {"app.py": "import pandas.io\n" + WSGI})

    assert "ModuleNotFoundError: No module named 'pandas'" in problem.message
    assert problem.hint is not None
    assert "'pandas'" in problem.hint


@pytest.mark.parametrize(
    ("files", "untracked", "named"),
    [
        ({"app.py": "import helper\n" + WSGI}, ["helper.py", "notes.txt"], "helper.py"),
        ({"app.py": "from lib.deep import x\n" + WSGI, "lib/__init__.py": ""}, ["lib/deep.py"], "lib/deep.py"),
        (
            {"app.py": "from lib import deep\n" + WSGI, "lib/__init__.py": ""},
            ["lib/a.csv", "lib/deep.py"],
            "lib/deep.py",
        ),
        ({"app.py": "import lib.deep\n" + WSGI}, ["lib/__init__.py", "lib/deep.py"], "lib/__init__.py"),
        ({"app.py": "import lib\n" + WSGI}, ["lib/data.csv"], "lib/data.csv"),
        ({"app.py": "open('data/names.csv')\n" + WSGI}, ["data/names.csv"], "data/names.csv"),
    ],
)
def test_an_untracked_file_is_named_as_what_it_is(
    verify: Verify, files: Files, untracked: list[str], named: str
) -> None:
    problem = problem_of(verify, files, "flask", "app:app", untracked=lambda: untracked)

    assert f"git does not track {named}" in problem.message
    assert problem.hint == f"git add {named} && git commit"


def test_an_untracked_entrypoint_is_named(verify: Verify) -> None:
    problem = problem_of(verify, {"other.py": "x = 1\n"}, "flask", "app:app", untracked=lambda: ["app.py"])

    assert problem.message.startswith("git does not track app.py")


def test_a_file_called_like_a_standard_module(verify: Verify) -> None:
    shadowed = problem_of(verify, {"app.py": "import tempfile\n" + WSGI, "random.py": "x = 1\n"})
    assert shadowed.hint == "rename random.py: it takes the place of Python's own module of that name"

    taken = problem_of(verify, {"json.py": WSGI}, "flask", "json:app")
    assert "another module" in taken.message
    assert taken.hint == "rename json.py"


def test_a_standard_name_that_does_no_harm_is_let_through(verify: Verify) -> None:
    assert verify({"this.py": WSGI}, "flask", "this:app").entrypoint == "this:app"


# imports that never come back ---------------------------------------------------------------------------------------


def test_an_import_that_hangs_is_stopped_and_located(verify: Verify) -> None:
    problem = problem_of(verify, {"app.py": "import time\n\ntime.sleep(600)\n" + WSGI}, timeout=1.0)

    assert problem.message == "importing app did not end within 1 s at `time.sleep(600)`"
    assert problem.where == "app.py:3"


@pytest.mark.parametrize(
    "run",
    [
        "from flask import Flask; Flask(__name__).run(port=0)",
        "from flask import Flask; Flask(__name__).run(port=0, debug=True)",
        "from wsgiref.simple_server import make_server; make_server('', 0, app).serve_forever()",
        ASYNCIO_SERVER,
    ],
)
def test_an_app_that_serves_when_imported_is_recognised(verify: Verify, run: str) -> None:
    started = time.monotonic()
    problem = problem_of(verify, {"app.py": f"{WSGI}\n{run}\n"}, timeout=60.0)

    assert "starts a server" in problem.message
    assert run.splitlines()[-1] in problem.message
    assert problem.hint == 'put it below `if __name__ == "__main__":`'
    assert time.monotonic() - started < 30, "it is recognised long before the limit"


@pytest.mark.parametrize(
    "code",
    [
        "import socket, time\n\ns = socket.create_server(('127.0.0.1', 0))\ntime.sleep(1.5)\n",
        "import asyncio\n\nasyncio.run(asyncio.sleep(1.5))\n",
    ],
)
def test_a_socket_or_a_loop_alone_is_no_server(verify: Verify, code: str) -> None:
    assert verify({"app.py": code + WSGI}).entrypoint == "app:app"


def test_an_untracked_file_that_has_nothing_to_do_with_it_is_not_blamed(verify: Verify) -> None:
    files: Files = {"app.py": "from lib import gone\n" + WSGI, "lib/__init__.py": ""}
    problem = problem_of(verify, files, untracked=lambda: ["lib/data.csv", "notes.txt"])

    assert "cannot import name 'gone' from 'lib'" in problem.message
    assert "git does not track" not in problem.message


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys\nsys.exit('no DATABASE_URL')\n", ["SystemExit: no DATABASE_URL", "sys.exit('no DATABASE_URL')"]),
        ("print('give me a database')\nexit(3)\n", ["SystemExit: 3", "its last words: give me a database"]),
        ("import os\nos._exit(7)\n", ["ended the process with status 7"]),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", ["ended the process by SIGSEGV"]),
        (
            "import os, sys\nprint('bye', file=sys.stderr, flush=True)\nos.abort()\n",
            ["by SIGABRT", "its last words: bye"],
        ),
    ],
)
def test_an_import_that_ends_the_process(verify: Verify, code: str, words: list[str]) -> None:
    problem = problem_of(verify, {"app.py": code + WSGI})

    for word in words:
        assert word in problem.message


def test_megabytes_of_output_are_let_through(verify: Verify) -> None:
    code = "import sys\n\nfor _ in range(300):\n    print('x' * 100_000)\n    print('y' * 100_000, file=sys.stderr)\n"

    assert verify({"app.py": code + WSGI}).entrypoint == "app:app"


def test_a_flood_without_end_is_stopped(verify: Verify, app_env: dict[str, str]) -> None:
    problem = problem_of(verify, {"app.py": "while True:\n    print('x' * 10_000)\n" + WSGI}, timeout=1.0)

    assert "did not end within 1 s" in problem.message
    assert len(problem.message) < 300


# side effects -------------------------------------------------------------------------------------------------------


def test_files_that_the_import_writes_are_noted(verify: Verify) -> None:
    code = "import os\nos.makedirs('instance')\nopen('instance/app.db', 'w').close()\n"

    assert verify({"app.py": code + WSGI}).notes == ("importing app:app writes instance, instance/app.db",)


def test_threads_and_processes_of_the_app_do_not_outlive_the_probe(verify: Verify, tmp_path: Path) -> None:
    code = "import subprocess, threading, time\n\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    code += f"p = subprocess.Popen(['sleep', '600'])\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\n"

    assert verify({"app.py": code + WSGI}).entrypoint == "app:app"
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5

    def is_alive() -> bool:
        try:
            return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
        except (FileNotFoundError, ProcessLookupError):
            return False

    while is_alive():
        assert time.monotonic() < deadline, "the app's child is still there"
        time.sleep(0.02)


def test_an_app_that_changes_directory_or_path_confuses_nobody(verify: Verify) -> None:
    code = "import os, sys\nos.chdir('/')\nsys.path.clear()\nsys.stdout = None\n"

    assert verify({"app.py": WSGI + code}).entrypoint == "app:app"


def test_bytecode_of_the_app_is_no_side_effect(verify: Verify) -> None:
    assert verify({"app.py": WSGI + "import helper\n", "helper.py": ""}).notes == ()
