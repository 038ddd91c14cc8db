"""Freezing: a fresh environment with the declared dependencies and nothing else, and the list of what it holds. And
environments to test in."""

from __future__ import annotations

import platform as this_computer
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import requirements_file, resolution, virtualenvs
from .compiled_pins import Resolution
from .dependencies import GENERATED, PINNED, DependencySource
from .errors import RequirementRefused, ResolutionFailed, raise_all
from .index_settings import index_settings
from .interpreters import Interpreter
from .requirements_file import Pin, PinChange
from .resolution import Aim, Upgrade
from .test_tools import TestTools
from .tree import REQUIREMENTS
from .uv_door import Uv

__all__ = ["Frozen", "TestEnvironment", "Upgrade", "freeze", "local_requirements", "test_environment"]
#: A change of how templates are made makes all the old ones strangers.
_RECIPE = "1"


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """What freezing made. `text` is requirements.txt; `local` is what to install on this computer, the same bytes
    wherever it is the server's platform.

    `environment` is a fresh virtualenv that holds exactly the pins. `notes` are for people.
    """

    text: bytes
    local: bytes
    pins: tuple[Pin, ...]
    changes: tuple[PinChange, ...]
    environment: Path
    notes: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return virtualenvs.python_of(self.environment)


@dataclass(frozen=True, kw_only=True)
class TestEnvironment:
    """Where the app's tests run: `python` has the pins, `tools_python` the test tools (the same, unless they don't fit
    beside the pins; then `note` says so)."""

    __test__ = False  # the name is the field's; pytest must not collect it

    python: Path
    tools_python: Path
    note: str | None = None


def freeze(
    source: DependencySource,
    *,
    pins: str | None,
    interpreter: Interpreter,
    platform: str,
    upgrade: Upgrade,
    directory: Path,
    scratch: Path,
    environ: Mapping[str, str],
    offline: bool = False,
    mode: str = "resolve",
    work_tree: Path | None = None,
) -> Frozen:
    """Pin what the source declares for the server's platform and the interpreter's minor, and prove in a fresh
    environment that the pins install.

    `pins` is the text of the requirements.txt that is there; `directory` an export of the app; `scratch` an empty
    directory that holds the environment afterwards; `mode` is the app's `freeze`: "resolve", "pin" (a hand-written
    requirements.txt becomes pins) or "hashes". `work_tree` is the app's directory in the repository, for uv settings
    above it. Raises `RequirementRefused`, `ResolutionFailed`, `ConfigurationInvalid`.
    """
    _refuse(source)
    scratch.mkdir(parents=True, exist_ok=True)
    settings = index_settings(environ, work_tree or directory, declares_index=resolution.declares_index(source))
    uv = Uv.of(directory, environ, settings, offline=offline)
    place = scratch / "environment"
    if source.kind == REQUIREMENTS and mode != "pin":
        return _keep(source, upgrade, place, interpreter, uv)
    existing = requirements_file.pins_of(pins or "")
    hashes = resolution.wants_hashes(source, existing)
    aim = Aim(interpreter=interpreter, platform=platform, hashes=hashes)
    with ThreadPoolExecutor(1) as pool:  # the two cores have nothing to say to each other until both are done
        making = pool.submit(virtualenvs.make, place, interpreter, uv)
        resolved = resolution.resolve(source, aim, uv, existing=existing, upgrade=upgrade, scratch=scratch)
        text = _text(source, resolved)
        raise_all(list(requirements_file.refusals(text, lambda number: f"{REQUIREMENTS}:{number}")))
        making.result()
    native = is_native(platform)
    local = text if native else _for_here(source, text, interpreter, uv, scratch)
    _install_exactly(local, place, uv, scratch, source.path)
    changes = requirements_file.compare(existing, resolved.pins, resolved.via)
    notes = (
        *_origins(resolved, source),
        *(
            ()
            if native
            else (f"the pins are for {platform}; here others were installed and tested where the platform differs",)
        ),
    )
    return Frozen(
        text=text.encode(),
        local=local.encode(),
        pins=tuple(sorted(resolved.pins.values())),
        changes=changes,
        environment=place,
        notes=notes,
    )


