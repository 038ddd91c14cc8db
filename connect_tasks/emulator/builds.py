"""From an archive to a bundle that can be started: unpacked, with its environment."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from connect_tasks.emulator.abilities import Abilities
from connect_tasks.emulator.archives import ArchiveRefused, unpack
from connect_tasks.emulator.environments import BuildFailed, Environment, Environments
from connect_tasks.emulator.interpreters import Interpreter, choose_interpreter, find_interpreters
from connect_tasks.emulator.manifests import NAMES
from connect_tasks.emulator.modes import unsupported
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Bundle

Log = Callable[[str], None]


class BundleUnusable(Exception):
    """The bundle cannot be made ready; the text is what the task's client reads."""


class Builds:
    """The files of bundles below the data directory: `bundles/ID.tar.gz`, and unpacked in `unpacked/ID/`."""

    def __init__(self, data: Path, environments: Environments, abilities: Abilities) -> None:
        self.archives = data / "bundles"
        self._unpacked = data / "unpacked"
        self.archives.mkdir(parents=True, exist_ok=True)
        self._unpacked.mkdir(parents=True, exist_ok=True)
        self._environments = environments
        self._abilities = abilities

    def archive(self, bundle_id: str) -> Path:
        return self.archives / f"{bundle_id}.tar.gz"

    def root(self, bundle: Bundle) -> Path:
        """The folder that holds manifest.json."""
        return self._unpacked.joinpath(bundle.id, manifest_of(bundle)["root"])

    def environment(self, bundle: Bundle) -> Environment | None:
        return self._environments.open(bundle.environment_key) if bundle.environment_key else None

    def ready(self, bundle: Bundle) -> bool:
        built = not bundle.environment_key or self.environment(bundle) is not None
        return built and (self._unpacked / bundle.id).exists()

    def discard(self, bundle: Bundle) -> None:
        self.archive(bundle.id).unlink(missing_ok=True)
        shutil.rmtree(self._unpacked / bundle.id, ignore_errors=True)

    def cached_versions(self) -> list[str]:
        """The Pythons that there are environments of."""
        return sorted({environment.version for environment in self._environments.built()})

    async def clear_cache(self, version: str) -> list[str]:
        """Removes the environments of that Python; the keys of those removed."""
        keys = [environment.key for environment in self._environments.built() if environment.version == version]
        for key in keys:
            await self._environments.remove(key)
        return keys

    async def prepared(self, bundle: Bundle, log: Log) -> Bundle:
        """The bundle unpacked, with its environment; what was prepared before is found again.

        Raises BundleUnusable, Problem 38.
        """
        manifest = manifest_of(bundle)
        mode = manifest["mode"]
        if refusal := unsupported(mode):
            raise BundleUnusable(refusal[:1].upper() + refusal[1:])
        log(f"Building {NAMES[mode]}...")
        try:
            links = bundle.directory is not None  # in a repository they are ordinary content
            await asyncio.to_thread(unpack, self.archive(bundle.id), self._unpacked / bundle.id, links=links)
        except ArchiveRefused as refused:
            raise BundleUnusable(f"The bundle cannot be unpacked: {refused}.") from refused
        if manifest["package_file"] is None or mode == "static":
            return replace(bundle, prepared=True)
        environment = await self._built(bundle, manifest, log)
        log(f"Completed Python build against Python version: '{environment.version}'")
        return replace(
            bundle,
            prepared=True,
            py_version=environment.version,
            environment_key=environment.key,
            packages=environment.packages,
        )

    async def _built(self, bundle: Bundle, manifest: Mapping[str, Any], log: Log) -> Environment:
        interpreter = await self._interpreter(manifest, log)
        requirements = _requirements(self.root(bundle), manifest["package_file"], log)
        log(f"Content GUID: {bundle.content_guid}")
        log(f"Bundle ID: {bundle.id}")
        try:
            environment = await self._environments.prepare(interpreter, requirements, log, directory=self.root(bundle))
        except BuildFailed as failure:
            raise _failed(str(failure), failure.code, log) from failure
        packages = ", ".join(f"{name}=={version}" for name, version in environment.packages)
        log(f"Packages in the environment: {packages or 'none'}")
        return environment

    async def _interpreter(self, manifest: Mapping[str, Any], log: Log) -> Interpreter:
        requires = manifest["requires"] if self._abilities.requires else None
        found = choose_interpreter(
            await asyncio.to_thread(find_interpreters), requires=requires, version=manifest["python"]
        )
        wanted = f"{manifest['python']} ({requires})" if requires else manifest["python"]
        if found is None:
            raise _failed(f"No Python on this server fits {wanted}", "python-version-not-available", log)
        log(f"Bundle requested Python version {wanted}; using {found.path} which has version {found.version}")
        return found


def manifest_of(bundle: Bundle) -> Mapping[str, Any]:
    """Raises Problem 38."""
    if bundle.manifest is None:
        raise Problem(38, f"The bundle cannot be deployed: {bundle.manifest_problem}.")
    return bundle.manifest


def _requirements(folder: Path, name: str, log: Log) -> str:
    if not name:
        return ""
    if name.endswith((".lock", ".toml")):
        raise BundleUnusable(f"Installing from {name} is not in this emulator: it takes requirements files.")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        message = f"The bundle has no file {name}, which its manifest names"
        raise _failed(message, "python-package-file-missing", log)
    return path.read_text("utf-8", errors="replace")


def _failed(message: str, code: str, log: Log) -> BundleUnusable:
    log(message)
    return BundleUnusable(f"An error occurred while building your content. {message}. (Error code: {code})")
