"""The apps that changed as jobs of a CI system: its own fan-out is the engine. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..configuration import App

#: Where GitLab finds what each job of the child pipeline extends: image, cache, key.
GITLAB_TEMPLATE = ".gitlab/connect-tasks.yml"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One app that changed, and why."""

    app: App
    because: str


def render_matrix(form: str, jobs: Sequence[Job]) -> str:
    """One line of JSON, which is YAML too.

    github
        `{"include": [{"app", "path", "target"}]}` for `strategy.matrix: ${{ fromJSON(...) }}`
    gitlab
        a child pipeline with a job `release APP` for each, that extends `.connect-tasks` of `GITLAB_TEMPLATE`
    json
        `[{"app", "path", "target", "because"}]`
    """
    rows = [{"app": job.app.name, "path": job.app.path, "target": job.app.target} for job in jobs]
    data: Any = [{**row, "because": job.because} for row, job in zip(rows, jobs, strict=True)]
    if form == "github":
        data = {"include": [{key: value or "" for key, value in row.items()} for row in rows]}
    elif form == "gitlab":
        data = _child_pipeline(jobs)
    return json.dumps(data, separators=(",", ":")) + "\n"


def _child_pipeline(jobs: Sequence[Job]) -> dict[str, Any]:
    """A pipeline without a job is an error to GitLab, so an empty one says that there is nothing."""
    if not jobs:
        return {"nothing to release": {"script": ["echo nothing changed since what is live"]}}
    made: dict[str, Any] = {"include": [{"local": GITLAB_TEMPLATE}]}
    for job in jobs:
        variables = {"CONNECT_TASKS_APP": job.app.name}
        if job.app.target:
            variables["CONNECT_TASKS_TARGET"] = job.app.target
        made[f"release {job.app.name}"] = {"extends": ".connect-tasks", "variables": variables}
    return made
