"""A directory of somebody's, and verbs run in it."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connect_tasks.arguments import parse
from connect_tasks.runner import run_verb
from connect_tasks.verbs import verb

FLASK = 'from flask import Flask\napp = Flask(__name__)\n\n@app.get("/health")\ndef health():\n    return "ok"\n'


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a verb left: its exit code, its report, and what it said."""

    status: int
    report: dict[str, Any]
    said: str


@dataclass(frozen=True, kw_only=True)
class Project:
    """A directory, not yet a repository."""

    root: Path

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())

    def read(self, name: str) -> str:
        return (self.root / name).read_bytes().decode()

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self) -> None:
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "as it came")

    def run(self, name: str, *arguments: str, directory: str = ".", **environ: str) -> Ran:
        """A verb, in this process."""
        report, said = self.root.parent / "report.json", io.StringIO()
        options = parse(verb(name), [*arguments, "--json", str(report)], program=name)
        with redirect_stdout(said):
            status = run_verb(verb(name), options, directory=self.root / directory, environ={**os.environ, **environ})
        return Ran(status=status, report=json.loads(report.read_text()), said=said.getvalue())

    def files(self) -> dict[str, bytes]:
        """Everything but what git keeps for itself."""
        paths = (path for path in self.root.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in paths}
