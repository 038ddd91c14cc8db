"""Deploys and builds as tasks: which bundle, from where, and what becomes of the content when it is ready."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from connect_tasks.emulator import archives
from connect_tasks.emulator.builds import Builds, BundleUnusable, manifest_of
from connect_tasks.emulator.clock import now
from connect_tasks.emulator.instances import StartFailed
from connect_tasks.emulator.launches import Launches
from connect_tasks.emulator.manifests import NAMES, ManifestInvalid
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Bundle, Content, Repository, Task
from connect_tasks.emulator.repositories import CloneFailed, Repositories
from connect_tasks.emulator.state import activated, refuse_other_mode
from connect_tasks.emulator.store import Store
from connect_tasks.emulator.tasks import Run, TaskFailed, Tasks

SHA: Final = re.compile("[0-9a-f]{40,64}")


@dataclass(frozen=True)
class Location:
    """Where a bundle comes from."""

    repository: str
    ref: str
    directory: str


@dataclass(frozen=True, kw_only=True)
class Deployments:
    store: Store
    tasks: Tasks
    repositories: Repositories
    builds: Builds
    launches: Launches

    def deploy(self, content: Content, bundle_id: str | None, *, user_guid: str, activate: bool) -> Task:
        """Starts the deploy of a bundle; None: the newest, or for git content a new one.

        Raises Problem 4, 28, 38, 48, 82.
        """
        if bundle_id is None and self.store.state.find(Repository, content.guid) is not None:
            return self.deploy_head(content.guid, user_guid=user_guid, activate=activate)
        bundle = self._chosen(content, bundle_id or self._newest(content))
        refuse_other_mode(content, manifest_of(bundle)["mode"])

        async def work(run: Run) -> None:
            await self._deploy(run, bundle, activate=activate)

        title = f"Deploy of bundle {bundle.id}" if activate else f"Draft of bundle {bundle.id}"
        return self.tasks.start(work, title, user_guid=user_guid, content_guid=content.guid)

    def deploy_head(self, content_guid: str, *, user_guid: str, activate: bool = True) -> Task:
        """Starts: fetch, a new bundle of the branch's head, its deploy."""
        # What another task is still at work on when this one is asked for is as good as a bundle of our own: a poll and
        # a trigger of one commit build once. A bundle that was deployed before is not.
        settled = {bundle.id for bundle in self.store.state.bundles(content_guid)}
        settled -= self.tasks.unsettled(content_guid)

        async def work(run: Run) -> None:
            repository = self.store.state.repository(content_guid)
            location = Location(repository.repository, repository.branch, repository.directory)
            try:
                if SHA.fullmatch(location.ref):
                    raise TaskFailed(f"Git: {location.ref} is a commit; content follows a branch.", kind="git-error")
                commit = await self._fetched(location, run)
                self._remember(content_guid, last_known_commit=commit)
                bundle = self._same(content_guid, location, commit, settled)
                if bundle is None:
                    bundle = await self._bundle_of(content_guid, location, commit, run, self.store.number())
                else:
                    run.log(f"Bundle {bundle.id} was just made of this commit.")
                run.made.add(bundle.id)
                await self._deploy(run, bundle, activate=activate)
            except (TaskFailed, Problem) as failure:
                self._remember(content_guid, last_error=str(failure))
                raise

        title = "Deploy of the branch's head" if activate else "Draft of the branch's head"
        return self.tasks.start(work, title, user_guid=user_guid, content_guid=content_guid)

    def build(self, content: Content, bundle_id: str | None, *, user_guid: str) -> Task:
        """Starts preparing a bundle again, without activation. Raises Problem 4, 28, 38, 82."""
        bundle = self._chosen(content, bundle_id or content.bundle_id or self._newest(content))
        manifest_of(bundle)

        async def work(run: Run) -> None:
            run.finish(await self._prepared(run, bundle))

        return self.tasks.start(work, f"Build of bundle {bundle.id}", user_guid=user_guid, content_guid=content.guid)

    def bundle_from(self, content_guid: str, location: Location, *, user_guid: str) -> tuple[str, Task]:
        """Starts making a bundle of any ref, without deploying it; its id is known at once."""
        number = self.store.number()

        async def work(run: Run) -> None:
            commit = await self._fetched(location, run)
            await self._bundle_of(content_guid, location, commit, run, number)

        title = f"Bundle {number} from {location.ref}"
        return number, self.tasks.start(work, title, user_guid=user_guid, content_guid=content_guid)

    async def uploaded(self, content: Content, upload: Path, *, user_guid: str, metadata: Mapping[str, Any]) -> Bundle:
        """Keeps an uploaded archive as a new bundle. Raises Problem 135."""
        return await self._kept(upload, content.guid, self.store.number(), user_guid, metadata)

    # Which bundle

    def _newest(self, content: Content) -> str:
        bundles = self.store.state.bundles(content.guid)
        if not bundles:
            raise Problem(28)
        return bundles[0].id

    def _chosen(self, content: Content, bundle_id: str) -> Bundle:
        bundle = self.store.state.find(Bundle, bundle_id)
        if bundle is None:
            raise Problem(4, "There is no such bundle.")
        if bundle.content_guid != content.guid:
            raise Problem(82)
        return bundle

    def _same(self, content_guid: str, location: Location, commit: str, settled: set[str]) -> Bundle | None:
        wanted = (_metadata(location, commit), location.directory)
        for bundle in self.store.state.bundles(content_guid):
            if bundle.id not in settled and (bundle.metadata, bundle.directory) == wanted:
                return bundle
        return None

    async def _fetched(self, location: Location, run: Run) -> str:
        try:
            return await self.repositories.fetch(location.repository, location.ref, run.log)
        except CloneFailed as failure:
            raise TaskFailed(f"Git: {failure}", kind="git-error") from failure

    async def _bundle_of(self, content_guid: str, location: Location, commit: str, run: Run, number: str) -> Bundle:
        archive = self.builds.archives / f"{number}.fetched"
        try:
            await self.repositories.archive(location.repository, commit, location.directory, archive)
        except CloneFailed as failure:
            raise TaskFailed(f"Git: {failure}", kind="git-error") from failure
        metadata = _metadata(location, commit)
        return await self._kept(
            archive, content_guid, number, run.task.user_guid, metadata, directory=location.directory
        )

    async def _kept(
        self,
        archive: Path,
        content_guid: str,
        number: str,
        user_guid: str,
        metadata: Mapping[str, Any],
        *,
        directory: str | None = None,
    ) -> Bundle:
        """Looks at the archive and keeps it. `directory`: of the repository that it was made of, None for an upload."""
        manifest, problem = None, ""
        try:
            manifest = (await asyncio.to_thread(archives.manifest_of, archive, links=directory is not None)).stored()
        except ManifestInvalid as invalid:
            problem = str(invalid)
        except archives.ArchiveRefused as refused:
            await asyncio.to_thread(archive.unlink, missing_ok=True)
            raise Problem(135, f"The bundle is refused: {refused}.") from refused
        size, md5, sha1 = await asyncio.to_thread(_digests, archive)
        # Before the commit: a bundle that is known has its archive.
        await asyncio.to_thread(archive.replace, self.builds.archive(number))
        self.store.state.content(content_guid)  # it may have been deleted meanwhile
        bundle = Bundle(
            id=number,
            content_guid=content_guid,
            created_time=now(),
            created_by=user_guid,
            size=size,
            archive_md5=md5,
            archive_sha1=sha1,
            metadata=metadata,
            directory=directory,
            manifest=manifest,
            manifest_problem=problem,
        )
        self.store.commit(bundle)
        return bundle

    # What becomes of the content

    async def _deploy(self, run: Run, bundle: Bundle, *, activate: bool) -> None:
        prepared = await self._prepared(run, bundle)
        content = self.store.state.content(bundle.content_guid)
        refuse_other_mode(content, manifest_of(prepared)["mode"])
        if manifest_of(prepared)["mode"] == "jupyter-static":
            await self._rendered(run, content, prepared)
        repository = self.store.state.find(Repository, content.guid)
        healed = (replace(repository, last_error=None),) if repository else ()
        if not activate:
            run.log(f"Bundle {bundle.id} is ready as a draft.")
            run.finish(prepared, *healed)
            return
        await self.launches.warm(content, prepared)
        run.log(f"Launching {NAMES[manifest_of(prepared)['mode']]}...")
        # Read again: a PATCH may have come in while the new process started.
        run.finish(prepared, activated(self.store.state.content(content.guid), prepared, now=now()), *healed)
        await self.launches.switched(content.guid, bundle.id)

    async def _prepared(self, run: Run, bundle: Bundle) -> Bundle:
        try:
            return await self.builds.prepared(bundle, run.log)
        except BundleUnusable as failure:
            raise TaskFailed(str(failure)) from failure

    async def _rendered(self, run: Run, content: Content, bundle: Bundle) -> None:
        """A notebook is run when it is deployed: its visitors get the page that came of it."""
        try:
            await self.launches.instance(content, bundle, f"/content/{content.guid}")
        except StartFailed as failure:
            for line in failure.log.splitlines():
                run.log(line)
            raise TaskFailed(f"An error occurred while rendering your content: {failure}.") from failure

    def _remember(self, content_guid: str, **changes: str | None) -> None:
        repository = self.store.state.find(Repository, content_guid)
        if repository is not None:
            self.store.commit(replace(repository, **changes))  # type: ignore[arg-type]  # only its text fields


def _metadata(location: Location, commit: str) -> dict[str, str]:
    return {
        "source": "git",
        "source_repo": location.repository,
        "source_branch": location.ref,
        "source_commit": commit,
    }


def _digests(path: Path) -> tuple[int, str, str]:
    md5, sha1, size = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            md5.update(block)
            sha1.update(block)
            size += len(block)
    return size, md5.hexdigest(), sha1.hexdigest()
