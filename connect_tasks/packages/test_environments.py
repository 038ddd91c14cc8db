"""Environments to test in: the pins and the test tools, copied from a template that was made and compiled once."""

from __future__ import annotations

import platform as this_computer
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import RequirementsConflict
from . import requirements_file, virtualenvs
from .index_settings import index_settings
from .interpreters import Interpreter
from .test_tools import TestTools
from .uv_door import Uv

#: A change of how templates are made makes all the old ones strangers.
_RECIPE = "1"


@dataclass(frozen=True, kw_only=True)
class TestEnvironment:
    """Where the app's tests run: `python` has the pins, `tools_python` the test tools too.

    They are the same, unless the tools do not fit beside the pins; then `note` says so.
    """

    __test__ = False  # the name is the field's; pytest must not collect it

    python: Path
    tools_python: Path
    note: str | None = None


def test_environment(
    requirements: bytes,
    tools: TestTools,
    *,
    interpreter: Interpreter,
    cache: Path,
    scratch: Path,
    environ: Mapping[str, str],
    directory: Path | None = None,  # noqa: PT028  # no test: the name is the field's
    offline: bool = False,  # noqa: PT028  # same
    link: bool = True,  # noqa: PT028  # same
) -> TestEnvironment:
    """A private copy, in `scratch`, of the environment for these pins and tools; made once, kept in `cache`.

    `directory` is the app's, for relative paths and uv's project settings. `link` False copies instead of
    hard-linking, for tests that write into installed files. Raises `ResolutionFailed`.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    home = directory or scratch
    settings = index_settings(environ, home)
    uv = Uv.of(home, environ, settings, offline=offline)
    text = requirements.decode("utf-8-sig")
    pins, wanted = scratch / "test-pins.txt", scratch / "test-tools.in"
    pins.write_text(requirements_file.anchored(text, home), encoding="utf-8")
    wanted.write_text("".join(f"{line}\n" for line in tools.lines), encoding="utf-8")

    def copy(name: str, parts: Mapping[Path, tuple[str, ...]]) -> Path:
        arguments = [argument for file, lines in parts.items() if lines for argument in ("-r", file)]
        key = virtualenvs.key_of(
            _RECIPE, *_computer(interpreter), settings.place, *(repr(lines) for lines in parts.values())
        )
        return virtualenvs.copy_of(key, cache, scratch / name, _builder(interpreter, uv, arguments), link=link)

    app_part = {pins: tuple(line.text for line in requirements_file.parse(text))}
    tools_part = {wanted: tools.lines}
    try:
        python = virtualenvs.python_of(copy("tests", app_part | tools_part))
    except RequirementsConflict as conflict:
        app = copy("app", app_part)  # raises by itself where the pins are at fault, not the tools
        own = copy("tests", tools_part)
        # At the end of the path: the tools keep what they need, everything else comes from the app's pins.
        packages = virtualenvs.site_packages(app, interpreter)
        (virtualenvs.site_packages(own, interpreter) / "zz_app_environment.pth").write_text(f"{packages}\n")
        note = (
            f"the test tools do not fit beside the pins and run from an environment of their own ({conflict.message})"
        )
        return TestEnvironment(python=virtualenvs.python_of(app), tools_python=virtualenvs.python_of(own), note=note)
    return TestEnvironment(python=python, tools_python=python)


test_environment.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it


def _computer(interpreter: Interpreter) -> tuple[str, ...]:
    return (str(interpreter.path), interpreter.version, sys.platform, this_computer.machine())


def _builder(interpreter: Interpreter, uv: Uv, arguments: list[str | Path]) -> Callable[[Path], None]:
    def build(home: Path) -> None:
        python = virtualenvs.make(home, interpreter, uv, relocatable=True)
        if arguments:
            # Copied, not linked to uv's own cache: a test that writes into an installed file must not reach other
            # projects.
            virtualenvs.install(python, uv, "--compile-bytecode", "--link-mode=copy", *arguments)

    return build