def local_requirements(
    source: DependencySource,
    requirements: bytes,
    *,
    interpreter: Interpreter,
    platform: str,
    directory: Path,
    scratch: Path,
    environ: Mapping[str, str],
    offline: bool = False,
) -> bytes:
    """What to install here to test `requirements`, which are pins for `platform`: themselves where this computer is
    one, else the declared dependencies with the pins as constraints."""
    if is_native(platform):
        return requirements
    scratch.mkdir(parents=True, exist_ok=True)
    uv = Uv.of(directory, environ, index_settings(environ, directory), offline=offline)
    return _for_here(source, requirements.decode(), interpreter, uv, scratch).encode()


def test_environment(
    requirements: bytes,
    tools: TestTools,
    *,
    interpreter: Interpreter,
    cache: Path,
    scratch: Path,
    environ: Mapping[str, str],
    directory: Path | None = None,
    offline: bool = False,
    link: bool = True,
) -> TestEnvironment:
    """A private copy, in `scratch`, of the environment for these pins and tools; made and compiled once, kept in
    `cache`.

    `link` False copies instead of hard-linking, for tests that write into installed files. Raises `ResolutionFailed`.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    uv = Uv.of(directory or scratch, environ, index_settings(environ, directory or scratch), offline=offline)
    text = requirements.decode("utf-8-sig")
    pins = _file(scratch / "test-pins.txt", text)
    wanted = _file(scratch / "test-tools.in", "".join(f"{line}\n" for line in tools.lines))
    parts = (
        _RECIPE,
        str(interpreter.path),
        interpreter.version,
        sys.platform,
        this_computer.machine(),
        text,
        *tools.lines,
    )

    def build(arguments: list[str | Path]) -> Callable[[Path], None]:
        def into(home: Path) -> None:
            python = virtualenvs.make(home, interpreter, uv, relocatable=True)
            # Copied, not linked to uv's own cache: a test that writes into an installed file must not reach other
            # projects.
            virtualenvs.install(python, uv, "--compile-bytecode", "--link-mode=copy", *arguments)

        return into

    def copy(name: str, key: str, arguments: list[str | Path]) -> Path:
        return virtualenvs.copy_of(key, cache, scratch / name, build(arguments), link=link)

    together = virtualenvs.key_of("together", *parts)
    apart = cache / f"{together}.apart"
    if not tools.lines:
        python = virtualenvs.python_of(
            copy("tests", virtualenvs.key_of("alone", *parts), ["-r", pins] if text.strip() else [])
        )
        return TestEnvironment(python=python, tools_python=python)
    if not apart.exists():
        try:
            python = virtualenvs.python_of(copy("tests", together, ["-r", pins, "-r", wanted]))
        except ResolutionFailed as conflict:
            reason = conflict
        else:
            return TestEnvironment(python=python, tools_python=python)
    else:
        reason = ResolutionFailed(apart.read_text(encoding="utf-8"))
    app = copy(
        "app", virtualenvs.key_of("alone", *parts), ["-r", pins]
    )  # raises by itself where the pins are at fault, not the tools
    own = copy("tests", virtualenvs.key_of("tools", *parts), ["-r", wanted])
    apart.write_text(reason.message, encoding="utf-8")
    # At the end of the path: the tools keep what they need, everything else comes from the app's pins.
    packages = virtualenvs.site_packages(app, interpreter)
    _file(virtualenvs.site_packages(own, interpreter) / "zz_app_environment.pth", f"{packages}\n")
    note = f"the test tools do not fit beside the pins and run from an environment of their own ({reason.message})"
    return TestEnvironment(python=virtualenvs.python_of(app), tools_python=virtualenvs.python_of(own), note=note)


test_environment.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it


def is_native(platform: str) -> bool:
    """Whether pins for uv's platform of that name are pins for this computer."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        this_computer.machine().lower(), this_computer.machine().lower()
    )
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    aliases = {"linux": ("linux", "x86_64"), "macos": ("macos", "aarch64"), "windows": ("windows", "x86_64")}
    if platform in aliases:
        return (system, machine) == aliases[platform]
    named = next(
        (name for name, sign in (("linux", "linux"), ("macos", "apple"), ("windows", "windows")) if sign in platform),
        None,
    )
    return named == system and platform.split("-", 1)[0] == machine


def _refuse(source: DependencySource) -> None:
    problems: list[RequirementRefused] = []
    for declared in source.lines:
        reason = requirements_file.refusal(declared.line)
        if reason:
            problems.append(
                RequirementRefused(
                    f"{reason[0]}: {requirements_file.mask(declared.line.text)}", where=declared.where, hint=reason[1]
                )
            )
    raise_all(list(problems))


