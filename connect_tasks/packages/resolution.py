"""From declared dependencies to exact pins, for the server's platform and the app's Python minor, whatever this
computer is.

The same input gives `colorama` on Windows, `appnope` on macOS and `pexpect` on Linux, so uv is told the platform. uv
names who wants each pin, and we keep that for the report.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..errors import raise_all
from ..repository.tree import REQUIREMENTS
from . import compiled_pins, poetry_lock, requirements_file, uv_lock
from .compiled_pins import Resolution
from .dependencies import DependencySource
from .interpreters import Interpreter
from .poetry_lock import POETRY_LOCK
from .project_file import PYPROJECT, project_table
from .requirements_file import Pin
from .upgrade import Upgrade
from .uv_door import Uv
from .uv_lock import UV_LOCK

#: Options of a declared file that the server's pip must know too.
_RECORDED = {"-i": "--index-url", "-f": "--find-links"}
_RECORDED |= {
    option: option
    for option in (
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "--no-binary",
        "--only-binary",
        "--trusted-host",
        "--no-index",
    )
}
_INCLUDES = {"-r", "--requirement", "-c", "--constraint"}


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What the pins are for: an interpreter's minor, and uv's name of the server's platform. `hashes`: with every
    release file's digest."""

    interpreter: Interpreter
    platform: str
    hashes: bool = False

    @property
    def arguments(self) -> list[str | Path]:
        return [
            "--python",
            self.interpreter.path,
            "--python-version",
            self.interpreter.minor,
            "--python-platform",
            self.platform,
        ]


def resolve(
    source: DependencySource, aim: Aim, uv: Uv, *, existing: Mapping[str, Pin], upgrade: Upgrade, scratch: Path
) -> Resolution:
    """The pins of a source; `existing` ones are kept unless the upgrade covers them or the declared lines exclude them.

    Raises `ResolutionFailed` with uv's reasons, `RequirementRefused` for an upgrade that belongs to the lock file's
    own tool, `UsageWrong` for an upgrade of what is not there.
    """
    upgrade.check()
    if source.kind in {UV_LOCK, POETRY_LOCK}:
        upgrade.refuse_for(source.path)
        return (_from_uv_lock if source.kind == UV_LOCK else _from_poetry_lock)(source, aim, uv, scratch)
    output = scratch / "pins.txt"
    kept = requirements_file.render(existing.values())
    inputs = _inputs(source, uv, scratch, kept=dict(_kept_commits(source, existing, upgrade)))
    command = ["pip", "compile", *inputs, *aim.arguments, *upgrade.arguments, *_form(aim), "--output-file", output]
    if existing and not upgrade:
        # The cache knows what the pins need. It can't know newer releases, so its answer counts only where it is the
        # pins that we have.
        _written(output, [kept])
        done = uv.run(*command, *uv.arguments, offline=True)
        found = _read(output, source) if done.ok else None
        if found and (uv.offline or found.pins == dict(existing)):
            return found
    _written(output, [kept])
    done = uv.fetch(*command, cached=False)
    if not done.ok:
        raise uv.failure(done, "the dependencies can't be resolved", where=source.path)
    resolved = _read(output, source)
    upgrade.check(resolved.pins)
    return resolved


def options_of(source: DependencySource) -> tuple[str, ...]:
    """The index options that the app itself declares, for the server's pip too. What this computer is configured with
    is not the app's.
    """
    found = (
        f"{_RECORDED[line.line.option]} {line.line.value}".strip()
        for line in source.lines
        if line.line.option in _RECORDED
    )
    return tuple(dict.fromkeys(found))


def wants_hashes(source: DependencySource, existing: Mapping[str, Pin]) -> bool:
    """Whether the file is to carry digests: pip's own option in a declared file, uv's in pyproject.toml, or digests in
    the file that is there.
    """
    if any(line.line.option == "--require-hashes" or line.line.hashes for line in source.lines):
        return True
    document = (
        project_table(source.project or source.content) if source.kind in {PYPROJECT, UV_LOCK, POETRY_LOCK} else {}
    )
    pip = document.get("tool", {}).get("uv", {}).get("pip", {})
    return bool(pip.get("generate-hashes") or pip.get("require-hashes")) or any(pin.hashes for pin in existing.values())


def declares_index(source: DependencySource) -> bool:
    """Whether the app's own requirements file names the index that is to be used instead of the public one."""
    return any(line.line.option in {"-i", "--index-url", "--no-index"} for line in source.lines)


def _inputs(source: DependencySource, uv: Uv, scratch: Path, *, kept: Mapping[str, str]) -> list[str | Path]:
    """What uv compiles: the declared file, or a rendering of it; with lines that replace those for the same names."""
    more: list[str | Path] = ["--overrides", _written(scratch / "commits.txt", kept.values())] if kept else []
    if any(line.line.option == "--pre" for line in source.lines):
        more.append("--prerelease=allow")  # uv passes over pip's option with a warning
    if source.kind == REQUIREMENTS:  # pinned in place: the lines are the declared ones, not those that we wrote below
        return [_written(scratch / "declared.in", flattened(source, uv.directory)), *more]
    if source.kind != PYPROJECT:
        return [source.path, *more]
    document = project_table(source.content)
    more += [*(f"--extra={extra}" for extra in source.extras), *(f"--group={group}" for group in source.groups)]
    if "project" not in document:
        return more
    path = Path(PYPROJECT)
    if "dependencies" in document["project"].get("dynamic", []):
        # The build backend leaves traces (x.egg-info) where it runs; the export must stay the tree that ships.
        path = Path(shutil.copytree(uv.directory, scratch / "project", symlinks=True)) / PYPROJECT
    return [path, *more]


