"""Runs jobs of CI files here: their own lines in their own shells, in a checkout as the CI system makes it.

Of a CI system this knows no more than the files in `examples/ci` use; whatever else they say is an error, not skipped.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .conftest import Workshop

ROOT = Path(__file__).parents[2]
CI = ROOT / "examples" / "ci"
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
#: The package is installed from this checkout already; whoever writes another line with `pip` changes this one.
_INSTALL = re.compile(r"(?m)^\s*(?:python -m )?pip install .*$")
#: What GitHub and GitLab start a script with.
GITHUB_SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], None: ["bash", "-e"]}
GITLAB_SHELL = ["bash", "-eo", "pipefail"]


def ci_file(name: str) -> dict[Any, Any]:
    return dict(yaml.safe_load((CI / name).read_text(encoding="utf-8")))


@dataclass(kw_only=True)
class Machine:
    """A runner: its checkout, no git identity, nothing of the workshop's environment but how to reach
    it. `table` says what expressions are."""

    shop: Workshop
    place: Path
    table: dict[str, str] = field(default_factory=dict)
    said: str = ""

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True)
        tools = self.place / "tools"
        tools.mkdir()
        for name, words in {"python": "", "connect-tasks": " -m connect_tasks", "nox": " -m nox"}.items():
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
            (tools / name).chmod(0o755)
        kept = {name: value for name, value in self.shop.environ.items() if not name.startswith(("CONNECT_", "GIT_"))}
        self.environ = {
            **kept,
            "CI": "true",
            "PATH": f"{tools}{os.pathsep}{kept['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "CONNECT_TASKS_CACHE": str(self.place.parent / "cache"),  # as CI restores it
        }

    @property
    def work(self) -> Path:
        return self.place / "work"

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.work, env=self.environ, check=True, capture_output=True)

    def fetch(self, commit: str, ref: str, depth: int) -> None:
        """An empty repository, and in it one commit with so much of its history; 0 is all."""
        self.work.mkdir()
        self.git("init", "--quiet")
        self.git("remote", "add", "origin", self.shop.server.git_url(self.shop.name))
        limit = [f"--depth={depth}"] if depth else []
        self.git("fetch", "--quiet", "--no-tags", *limit, "origin", f"+{commit}:{ref}")

    def script(self, text: str, shell: list[str], environ: Mapping[str, str], directory: str = ".") -> None:
        file = self.place / "script.sh"
        file.write_text(_INSTALL.sub(":", text))
        assert "pip " not in file.read_text()
        done = subprocess.run(
            [*shell, str(file)], cwd=self.work / directory, env={**self.environ, **environ},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        self.said += done.stdout
        assert done.returncode == 0, done.stdout

    # GitHub ---------------------------------------------------------------------------------------------------------

    def github(self, job: Mapping[str, Any], *, pull_request: bool = False) -> dict[str, dict[str, str]]:
        """Run a job -> the outputs of its steps. What `jobs.<id>.if` says is the caller's to follow."""
        environ = {"GITHUB_ACTIONS": "true", **self.filled(job.get("env", {}))}
        outputs: dict[str, dict[str, str]] = {}
        for step in job["steps"]:
            known = {"uses", "with", "run", "id", "if", "env", "name", "shell", "working-directory"}
            assert set(step) <= known, step
            if "if" in step and self.value(step["if"]) not in {"true", "'true'"}:
                continue
            if step.get("uses") == "actions/checkout@v4":
                self.checkout(step.get("with", {}), pull_request=pull_request)
                continue
            if str(step.get("uses")).startswith("actions/setup-python@"):
                continue
            found = self.action(step, environ) if "uses" in step else self.step(step, environ)
            name = step.get("id", "")
            outputs[name] = found
            self.table |= {f"steps.{name}.outputs.{key}": value for key, value in found.items()}
            self.table[f"steps.{name}.outputs.changed == 'true'"] = str(found.get("changed") == "true").lower()
        return outputs

    def checkout(self, inputs: Mapping[str, Any], *, pull_request: bool) -> None:
        """As actions/checkout@v4: the token in a header, a depth of 1, HEAD on the branch, detached for a request."""
        assert set(inputs) <= {"ref", "fetch-depth"}
        ref = "refs/remotes/pull/1/merge" if pull_request else "refs/remotes/origin/main"
        commit = self.shop.remote() or ""
        self.fetch(commit, ref, int(inputs.get("fetch-depth", 1)))
        token = base64.b64encode(f"x-access-token:{self.shop.server.api_key}".encode()).decode()
        self.git("config", f"http.{self.shop.server.url}/.extraheader", f"AUTHORIZATION: basic {token}")
        self.git("checkout", "--quiet", "--force", *([ref] if pull_request else ["-B", "main", ref]))

    def step(self, step: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
        told = {name: self.place / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in told.values():
            file.write_text("")
        everything = {**environ, **self.filled(step.get("env", {})), **{name: str(file) for name, file in told.items()}}
        directory = self.fill(str(step.get("working-directory", ".")))
        self.script(self.fill(step["run"]), GITHUB_SHELLS[step.get("shell")], everything, directory)
        return dict(line.split("=", 1) for line in told["GITHUB_OUTPUT"].read_text().splitlines())

    def action(self, step: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
        """Our own composite action, in a table of its own -> its outputs."""
        assert re.fullmatch(r"you/connect_tasks@v\d+\.\d+\.\d+", step["uses"]), step["uses"]
        action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        given = self.filled(step.get("with", {}))
        assert set(given) <= set(action["inputs"]), given
        inputs = {name: given.get(name, one["default"]) for name, one in action["inputs"].items()}
        outer, self.table = self.table, {f"inputs.{name}": value for name, value in inputs.items()}
        self.table |= {
            "inputs.version && 'connect-tasks' || github.action_path": "connect-tasks"
            if inputs["version"]
            else str(ROOT),
            "inputs.verb == 'rehearse' && '[emulator]' || ''": "[emulator]" if inputs["verb"] == "rehearse" else "",
        }
        try:
            assert action["runs"]["using"] == "composite"
            steps = [{**one, "if": "true"} if "if" in one else one for one in action["runs"]["steps"]]
            self.table["true"] = "true"
            self.github({"steps": steps, "env": dict(environ)})
            return {name: self.fill(one["value"], missing="") for name, one in action["outputs"].items()}
        finally:
            self.table = outer

    def filled(self, texts: Mapping[str, Any]) -> dict[str, str]:
        return {name: self.fill(str(text)) for name, text in texts.items()}

    def fill(self, text: str, missing: str | None = None) -> str:
        return _EXPRESSION.sub(lambda found: self.value(found[1], missing), text)

    def value(self, expression: str, missing: str | None = None) -> str:
        known = self.table if missing is None else {expression: missing, **self.table}
        assert expression in known, f"nothing says what this is: {expression}"
        return known[expression]

    # GitLab ---------------------------------------------------------------------------------------------------------

    def gitlab(self, job: Mapping[str, Any], variables: Mapping[str, str], *, before: tuple[str, ...] = ()) -> None:
        """A detached HEAD, 20 commits deep; all lines in one shell."""
        self.fetch(self.shop.remote() or "", "refs/pipelines/1", int(job.get("variables", {}).get("GIT_DEPTH", 20)))
        self.git("checkout", "--quiet", "--force", "--detach", "refs/pipelines/1")
        project = self.shop.server.git_url(self.shop.name).removesuffix(".git")
        own = {name: str(value) for name, value in job.get("variables", {}).items()}
        environ = {"GITLAB_CI": "true", "CI_PROJECT_URL": project, **variables, **own}
        self.script("\n".join([*before, *job["script"]]), GITLAB_SHELL, environ)


def child_jobs(
    printed: Mapping[str, Any], local: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The jobs of a child pipeline, `include` and `extends` resolved as GitLab does: the job's own keys win."""
    (include,) = printed["include"]
    templates = local[include["local"]]
    for name, job in printed.items():
        if name != "include":
            yield name, {**templates[job["extends"]], **{key: value for key, value in job.items() if key != "extends"}}


def as_github_parses(matrix: str) -> list[dict[str, str]]:
    """The combinations of `strategy.matrix: ${{ fromJSON(...) }}`: one for each row of `include`."""
    parsed = json.loads(matrix)
    assert set(parsed) == {"include"}
    assert len(parsed["include"]) <= 256
    return list(parsed["include"])
