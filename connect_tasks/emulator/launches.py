"""From a bundle to a running process: what to start for which path, when the old one goes, which jobs there were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from connect_tasks.emulator.builds import Builds, BundleUnusable, manifest_of
from connect_tasks.emulator.clock import now, stamp
from connect_tasks.emulator.instances import Instance, Instances, Launch, StartFailed
from connect_tasks.emulator.modes import MODES
from connect_tasks.emulator.records import Bundle, Content, Job
from connect_tasks.emulator.store import Store


class Launches:
    def __init__(
        self,
        data: Path,
        *,
        store: Store,
        builds: Builds,
        url: str,
        owner_key: Callable[[str], str],
        idle_timeout: float,
        startup_timeout: float,
        restart_on_activation: bool = False,
    ) -> None:
        """`owner_key` makes an API key of a user, which the content of that user is given. Timeouts in seconds.

        `restart_on_activation`: every path of a bundle has a process of its own, as on a real server. Otherwise a draft
        that goes live keeps its process, where the mode allows it.
        """
        self._logs = data / "jobs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._builds = builds
        self._url = url
        self._owner_key = owner_key
        self._restart_on_activation = restart_on_activation
        self._made: dict[tuple[str, str, str], Launch] = {}
        self._draining: set[asyncio.Task[None]] = set()
        self._instances = Instances(
            data, idle_timeout=idle_timeout, startup_timeout=startup_timeout, changed=self._job_changed
        )
        unfinished = [job for job in store.state.table(Job).values() if job.end_time is None]
        store.commit(*(replace(job, end_time=now(), exit_code=-9) for job in unfinished))  # gone with that server

    async def instance(self, content: Content, bundle: Bundle, mount: str) -> Instance:
        """The running instance of the bundle under this path. Raises StartFailed."""
        key = (content.guid, bundle.id, mount)
        launch = self._made.get(key)
        if launch is None:
            if not self._builds.ready(bundle):
                await self._built_again(bundle)
            launch = self._made[key] = self._launch(content, bundle, mount)
        # (Two paths of one bundle may have one process: then both launches have one key.)
        return await self._instances.get(launch)

    async def _built_again(self, bundle: Bundle) -> None:
        """Its environment was removed from the cache: a real server, too, restores it at the next launch."""
        try:
            await self._builds.prepared(bundle, lambda _line: None)
        except BundleUnusable as failure:
            raise StartFailed(str(failure)) from failure

    def _launch(self, content: Content, bundle: Bundle, mount: str) -> Launch:
        manifest = manifest_of(bundle)
        shared = MODES[manifest["mode"]].anywhere and not self._restart_on_activation
        return Launch(
            key=f"{content.guid}-{bundle.id}" if shared else f"{content.guid}-{bundle.id}-{mount}",
            guid=content.guid,
            bundle_id=bundle.id,
            directory=self._builds.root(bundle),
            mode=manifest["mode"],
            entrypoint=manifest["entrypoint"] or "",
            environment=self._builds.environment(bundle),
            mount=mount,
            variables={
                "CONNECT_SERVER": f"{self._url}/",
                "CONNECT_API_KEY": self._owner_key(content.owner_guid),
                **self._store.state.variables(content.guid),
            },
            log=self._logs / f"{content.guid}-{bundle.id}.log",
            primary=manifest["primary"],
            hide_all_input=manifest.get("hide_all_input", False),  # absent from what an earlier server stored
            hide_tagged_input=manifest.get("hide_tagged_input", False),
        )

    async def warm(self, content: Content, bundle: Bundle) -> None:
        """Starts the new bundle before the switch where visitors are using the old one: nobody waits for its start.

        That it does not start is not the deploy's failure: Connect, too, deploys such content, and its page fails.
        """
        if not any(job.alive and job.launch.guid == content.guid for job in self._instances.jobs()):
            return
        try:
            await self.instance(content, bundle, f"/content/{content.guid}")
        except StartFailed:
            return

    async def switched(self, content_guid: str, bundle_id: str) -> None:
        """Lets go of the instances of every other bundle that were asked for under the content's own paths."""
        draft = f"/content/{content_guid}/_bundle"
        over = {
            launch.key
            for (guid, bundle, mount), launch in self._made.items()
            if guid == content_guid and bundle != bundle_id and not mount.startswith(draft)
        }
        await self._retire(lambda launch: launch.key in over)

    async def changed(self, content_guid: str) -> None:
        """Variables or paths changed: the next visit starts afresh."""
        await self._retire(lambda launch: launch.guid == content_guid)

    async def terminate(self, job_key: str) -> bool:
        return await self._instances.terminate(job_key)

    async def close(self) -> None:
        for drained in tuple(self._draining):
            drained.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        await self._instances.close()

    async def _retire(self, predicate: Callable[[Launch], bool]) -> None:
        self._made = {key: launch for key, launch in self._made.items() if not predicate(launch)}
        drained = asyncio.get_running_loop().create_task(self._instances.retire(predicate))
        self._draining.add(drained)
        drained.add_done_callback(self._draining.discard)
        # The task's first step takes the instances out of service: whoever comes after us meets none of them.
        await asyncio.sleep(0)

    def _job_changed(self, instance: Instance) -> None:
        known = self._store.state.find(Job, instance.job_key)
        job = Job(
            job_key=instance.job_key,
            id=known.id if known else self._store.number(),
            content_guid=instance.launch.guid,
            bundle_id=instance.launch.bundle_id,
            tag=instance.mode.tag,
            log=str(instance.log),
            start_time=stamp(instance.started),
            pid=instance.pid,
            ppid=instance.parent_pid,
            end_time=stamp(instance.ended) if instance.ended else None,
            exit_code=instance.exit_code,
        )
        self._store.commit(job)