def flattened(source: DependencySource, directory: Path, pins: Mapping[str, Pin] | None = None) -> Iterator[str]:
    """The declared lines as one file that may lie anywhere; where `pins` know the commit of a URL, with it."""
    for declared in source.lines:
        line = declared.line
        pin = (pins or {}).get(canonicalize_name(line.requirement.name)) if line.requirement else None
        if line.requirement and line.requirement.url and pin and pin.url:
            yield _at_commit(line.requirement, pin)
        elif line.option in {"-c", "--constraint"}:
            yield f"-c {directory / line.value}"
        elif line.option not in _INCLUDES:
            yield line.text


def _at_commit(requirement: Requirement, pin: Pin) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{pin.name}{extras} @ {pin.url}{marker}"


def _kept_commits(source: DependencySource, existing: Mapping[str, Pin], upgrade: Upgrade) -> Iterator[tuple[str, str]]:
    """A branch or tag in a VCS URL was frozen as a commit; it moves only when an upgrade is asked for. uv itself keeps
    only versions."""
    for declared in source.lines:
        requirement = declared.line.requirement
        if requirement is None or not requirement.url or requirements_file.exact(requirement):
            continue
        name = canonicalize_name(requirement.name)
        pin = existing.get(name)
        if pin and not upgrade.covers(name) and _repository(pin.url) == _repository(requirement.url):
            yield name, _at_commit(requirement, pin)


def _repository(url: str) -> tuple[str, str]:
    base, _, fragment = url.partition("#")
    scheme, _, rest = base.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}{slash}{path.partition('@')[0]}", fragment


def _from_uv_lock(source: DependencySource, aim: Aim, uv: Uv, scratch: Path) -> Resolution:
    """uv exports every platform's pins with markers, and the second step keeps ours.

    The lock is taken as it is (`--frozen`): under a mirror `--locked` calls every lock outdated. So we compare
    ourselves.
    """
    uv_lock.raise_if_outdated(source.content, source.project or "")
    chosen = [*(f"--extra={extra}" for extra in source.extras), *(f"--group={group}" for group in source.groups)]
    form = [
        "--no-default-groups",
        "--no-emit-project",
        "--no-header",
        "--annotate",
        *([] if aim.hashes else ["--no-hashes"]),
    ]
    done = uv.run("export", "--frozen", "--format=requirements.txt", *form, *chosen, "--python", aim.interpreter.path)
    if not done.ok:
        raise uv.failure(done, "uv.lock can't be exported", where=source.path)
    _refuse(done.text, source.path)
    compiled = _select([_written(scratch / "locked.txt", [done.text]), "--no-deps"], aim, uv, scratch, source)
    via, _ = compiled_pins.reasons(done.text, {uv_lock.name_of(source.project or "")})
    return Resolution(pins=compiled.pins, via=via, origins=compiled.origins)


def _from_poetry_lock(source: DependencySource, aim: Aim, uv: Uv, scratch: Path) -> Resolution:
    roots = [line.line.text for line in source.lines]  # Poetry's own indexes are among them, as options that uv reads
    locked = poetry_lock.constraints(source.content, source.direct)
    _refuse("\n".join([*roots, *locked]), source.path)
    inputs: list[str | Path] = [
        _written(scratch / "poetry.in", roots),
        "--constraints",
        _written(scratch / "locked.txt", locked),
    ]
    return _select(inputs, aim, uv, scratch, source)


def _select(inputs: list[str | Path], aim: Aim, uv: Uv, scratch: Path, source: DependencySource) -> Resolution:
    """Of locked lines those for our platform and Python. Every version is given: the cache's answer is as good as the
    index's.
    """
    output = scratch / "pins.txt"
    done = uv.fetch("pip", "compile", *inputs, *aim.arguments, *_form(aim), "--output-file", output)
    if not done.ok:
        raise uv.failure(done, f"the pins of {source.path} can't be had", where=source.path)
    return _read(output, source)


def _refuse(text: str, where: str) -> None:
    raise_all(list(requirements_file.refusals(text, lambda _number: where)))


def _form(aim: Aim) -> list[str]:
    """Said in full, so that a uv.toml of this computer can't change what the file looks like."""
    on = ("--annotate", "--annotation-style=split", "--emit-index-annotation", "--strip-extras", "--strip-markers")
    off = ("--no-header", "--no-emit-index-url", "--no-emit-find-links", "--no-universal", "--no-python-downloads")
    return [*on, *off, "--generate-hashes" if aim.hashes else "--no-generate-hashes"]


def _read(output: Path, source: DependencySource) -> Resolution:
    return compiled_pins.read(output.read_text(encoding="utf-8"), source.path)


def _written(path: Path, lines: Iterable[str]) -> Path:
    path.write_text(
        "".join(line if line.endswith("\n") or not line else f"{line}\n" for line in lines), encoding="utf-8"
    )
    return path