def _keep(source: DependencySource, upgrade: Upgrade, place: Path, interpreter: Interpreter, uv: Uv) -> Frozen:
    """A hand-written requirements.txt ships as it is; its lines without a pin are told, since the server decides about
    them at every deploy."""
    if upgrade:
        raise RequirementRefused(
            "requirements.txt is hand-written: its pins are yours to change",
            where=REQUIREMENTS,
            hint='edit it, or set freeze = "pin" in the configuration',
        )
    python = virtualenvs.make(place, interpreter, uv)
    virtualenvs.install(python, uv, "-r", REQUIREMENTS, where=REQUIREMENTS)
    loose = [
        f"{REQUIREMENTS}:{line.number}: {line.text} is not pinned"
        for line in requirements_file.unpinned(source.content)
    ]
    missing = sorted(set(virtualenvs.installed(python, uv)) - set(requirements_file.pins_of(source.content)))
    if not loose and missing:
        loose = [f"{REQUIREMENTS} does not name what its packages need: {', '.join(missing)}"]
    notes = tuple([*loose, 'freeze = "pin" turns these lines into pins'] if loose else ())
    raw = source.content.encode()
    return Frozen(
        text=raw,
        local=raw,
        pins=tuple(sorted(requirements_file.pins_of(source.content).values())),
        changes=(),
        environment=place,
        notes=notes,
    )


def _text(source: DependencySource, resolved: Resolution) -> str:
    if source.kind == REQUIREMENTS:
        lines = [line.line.text for line in source.lines]
        header = [PINNED.removeprefix("# "), *(f"  {line}" for line in lines)]
    else:
        header = [f"{GENERATED}{source.spelling}".removeprefix("# ")]
    return requirements_file.render(resolved.pins.values(), header=header, options=resolution.options_of(source))


def _install_exactly(text: str, place: Path, uv: Uv, scratch: Path, where: str) -> None:
    """Install the pins with their dependencies: the environment must then hold the pins, no more and no fewer."""
    python = virtualenvs.python_of(place)
    expected = requirements_file.pins_of(text)
    if expected:
        virtualenvs.install(python, uv, "-r", _file(scratch / "frozen.txt", text), where=where)
    found = virtualenvs.installed(python, uv)
    wrong = [
        str(pin)
        for name, pin in found.items()
        if name not in expected or (pin.version and expected[name].version and pin.version != expected[name].version)
    ]
    wrong += [f"{pin} is missing" for name, pin in expected.items() if name not in found]
    if wrong:
        raise ResolutionFailed(f"the fresh environment does not hold the pins: {', '.join(sorted(wrong))}", where=where)


def _for_here(source: DependencySource, text: str, interpreter: Interpreter, uv: Uv, scratch: Path) -> str:
    """The declared dependencies for this computer, as near to the pins for the server as its platform allows."""
    pins = requirements_file.pins_of(text)
    roots = [str(pin) for name, pin in pins.items() if name in source.direct] or [str(pin) for pin in pins.values()]
    declared = _file(scratch / "here.in", "".join(f"{root}\n" for root in roots))
    constraints = _file(scratch / "server.txt", requirements_file.render(pins.values()))
    output = scratch / "here.txt"
    done = uv.fetch(
        "pip",
        "compile",
        declared,
        "--constraints",
        constraints,
        "--python",
        interpreter.path,
        "--no-header",
        "--no-annotate",
        "--output-file",
        output,
    )
    if not done.ok:
        raise uv.failure(done, "the pins for the server have no counterpart on this computer", where=source.path)
    return output.read_text(encoding="utf-8")


def _origins(resolved: Resolution, source: DependencySource) -> Iterator[str]:
    """Pins that no public index gave: the server must know where to find them, and a name that both have is a door for
    strangers."""
    recorded = " ".join(resolution.options_of(source))
    by_index: dict[str, list[str]] = {}
    for name, index in resolved.origins.items():
        if (
            not re.match(r"https://pypi\.org/", index)
            and requirements_file.without_credentials(index).rstrip("/") not in recorded
        ):
            by_index.setdefault(requirements_file.without_credentials(index), []).append(name)
    for index, names in sorted(by_index.items()):
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield f"{shown}: from {index}, by this computer's configuration; the server must find the same there"


def _file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
