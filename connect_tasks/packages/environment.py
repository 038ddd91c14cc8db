"""Freezing: pins for the server, and a fresh environment that holds exactly them as the proof that they install."""

from __future__ import annotations

import platform as this_computer
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import RequirementRefused, ResolutionFailed, raise_all
from ..repository.tree import REQUIREMENTS
from . import requirements_file, resolution, virtualenvs
from .compiled_pins import Resolution
from .dependencies import GENERATED, PINNED, DependencySource, is_ours
from .index_settings import IndexSettings, index_settings
from .interpreters import Interpreter
from .requirements_file import Pin, PinChange
from .resolution import Aim
from .test_environments import TestEnvironment, test_environment
from .upgrade import Upgrade
from .uv_door import Uv

__all__ = ["Frozen", "TestEnvironment", "Upgrade", "fit_here", "freeze", "local_requirements", "test_environment"]


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """What freezing made. `text` is requirements.txt; `local` is what to install on this computer, the same bytes
    wherever that is the server's platform and every line is a pin.

    `environment` is a fresh virtualenv that holds exactly `local` once `prove` was called, which raises
    `ResolutionFailed` where the pins do not install. `notes` are for people.
    """

    text: bytes
    local: bytes
    pins: tuple[Pin, ...]
    changes: tuple[PinChange, ...]
    environment: Path
    prove: Callable[[], None]
    notes: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return virtualenvs.python_of(self.environment)


