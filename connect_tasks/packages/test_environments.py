"""Environments to test in: the pins and the test tools, copied from a template that was made and compiled once."""

from __future__ import annotations

import platform as this_computer
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import RequirementsConflict
from . import requirements_file, virtualenvs
from .environment_templates import Template, key_of
from .index_settings import index_settings
from .interpreters import Interpreter
from .test_tools import TestTools
from .uv_door import Uv

#: A change of how templates are made makes all the old ones strangers.
_RECIPE = "2"


@dataclass(frozen=True, kw_only=True)
class TestEnvironment:
    """Where the app's tests run: `python` has the pins, `tools_python` the test tools too.

    They are the same, unless the tools do not fit beside the pins; then `note` says so. `templates`: what they are
    copies of.
    """

    __test__ = False  # the name is the field's; pytest must not collect it

    python: Path
    tools_python: Path
    note: str | None = None
    templates: tuple[Template, ...] = ()


def test_environment(
    requirements: bytes,
    tools: TestTools,
    *,
    interpreter: Interpreter,
    templates: Path,
    place: Path,
    scratch: Path,
    environ: Mapping[str, str],
    directory: Path | None = None,  # noqa: PT028  # no test: the name is the field's
    offline: bool = False,  # noqa: PT028  # same
) -> TestEnvironment:
    """A private copy, in `place`, of the environment for these pins and tools; made once, kept in `templates`.

    `directory` is the app's, for relative paths and uv's project settings. Raises `ResolutionFailed`.
    """
    for directory_of_ours in (scratch, place):
        directory_of_ours.mkdir(parents=True, exist_ok=True)
    home = directory or scratch
    settings = index_settings(environ, home)
    uv = Uv.of(home, environ, settings, offline=offline)
    text = requirements.decode("utf-8-sig")
    pins, wanted = scratch / "test-pins.txt", scratch / "test-tools.in"
    pins.write_text(requirements_file.anchored(text, home), encoding="utf-8")
    wanted.write_text("".join(f"{line}\n" for line in tools.lines), encoding="utf-8")

    def template(parts: Mapping[Path, tuple[str, ...]]) -> Template:
        arguments = [argument for file, lines in parts.items() if lines for argument in ("-r", file)]
        key = key_of(_RECIPE, *_computer(interpreter), settings.place, *(repr(lines) for lines in parts.values()))
        return Template(key=key, cache=templates, build=_builder(interpreter, uv, arguments))

    app_part = {pins: tuple(line.text for line in requirements_file.parse(text))}
    tools_part = {wanted: tools.lines}
    together = template(app_part | tools_part)
    try:
        python = virtualenvs.python_of(together.copy(place / "tests"))
    except RequirementsConflict as conflict:
        apart = template(app_part), template(tools_part)
        app = apart[0].copy(place / "app")  # raises by itself where the pins are at fault, not the tools
        own = apart[1].copy(place / "tests")
        # At the end of the path: the tools keep what they need, everything else comes from the app's pins.
        packages = virtualenvs.site_packages(app, interpreter)
        (virtualenvs.site_packages(own, interpreter) / "zz_app_environment.pth").write_text(f"{packages}\n")
        return TestEnvironment(
            python=virtualenvs.python_of(app),
            tools_python=virtualenvs.python_of(own),
            note="the test tools do not fit beside the pins and run from an environment of their own "
            f"({conflict.message})",
            templates=apart,
        )
    return TestEnvironment(python=python, tools_python=python, templates=(together,))


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
