"""`init` on directories that know nothing of us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
import yaml

from .project import FLASK, Project

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


def table(project: Project) -> dict[str, object]:
    return tomli.loads(project.read("pyproject.toml"))["tool"]["connect-tasks"]


def test_a_directory_with_nothing_but_an_app_and_its_requirements(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask\n", "look.ipynb": "{}", ".venv/lib/app.py": FLASK})

    ran = project.run("init", "--yes")

    assert (ran.status, ran.report["result"]) == (0, "changed"), ran.said
    assert table(project) == {
        "branch": "main",
        "mode": "flask",
        "entrypoint": "app:app",
        "freeze": "pin",
        "verify": {"path": "/health", "status": 200},
    }
    assert project.read(".python-version") == f"{MINOR}\n"
    assert "connect_tasks.register()" in project.read("noxfile.py")
    assert ".venv/" in project.read(".gitignore")
    assert project.git("symbolic-ref", "--short", "HEAD") == "main"
    assert "no tests found" in ran.said
    assert ran.said.index("rehearse") < ran.said.index("doctor")


@pytest.mark.parametrize("repository", [True, False])
def test_a_second_run_changes_nothing(project: Project, repository: bool) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n", "noxfile.py": "import nox\n"})
    if repository:
        project.commit()
    arguments = ("--yes", "--pre-commit", "--ci", "gitlab")
    project.run("init", *arguments)
    before = project.files()

    ran = project.run("init", *arguments)

    assert (ran.status, ran.report["result"]) == (0, "noop"), ran.said
    assert project.files() == before
    assert set(before) >= {".gitlab-ci.yml", ".pre-commit-config.yaml", "pyproject.toml"}


def test_a_dry_run_shows_the_diff_and_writes_nothing(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask\n"})

    ran = project.run("init", "--dry-run")

    assert ran.status == 0
    assert '+entrypoint = "app:app"' in ran.said
    assert "git init" in ran.said
    assert set(project.files()) == {"app.py", "requirements.txt"}
    assert not (project.root / ".git").exists()


def test_without_a_terminal_and_without_yes_nothing_is_written(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask\n"})

    ran = project.run("init")

    assert (ran.status, ran.report["error"]["code"]) == (4, "CT100")
    assert "--yes" in ran.report["error"]["hint"]
    assert set(project.files()) == {"app.py", "requirements.txt"}


def test_comments_layout_and_line_endings_of_a_project_file_stay(project: Project) -> None:
    before = (
        '# ours\r\n[project]   # the shop\r\nname = "shop"\r\ndependencies = ["flask"]\r\nrequires-python = ">=3.10"'
    )
    noxfile = "import nox\r\n\r\n@nox.session\r\ndef lint(session):\r\n    pass"
    project.write({"app.py": FLASK, "pyproject.toml": before, "noxfile.py": noxfile})

    project.run("init", "--yes")

    after = project.read("pyproject.toml")
    assert after.startswith(before + "\r\n\r\n[tool.connect-tasks]\r\n")
    assert "\n" not in after.replace("\r\n", "")
    assert project.read("noxfile.py") == (
        noxfile + "\r\n\r\n\r\nimport connect_tasks  # noqa: E402\r\n\r\nconnect_tasks.register()\r\n"
    )
    assert not (project.root / ".python-version").exists()  # requires-python says it


def test_an_app_in_a_subfolder(project: Project) -> None:
    project.write(
        {"web/app.py": FLASK, "web/requirements.txt": "flask==3.1.3\n", "README.md": "#", "etl/job.py": "x = 1\n"}
    )
    project.commit()

    ran = project.run("init", "--yes")

    assert ran.status == 0, ran.said
    assert (table(project)["path"], table(project)["entrypoint"]) == ("web", "app:app")
    assert project.read("web/.python-version") == f"{MINOR}\n"


def test_an_app_in_a_subfolder_that_declares_nothing(project: Project) -> None:
    """Its files import each other by bare names, so their directory is the app's."""
    project.write({
        "web/app.py": "import helpers\nimport yaml\nfrom PIL import Image\nimport ownco\n" + FLASK,
        "web/helpers.py": "import json\nimport pandas as pd\n",
        "web/tests/test_app.py": "import hypothesis\n",
    })  # fmt: skip

    ran = project.run("init", "--yes")

    assert ran.status == 0, ran.said
    assert table(project)["path"] == "web"
    assert project.read("web/requirements.in") == "flask\npandas\npillow\npyyaml\n"
    assert "not known which package brings it: ownco" in ran.said


