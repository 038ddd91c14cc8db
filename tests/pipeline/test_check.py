"""`check` where the generated files are on a branch of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .conftest import TABLE, Workshop

DEPLOY_BRANCH = (
    TABLE + 'path = "site"\ndeploy_branch = "deploy/production"\nexclude = ["test_*.py", "requirements.in"]\n'
)


def test_a_deploy_branch_is_looked_at_where_it_is(workshop: Workshop, tmp_path: Path) -> None:
    (workshop.root / "site").mkdir()
    workshop.git("mv", "app.py", "test_app.py", "requirements.in", "site")
    workshop.commit(**{"pyproject.toml": DEPLOY_BRANCH})
    ran = workshop.run("check")
    assert ran.status == 2
    assert "there is no branch deploy/production here yet" in ran.said
    assert workshop.run("check", "--staged").status == 0, "which is no concern of a commit on main"

    assert workshop.run("release").status == 0
    ran = workshop.run("check")
    assert (ran.status, ran.report["changes"]) == (0, []), ran.said
    workshop.git("push", "--quiet", "origin", "main")
    clone = Workshop(root=tmp_path / "ci", server=workshop.server, name=workshop.name, environ=workshop.environ)
    subprocess.run(["git", "clone", "--quiet", workshop.bare, clone.root], env=workshop.environ, check=True)
    assert clone.run("check").status == 0, "a clone knows the remote's branch"

    clone.git("switch", "--quiet", "deploy/production")
    clone.commit("by hand", **{"site/app.py": "x = 1\n", "site/new.py": ""})
    clone.git("switch", "--quiet", "main")
    ran = clone.run("check")
    assert ran.status == 2
    assert {(change["kind"], change["path"]) for change in ran.report["changes"]} >= {
        ("changed", "app.py"),
        ("unlisted", "new.py"),
    }
