"""The files in examples/ci and our action, run line by line against the local server, in checkouts as CI makes them:
one commit deep, HEAD detached where it would be, no git identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from .ci_jobs import Machine, as_github_parses, child_jobs, ci_file
from .conftest import TABLE, Workshop
from .hands import version
from .test_fleet import change, make_estate

pytestmark = pytest.mark.usefixtures("clean_machine")


def github(shop: Workshop, place: Path, **table: str) -> Machine:
    known = {"vars.CONNECT_SERVER": shop.server.url, "secrets.CONNECT_API_KEY": shop.server.api_key, **table}
    return Machine(shop=shop, place=place, table=known)


def gitlab_variables(shop: Workshop) -> dict[str, str]:
    """What is kept among the project's settings."""
    key = shop.server.api_key
    return {"CONNECT_SERVER": shop.server.url, "CONNECT_API_KEY": key, "RELEASE_TOKEN": key}


def test_github_one_app(workshop: Workshop, tmp_path: Path) -> None:
    jobs = ci_file("github.yml")["jobs"]
    before = workshop.head
    first = github(workshop, tmp_path / "release")
    outputs = first.github(jobs["release"])["connect"]
    assert outputs["changed"] == "true"
    assert outputs["commit"] == workshop.remote() != before
    assert workshop.page(outputs["url"]) == "version 1"
    assert f"{outputs['commit']} is live at {outputs['url']}" in first.said
    assert json.loads((first.work / "report.json").read_text())["bundle"] == outputs["bundle"]
    assert "::group::   deploy: what was said\n" in first.said
    workshop.git("fetch", "--quiet", "origin", "main")
    assert workshop.git("log", "-1", "--format=%an", "origin/main") == "github-actions[bot]"

    again = github(workshop, tmp_path / "again")
    assert again.github(jobs["release"])["connect"]["changed"] == "false"
    assert workshop.remote() == outputs["commit"]

    writes = workshop.writes()
    pull = github(workshop, tmp_path / "pull")
    pull.github(jobs["rehearse"], pull_request=True)
    assert "answers 200, commit" in pull.said
    assert workshop.writes() == writes


def test_github_a_job_for_each_app_that_changed(workshop: Workshop, tmp_path: Path) -> None:
    """The fan-out as processes: a clone for each row of the printed matrix, all at the same time, into one branch."""
    estate = make_estate(workshop, ("desk", "lamp"))
    workflow = ci_file("github-several.yml")
    plan, release = ({**job, "env": workflow["env"]} for job in workflow["jobs"].values())

    def planned(name: str) -> list[dict[str, str]]:
        return as_github_parses(github(estate, tmp_path / name).github(plan)["plan"]["matrix"])

    rows = planned("plan")
    assert [row["app"] for row in rows] == ["desk", "lamp"]

    def run(row: Mapping[str, str]) -> Machine:
        table = {f"matrix.{key}": value for key, value in row.items()}
        machine = github(estate, tmp_path / row["app"], **table)
        machine.github(release)
        return machine

    with ThreadPoolExecutor(len(rows)) as pool:
        said = [machine.said for machine in pool.map(run, rows)]
    assert all("is live as bundle" in text for text in said)
    estate.git("pull", "--quiet", "--ff-only", "origin", "main")
    subjects = estate.git("log", "-2", "--format=%s").splitlines()
    assert sorted(subjects) == ["Release desk", "Release lamp"]
    change(estate, "lamp", 2)
    estate.commit("version 2")
    estate.git("push", "--quiet", "origin", "main")
    assert planned("next") == [{"app": "lamp", "path": "apps/lamp", "target": ""}]


def test_gitlab_one_app(workshop: Workshop, tmp_path: Path) -> None:
    workshop.commit(**{"pyproject.toml": TABLE + 'branch = "main"\n'})
    workshop.git("push", "--quiet", "origin", "main")
    pipeline = ci_file("gitlab.yml")
    before = tuple(pipeline["default"]["before_script"])
    machine = Machine(shop=workshop, place=tmp_path / "release")
    machine.gitlab(pipeline["release"], gitlab_variables(workshop), before=before)
    told = dict(line.split("=", 1) for line in (machine.work / "connect.env").read_text().splitlines())
    assert told["CONNECT_TASKS_CHANGED"] == "true"
    assert told["CONNECT_TASKS_COMMIT"] == workshop.remote()
    assert workshop.page(told["CONNECT_TASKS_URL"]) == "version 1"
    assert ET.parse(machine.work / "junit.xml").getroot().find("testsuite") is not None  # noqa: S314  # our own
    assert "section_start:" in machine.said
    assert workshop.server.api_key not in machine.said

    merge = {**pipeline["rehearse"], "script": pipeline["rehearse"]["script"][:1]}  # its rehearsal is GitHub's
    check = Machine(shop=workshop, place=tmp_path / "check")
    check.gitlab(merge, {}, before=before)
    assert json.loads((check.work / "quality.json").read_text()) == []
    version(workshop, 2)
    workshop.write("manifest.json", "{}")
    workshop.commit("broken")
    workshop.git("push", "--quiet", "--force", "origin", "main")
    stale = Machine(shop=workshop, place=tmp_path / "stale")
    with pytest.raises(AssertionError, match="CT"):
        stale.gitlab(merge, {}, before=before)
    assert {one["location"]["path"] for one in json.loads((stale.work / "quality.json").read_text())}


@pytest.mark.slow
def test_gitlab_a_child_pipeline(workshop: Workshop, tmp_path: Path) -> None:
    estate = make_estate(workshop, ("desk", "lamp"), more='branch = "main"\n')
    variables = gitlab_variables(estate)
    parent = ci_file("gitlab-several.yml")
    plan = Machine(shop=estate, place=tmp_path / "plan")
    plan.gitlab(parent["plan"], variables)
    (artifact,) = parent["plan"]["artifacts"]["paths"]
    assert parent["release"]["trigger"]["include"] == [{"artifact": artifact, "job": "plan"}]
    printed: dict[str, Any] = yaml.safe_load((plan.work / artifact).read_text())
    jobs = dict(child_jobs(printed, {".gitlab/connect-tasks.yml": ci_file("gitlab-several-job.yml")}))
    assert sorted(jobs) == ["release desk", "release lamp"]

    def run(name: str) -> None:
        Machine(shop=estate, place=tmp_path / name.replace(" ", "-")).gitlab(jobs[name], variables)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, jobs))
    estate.git("pull", "--quiet", "--ff-only", "origin", "main")
    assert sorted(estate.git("log", "-2", "--format=%s").splitlines()) == ["Release desk", "Release lamp"]
    after = Machine(shop=estate, place=tmp_path / "after")
    after.gitlab(parent["plan"], variables)
    assert list(yaml.safe_load((after.work / artifact).read_text())) == ["nothing to release"]


def test_each_file_says_where_it_goes() -> None:
    for file in sorted((Path(__file__).parents[2] / "examples" / "ci").iterdir()):
        first, second = file.read_text().splitlines()[:2]
        assert first.startswith("# ")
        assert second.startswith("# To ."), file
