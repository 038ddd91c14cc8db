"""Posit's own command, unmodified, deploys what we wrote: nobody who has our files needs us."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Workshop
from .hands import call

GUID = re.compile(r"/apps/([0-9a-f-]{36})")
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/')\ndef index():\n    return 'version 1'\n"


def rsconnect(shop: Workshop, *arguments: str | Path) -> str:
    """The command as a user has it, with the server and key in the environment -> the content's GUID."""
    command = Path(sys.executable).with_name("rsconnect")
    done = subprocess.run(
        [command, *arguments],
        cwd=shop.root, env={**shop.environ, "RSCONNECT_DISABLE_VERSION_CHECK": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = GUID.search(done.stdout + done.stderr)
    assert found, done.stdout + done.stderr
    return found[1]


@pytest.fixture(params=["wsgi", "fastapi", "html"])
def packed(workshop: Workshop, request: pytest.FixtureRequest) -> Workshop:
    """An app that our verbs froze, described, committed and pushed, and did not deploy."""
    if request.param != "wsgi":
        workshop.git("rm", "--quiet", "app.py", "test_app.py", "pyproject.toml")
        table = '[tool.connect-tasks]\nverify = { contains = "version" }\n'
        files = {"main.py": FASTAPI} if request.param == "fastapi" else {"index.html": "<h1>version 1</h1>\n"}
        needs = "fastapi\n" if request.param == "fastapi" else ""
        workshop.commit(**{"pyproject.toml": table, "requirements.in": needs, **files})
    for verb, *arguments in (["freeze"], ["manifest"], ["commit", "--no-test", "the server is the subject"], ["push"]):
        ran = workshop.run(verb, *arguments)
        assert ran.status == 0, ran.said
    assert workshop.remote() == workshop.head
    return workshop


def test_deploy_manifest(packed: Workshop) -> None:
    guid = rsconnect(packed, "deploy", "manifest", "manifest.json")

    assert "version 1" in packed.page(f"{packed.server.url}/content/{guid}/")


def test_deploy_git(packed: Workshop) -> None:
    url = packed.server.git_url(packed.name)
    guid = rsconnect(packed, "deploy", "git", "-r", url, "--branch", "main", "--no-polling")

    assert "version 1" in packed.page(f"{packed.server.url}/content/{guid}/")
    (bundle,) = call(packed, "GET", f"v1/content/{guid}/bundles")
    assert bundle["metadata"]["source_commit"] == packed.head