def freeze(
    source: DependencySource,
    *,
    pins: str | None,
    interpreter: Interpreter,
    platform: str,
    upgrade: Upgrade,
    directory: Path,
    place: Path,
    scratch: Path,
    environ: Mapping[str, str],
    offline: bool = False,
    mode: str = "resolve",
    work_tree: Path | None = None,
) -> Frozen:
    """Pin what the source declares for the server's platform and the interpreter's minor. That the pins install is
    proven in a fresh environment when `Frozen.prove` is called, which must be before they are trusted.

    `pins` is the text of the requirements.txt that is there; `directory` an export of the app; `place` an empty
    directory for the environment; `mode` is the app's `freeze`: "resolve", or "pin" for a hand-written requirements.txt
    that becomes pins. `work_tree` is the app's directory in the repository, for uv settings above it. Raises
    `RequirementRefused`, `ResolutionFailed`, `ConfigurationInvalid`.
    """
    raise_all(list(_refusals(source)))
    scratch.mkdir(parents=True, exist_ok=True)
    settings = index_settings(environ, work_tree or directory, declares_index=resolution.declares_index(source))
    uv = Uv.of(directory, environ, settings, offline=offline)
    if source.kind == REQUIREMENTS and mode != "pin":
        return _keep(source, upgrade, place, interpreter, uv)
    existing = requirements_file.pins_of(pins or "")
    aim = Aim(interpreter=interpreter, platform=platform, hashes=resolution.wants_hashes(source, existing))
    with ThreadPoolExecutor(1) as pool:  # neither needs the other, and there are two cores
        making = pool.submit(virtualenvs.make, place, interpreter, uv)
        resolved = resolution.resolve(source, aim, uv, existing=existing, upgrade=upgrade, scratch=scratch)
        making.result()
    if aim.hashes:
        raise_all(list(_without_digest(resolved)))
    text = _render(source, resolved)
    local, notes = text, (*_replaced(source, pins), *_origins(resolved, settings))
    if not is_native(platform):
        local = _for_here(source, resolved.pins, interpreter, uv, scratch)
        notes += (
            f"the pins are for {platform}; this computer tests with pins of its own where that makes a difference",
        )
    return Frozen(
        text=text.encode(),
        local=local.encode(),
        pins=tuple(sorted(resolved.pins.values())),
        changes=requirements_file.compare(existing, resolved.pins, resolved.via),
        environment=place,
        prove=partial(_install_exactly, local, source, place, uv, scratch),
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
    """What to install here to test `requirements`: themselves where they are pins for this computer, else pins of its
    own, as near to them as its platform allows.
    """
    if fit_here(requirements, platform):
        return requirements
    text = requirements.decode("utf-8-sig")
    scratch.mkdir(parents=True, exist_ok=True)
    settings = index_settings(environ, directory, declares_index=resolution.declares_index(source))
    uv = Uv.of(directory, environ, settings, offline=offline)
    return _for_here(source, requirements_file.pins_of(text), interpreter, uv, scratch).encode()


def fit_here(requirements: bytes, platform: str) -> bool:
    """Whether a list for a platform is one of pins for this computer."""
    return is_native(platform) and not requirements_file.unpinned(requirements.decode("utf-8-sig"))


def is_native(platform: str) -> bool:
    """Whether pins for uv's platform of that name are pins for this computer."""
    machine = this_computer.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    aliases = {"linux": ("linux", "x86_64"), "macos": ("macos", "aarch64"), "windows": ("windows", "x86_64")}
    if platform in aliases:
        return (system, machine) == aliases[platform]
    signs = (("linux", "linux"), ("apple", "macos"), ("windows", "windows"))
    named = next((name for sign, name in (*signs, ("manylinux", "linux")) if sign in platform), None)
    return named == system and platform.split("-", 1)[0] == machine


def _refusals(source: DependencySource) -> Iterator[RequirementRefused]:
    for declared in source.lines:
        reason = requirements_file.refusal(declared.line)
        if reason:
            masked = requirements_file.mask(declared.line.text)
            yield RequirementRefused(f"{reason[0]}: {masked}", where=declared.where, hint=reason[1])


def _without_digest(resolved: Resolution) -> Iterator[RequirementRefused]:
    for pin in resolved.pins.values():
        if not pin.hashes:
            yield RequirementRefused(
                f"{pin.name} has no digest, and pip installs from a file with digests only what has one",
                where=REQUIREMENTS,
                hint="take a release from an index, or give up --require-hashes",
            )


def _keep(source: DependencySource, upgrade: Upgrade, place: Path, interpreter: Interpreter, uv: Uv) -> Frozen:
    """A hand-written requirements.txt ships as it is. Its lines without a pin are told: about them the server decides
    at every deploy, so here too the index is asked, not the cache.
    """
    if upgrade:
        raise RequirementRefused(
            "requirements.txt is hand-written: its pins are yours to change",
            where=REQUIREMENTS,
            hint='edit it, or set freeze = "pin" in the configuration',
        )
    written = requirements_file.pins_of(source.content)
    loose = [
        f"{REQUIREMENTS}:{line.number}: {line.text} is not pinned"
        for line in requirements_file.unpinned(source.content)
    ]
    python = virtualenvs.make(place, interpreter, uv)
    if source.lines:
        virtualenvs.install(python, uv, "-r", REQUIREMENTS, where=REQUIREMENTS, cached=not loose)
    found = virtualenvs.installed(python, uv)
    missing = sorted(set(found) - set(written) - source.direct)
    if missing:
        loose.append(f"{REQUIREMENTS} does not name what its packages need: {', '.join(missing)}")
    if loose:
        loose.append('freeze = "pin" in the configuration turns all of them into pins')
    here = requirements_file.render(found.values(), options=resolution.options_of(source)) if loose else source.content
    return Frozen(
        text=source.content.encode(),
        local=here.encode(),
        pins=tuple(sorted(written.values())),
        changes=(),
        environment=place,
        prove=lambda: None,  # what was installed is what the pins of this computer were read from
        notes=tuple(loose),
    )


def _render(source: DependencySource, resolved: Resolution) -> str:
    """requirements.txt as we write it. No machine, no version of ours, no date: the same bytes everywhere."""
    header = [f"{GENERATED}{source.spelling}"]
    if source.kind == REQUIREMENTS:
        header = [
            PINNED,
            *(f"#   {line.line.text}" for line in source.lines if line.line.option not in {"-r", "--requirement"}),
        ]
    text = requirements_file.render(resolved.pins.values(), header=header, options=resolution.options_of(source))
    raise_all(list(requirements_file.refusals(text, lambda number: f"{REQUIREMENTS}:{number}")))
    return text


def _install_exactly(text: str, source: DependencySource, place: Path, uv: Uv, scratch: Path) -> None:
    """Install the pins with their dependencies: the environment must then hold the pins, no more and no fewer."""
    python, where = virtualenvs.python_of(place), source.path
    expected = requirements_file.pins_of(text)
    if not expected:
        return
    file = scratch / "frozen.txt"
    file.write_text(requirements_file.anchored(text, uv.directory), encoding="utf-8")
    virtualenvs.install(python, uv, "-r", file, where=where)
    found = virtualenvs.installed(python, uv)
    wrong = [f"{expected[name]} is missing" for name in sorted(set(expected) - set(found))]
    wrong += [f"{found[name]} is not among the pins" for name in sorted(set(found) - set(expected))]
    wrong += [
        f"{found[name]} in place of {pin}"
        for name, pin in sorted(expected.items())
        if name in found
        and pin.version
        and found[name].version
        and not requirements_file.same_version(pin, found[name])
    ]
    if wrong:
        raise ResolutionFailed(f"the fresh environment does not hold the pins: {'; '.join(wrong)}", where=where)


def _for_here(
    source: DependencySource, pins: Mapping[str, Pin], interpreter: Interpreter, uv: Uv, scratch: Path
) -> str:
    """The declared dependencies for this computer. The server's pins are preferred, not demanded: some may have no
    release file for this platform.
    """
    declared, output = scratch / "here.in", scratch / "here.txt"
    text = "\n".join(resolution.flattened(source, uv.directory, pins))
    declared.write_text(requirements_file.anchored(text, uv.directory), encoding="utf-8")
    output.write_text(requirements_file.render(pins.values()), encoding="utf-8")
    loose = source.kind == REQUIREMENTS  # only the index knows what its loose lines mean today
    form = ("--no-header", "--no-annotate", "--no-python-downloads", "--python", interpreter.path)
    done = uv.fetch("pip", "compile", declared, *form, "--output-file", output, cached=not loose)
    if not done.ok:
        raise uv.failure(done, "what the server will install can't be had on this computer", where=source.path)
    found = requirements_file.pins_of(output.read_text(encoding="utf-8"))
    return requirements_file.render(found.values(), options=resolution.options_of(source))


def _replaced(source: DependencySource, pins: str | None) -> Iterator[str]:
    if pins and pins.strip() and not is_ours(pins) and source.kind != REQUIREMENTS:
        yield (
            f"{REQUIREMENTS} was not made by connect_tasks and is now the frozen list of {source.spelling}; "
            f'dependencies = "{REQUIREMENTS}" in the configuration keeps it as the source'
        )


def _origins(resolved: Resolution, settings: IndexSettings) -> Iterator[str]:
    """Pins that came from a further index of this computer: the server must know it too."""
    further = {link.rstrip("/") for link in settings.further}
    by_index: dict[str, list[str]] = {}
    for name, origin in resolved.origins.items():
        index = requirements_file.without_credentials(origin).rstrip("/")
        if index in further:
            by_index.setdefault(index, []).append(name)
    for index, names in sorted(by_index.items()):
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield f"{shown}: from {index}, a further index of this computer; the server must have these releases too"