INDEX = "--index-url https://packages.example.com/simple\n"


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("pyproject.toml", '[project]\nname = "x"\ndependencies = ["flask>=3", "ownco"]\n', ["flask>=3", "ownco"]),
        ("requirements.txt", f"{INDEX}flask==3.1.3  # the web\nownco==1\n", ["flask==3.1.3", "ownco==1"]),
        ("requirements.txt", "black\nmypy\n", ["flask"]),  # of something else
    ],
)
def test_an_app_in_a_src_layout_has_what_the_root_declares(
    project: Project, name: str, text: str, lines: list[str]
) -> None:
    project.write({"src/shop/__init__.py": "", "src/shop/app.py": "import ownco\n" + FLASK, name: text})

    ran = project.run("init", "--yes")

    assert ran.status == 0, ran.said
    assert (table(project)["path"], table(project)["entrypoint"]) == ("src", "shop.app:app")
    assert project.read("src/requirements.in").splitlines() == lines
    assert ("declares: Connect looks into src only" in ran.said) == (lines != ["flask"])


def test_the_virtual_environment_knows_what_brings_an_import(project: Project) -> None:
    project.write({
        "app.py": "import ownco\n" + FLASK,
        ".venv/lib/python3.12/site-packages/Own_Company-1.0.dist-info/METADATA": "Name: Own_Company\nVersion: 1.0\n",
        ".venv/lib/python3.12/site-packages/Own_Company-1.0.dist-info/top_level.txt": "ownco\n",
        ".venv/pyvenv.cfg": "home = /usr/bin\nversion = 3.12.4\n",
    })  # fmt: skip

    ran = project.run("init", "--yes")

    assert project.read("requirements.in") == "flask\nown-company\n", ran.said
    assert project.read(".python-version") == "3.12\n"


def test_several_apps(project: Project) -> None:
    for name, module in (("sales", "app"), ("stock", "main")):
        project.write({f"apps/{name}/{module}.py": FLASK, f"apps/{name}/requirements.txt": "flask==3.1.3\n"})
    project.write({"pyproject.toml": "[tool.ruff]\nline-length = 100\n", "docs/app.py": FLASK})
    project.commit()

    ran = project.run("init", "--yes", "--ci", "github")

    assert ran.status == 0, ran.said
    assert {name: (app["path"], app["entrypoint"]) for name, app in table(project)["apps"].items()} == {
        "sales": ("apps/sales", "app:app"),
        "stock": ("apps/stock", "main:app"),
    }
    rehearsals = [
        line for line in project.read(".github/workflows/connect.yml").splitlines() if "rehearse --app" in line
    ]
    assert len(rehearsals) == 2


def test_path_and_the_directory_we_stand_in_name_the_app(project: Project) -> None:
    for name in ("sales", "stock"):
        project.write({f"apps/{name}/app.py": FLASK, f"apps/{name}/requirements.txt": "flask==3.1.3\n"})
    project.commit()

    named = project.run("init", "--dry-run", "--path", "apps/stock")
    stood = project.run("init", "--dry-run", directory="apps/sales")
    outside = project.run("init", "--dry-run", "--path", "..")

    assert [app["path"] for app in named.report["state"]["apps"]] == ["apps/stock"]
    assert [app["path"] for app in stood.report["state"]["apps"]] == ["apps/sales"]
    assert outside.report["error"]["code"] == "CT102"


