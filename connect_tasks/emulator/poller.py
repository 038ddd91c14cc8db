"""Polling: content whose settings say so is deployed again when the head of its branch has moved."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace

from connect_tasks.emulator.deployment import Deployments
from connect_tasks.emulator.records import Content, Repository
from connect_tasks.emulator.repositories import CloneFailed, Repositories
from connect_tasks.emulator.store import Store

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Poller:
    store: Store
    repositories: Repositories
    deployments: Deployments

    async def run(self, interval: float) -> None:
        """Polls every `interval` seconds, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.poll()
            except Exception:
                _logger.exception("poll")

    async def poll(self) -> None:
        """One round: the content items one after another, so that a slow remote is not asked twice at once."""
        for repository in list(self.store.state.table(Repository).values()):
            # Before its first deploy nobody has said that it may go live.
            if repository.polling and repository.last_known_commit is not None:
                await self._look(repository)

    async def _look(self, repository: Repository) -> None:
        problem = None
        try:
            commit = await self.repositories.fetch(repository.repository, repository.branch, lambda _line: None)
        except CloneFailed as failure:
            commit, problem = None, f"Git: {failure}"
        current = self.store.state.find(Repository, repository.content_guid)
        content = self.store.state.find(Content, repository.content_guid)
        if current is None or content is None or not current.polling:
            return  # changed while the remote was asked
        if problem:
            self.store.commit(replace(current, last_error=problem))
        elif _place(current) == _place(repository) and commit != current.last_known_commit:
            # (A commit whose deploy failed is not tried again: its error stands until the branch moves.)
            self.deployments.deploy_head(content.guid, user_guid=content.owner_guid)


def _place(repository: Repository) -> tuple[str, str]:
    return repository.repository, repository.branch