def manifest(mode: str, entrypoint: str) -> str:
    written = {"version": 1, "metadata": {"appmode": mode, "entrypoint": entrypoint}, "python": {"version": "3.10.2"}}
    return json.dumps({**written, "files": {}})


@pytest.mark.parametrize(
    ("mode", "entrypoint", "found"),
    [
        ("python-api", "server:application", ("flask", "server:application")),
        ("python-shiny", "shiny.express.app:server_2e_py", ("shiny", "server")),
        ("python-api", "gone:app", ("flask", "app:app")),
    ],
)
def test_an_old_manifest_is_believed(project: Project, mode: str, entrypoint: str, found: tuple[str, str]) -> None:
    """Two files that could be the app, and none of them undecided: the manifest says which."""
    server = FLASK.replace("app =", "application =").replace("@app", "@application")
    project.write({"app.py": FLASK, "server.py": server, "requirements.txt": "flask==3.1.3\n"})
    project.write({"manifest.json": manifest(mode, entrypoint)})

    ran = project.run("init", "--yes")

    assert ran.status == 0, ran.said
    assert (table(project)["mode"], table(project)["entrypoint"]) == found
    assert project.read(".python-version") == "3.10\n"
    assert "manifest.json" in " ".join(ran.report["notes"])


def test_the_manifest_of_an_r_app_is_refused(project: Project) -> None:
    project.write({"app.R": "", "manifest.json": manifest("shiny", "app.R")})

    ran = project.run("init", "--yes")

    assert (ran.status, ran.report["error"]["code"]) == (1, "CT400")
    assert set(project.files()) == {"app.R", "manifest.json"}


def test_what_other_tools_wrote_is_left_to_them(project: Project) -> None:
    rsconnect = '[tool.rsconnect]\napp_mode = "python-api"\nentrypoint = "server:app"\n'
    project.write({"server.py": FLASK, "requirements.txt": "flask==3.1.3\n", "pyproject.toml": rsconnect})

    project.run("init", "--yes")

    assert set(table(project)) == {"branch", "verify"}


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"README.md": "#"}, "CT400", "no app of a framework that we know"),
        ({"one.py": FLASK, "two.py": FLASK}, "CT401", "more than one app"),
        ({"app.py": FLASK, "requirements.txt": "-r gone.txt\n"}, "CT301", "not tracked"),
        ({"app.py": FLASK, "requirements.txt": "flask\n", ".python-version": "banana\n"}, "CT300", "banana"),
        ({"app.py": FLASK, "pyproject.toml": "[tool\n"}, "CT102", "not valid TOML"),
        ({"app.py": FLASK, "requirements.txt": "flask\n", "pyproject.toml": "tool = {}\n"}, "CT102", "can be added"),
    ],
)
def test_what_can_not_be_set_up_is_said_and_left(
    project: Project, files: dict[str, str], code: str, words: str
) -> None:
    project.write(files)

    ran = project.run("init", "--yes")

    assert ran.status != 0
    assert ran.report["error"]["code"] == code
    assert words in ran.report["error"]["message"]
    assert set(project.files()) == set(files)


def test_a_python_version_that_git_ignores_goes_into_the_table(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n", ".python-version": "3.12\n"})
    project.write({".gitignore": ".python-version\n"})
    project.commit()

    project.run("init", "--yes")

    assert table(project)["python"] == "3.12"
    assert project.read(".python-version") == "3.12\n"


def test_the_remotes_own_main_branch_and_its_name(project: Project, tmp_path: Path) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n"})
    project.commit()
    project.git("branch", "-m", "trunk")
    clone = Project(root=tmp_path / "clone")
    subprocess.run(["git", "clone", "--quiet", "--origin", "upstream", str(project.root), str(clone.root)], check=True)
    clone.git("switch", "--quiet", "--create", "feature")

    clone.run("init", "--yes")

    assert (table(clone)["remote"], table(clone)["branch"]) == ("upstream", "trunk")


SCRIPT = """\
# /// script
# dependencies = [
#   "nox",  # the runner
# ]
# ///
import nox
"""


def test_a_noxfile_in_script_mode_depends_on_us(project: Project) -> None:
    """Without, its environment would lack us, and none of its sessions would load."""
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n", "noxfile.py": SCRIPT})

    project.run("init", "--yes")

    text = project.read("noxfile.py")
    assert '"nox",  # the runner' in text
    block = text[: text.index("import nox")]
    listed = tomli.loads("\n".join(line[2:] for line in block.splitlines()[1:-1]))["dependencies"]
    assert listed == ["nox", "connect-tasks[emulator]"]


def test_a_noxfile_that_does_not_parse_is_left(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n", "noxfile.py": "def (:\n"})

    ran = project.run("init", "--yes")

    assert project.read("noxfile.py") == "def (:\n"
    assert "noxfile.py does not parse" in ran.said


def test_a_nox_that_lacks_us_is_named_with_the_cure(project: Project, tmp_path: Path) -> None:
    """That of pipx lives in an environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "pipx")], check=True)
    script = tmp_path / "bin" / "nox"
    script.parent.mkdir()
    script.write_text(f"#!{tmp_path / 'pipx/bin/python'}\n")
    script.chmod(0o755)
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n", "noxfile.py": "import nox\n"})
    path = {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}

    assert "pipx inject nox connect-tasks" in project.run("init", "--dry-run", **path).said
    assert "pipx" not in project.run("init", "--dry-run").said
    (project.root / "noxfile.py").unlink()
    assert "pipx" not in project.run("init", "--dry-run", **path).said  # a new one brings us along


EXISTING = """\
# our hooks
repos:
- repo: https://example.org/tool
  rev: v1   # pinned
  hooks:
  - id: tool
# the end of the hooks
ci:
  skip: [tool]
"""


def test_the_hook_is_added_and_the_rest_stays(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n", ".pre-commit-config.yaml": EXISTING})

    project.run("init", "--yes", "--pre-commit")

    text = project.read(".pre-commit-config.yaml")
    repos = yaml.safe_load(text)["repos"]
    assert [repo["repo"] for repo in repos] == ["https://example.org/tool", "local"]
    assert repos[1]["hooks"][0]["entry"] == "connect-tasks check --staged"
    assert set(EXISTING.splitlines()) < set(text.splitlines())


@pytest.mark.parametrize("text", ["repos: []\n", "- a\n", "a: [\n"])
def test_a_hook_file_of_another_shape_is_left(project: Project, text: str) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n", ".pre-commit-config.yaml": text})

    ran = project.run("init", "--yes", "--pre-commit")

    assert project.read(".pre-commit-config.yaml") == text
    assert "connect-check by hand" in ran.said


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_workflows_are_yaml_that_rehearses_and_releases(project: Project, system: str) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n"})

    project.run("init", "--yes", "--ci", system)

    name = {"github": ".github/workflows/connect.yml", "gitlab": ".gitlab-ci.yml"}[system]
    text = project.read(name)
    jobs = yaml.safe_load(text)
    jobs = jobs["jobs"] if system == "github" else jobs
    assert {key.removeprefix("connect-") for key in jobs} == {"rehearse", "release"}
    assert "connect-tasks release" in str(jobs)
    assert "{{" not in text.replace("${{", "")


def test_a_ci_file_of_the_projects_own_is_not_touched(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n", ".gitlab-ci.yml": "test:\n  script: [x]\n"})

    ran = project.run("init", "--yes", "--ci", "gitlab")

    assert project.read(".gitlab-ci.yml") == "test:\n  script: [x]\n"
    assert "connect-release" in project.read("connect.gitlab-ci.yml")
    assert "include: { local: connect.gitlab-ci.yml }" in ran.said


def test_only_what_is_needed_is_written_where_yes_is_all_that_is_said(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask\n"})

    project.run("init", "--yes")

    ours = {"pyproject.toml", ".python-version", "noxfile.py", ".gitignore"}
    assert set(project.files()) == {"app.py", "requirements.txt", *ours}
