"""A release, end to end: real git, real processes, the local Connect server on a real port."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from connect_tasks.errors import ResolutionFailed
from connect_tasks.packages import environment as freezing

from .conftest import BARE_APP, BARE_TEST, Workshop
from .hands import version

pytestmark = pytest.mark.usefixtures("clean_machine")

STAGES = ["facts", "freeze", "manifest", "test", "commit", "push", "deploy", "verify"]
FLASK_CLOSURE = {"blinker", "click", "flask", "itsdangerous", "jinja2", "markupsafe", "werkzeug"}


def test_release_ends_with_our_commit_live(workshop: Workshop) -> None:
    ran = workshop.run("release")
    report = ran.report
    assert ran.status == 0, ran.said
    assert report["result"] == "changed"
    assert [stage["name"] for stage in report["stages"]] == STAGES
    assert report["commit"] == report["pushed"] == report["live_commit"] == workshop.head == workshop.remote()
    assert report["url"].startswith(f"{workshop.server.url}/content/")
    assert workshop.page(report["url"]) == "version 1"
    guid = report["url"].rstrip("/").rsplit("/", 1)[-1]
    bundle = workshop.api(f"__api__/v1/content/{guid}/bundles/{report['bundle']}")
    assert bundle["metadata"]["source_commit"] == workshop.head
    assert bundle["active"] is True
    assert workshop.api(f"__api__/v1/content/{guid}/repository")["polling"] is False


def test_only_the_generated_files_are_committed(workshop: Workshop) -> None:
    before = workshop.head
    assert workshop.run("release").status == 0
    changed = workshop.git("diff", "--name-only", before, "HEAD").split()
    assert changed == ["manifest.json", "requirements.txt"]
    assert workshop.git("status", "--porcelain") == ""


def test_second_release_writes_nothing(workshop: Workshop) -> None:
    assert workshop.run("release").status == 0
    head, writes = workshop.head, workshop.writes()
    again = workshop.run("release")
    assert (again.status, again.report["result"]) == (0, "noop")
    assert workshop.head == head == again.report["commit"] == again.report["pushed"] == again.report["live_commit"]
    assert workshop.writes() == writes


def test_a_change_is_shipped_to_the_same_item(workshop: Workshop) -> None:
    first = workshop.run("release").report
    workshop.commit(
        app_py=BARE_APP.replace("version 1", "version 2"), test_app_py=BARE_TEST.replace("version 1", "version 2")
    )
    second = workshop.run("release").report
    assert second["url"] == first["url"]
    assert second["bundle"] != first["bundle"]
    assert workshop.page(second["url"]) == "version 2"


def test_the_stages_one_by_one_end_where_release_ends(workshop: Workshop, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    subprocess.run(["git", "clone", "--quiet", str(workshop.root), str(twin)], env=workshop.environ, check=True)
    for verb in ("freeze", "manifest", "test", "commit", "push", "deploy"):
        ran = workshop.run(verb)
        assert ran.status == 0, (verb, ran.said)
    stepwise = workshop.run("release").report
    assert stepwise["result"] == "noop"

    other = Workshop(root=twin, server=workshop.server, name=workshop.name + "-twin", environ=workshop.environ)
    url = workshop.server.git_url(other.name)
    other.git("remote", "set-url", "origin", url)
    other.git("config", f"http.{workshop.server.url}/.extraHeader", f"Authorization: Key {workshop.server.api_key}")
    other.git("push", "--quiet", "origin", "main")
    at_once = other.run("release").report
    assert at_once["result"] == "changed"
    assert other.git("rev-parse", "HEAD^{tree}") == workshop.git("rev-parse", "HEAD^{tree}")
    assert workshop.page(stepwise["url"]) == other.page(at_once["url"])


def test_the_times_stand_beside_those_of_the_last_run(workshop: Workshop) -> None:
    first = workshop.run("release")
    assert {stage["before"] for stage in first.report["stages"]} == {None}
    assert "(last " not in first.said
    version(workshop, 2)
    second = workshop.run("release")
    before = {stage["name"]: stage["seconds"] for stage in first.report["stages"]}
    assert {stage["name"]: stage["before"] for stage in second.report["stages"]} == before
    assert second.report["server"]["before"] == first.report["server"]["seconds"]
    assert 0 < second.report["server"]["seconds"] < sum(stage["seconds"] for stage in second.report["stages"])
    assert f"(last {before['deploy']:.2f} s)" in second.said
    assert "of that: waiting for Connect" in second.said


def test_failing_tests_change_nothing(workshop: Workshop) -> None:
    assert workshop.run("release").status == 0
    workshop.commit(app_py=BARE_APP.replace("version 1", "version 2"))  # its test still wants version 1
    head, remote, writes = workshop.head, workshop.remote(), workshop.writes()
    status = workshop.git("status", "--porcelain")
    ran = workshop.run("release")
    assert (ran.status, ran.code) == (1, "CT500")
    assert "1 failed" in ran.report["error"]["message"]
    assert (workshop.head, workshop.remote(), workshop.git("status", "--porcelain")) == (head, remote, status)
    assert workshop.writes() == writes
    assert ran.report["stages"][-1]["name"] == "test"
    assert ran.report["stages"][-1]["result"] == "failed"


def test_import_of_an_untracked_module_is_refused_by_name(workshop: Workshop) -> None:
    workshop.commit(app_py="import helpers\n" + BARE_APP)
    workshop.write("helpers.py", "")
    head, writes = workshop.head, workshop.writes()
    ran = workshop.run("release")
    assert (ran.status, ran.code) == (1, "CT401")
    assert "helpers.py" in ran.report["error"]["message"]
    assert "git add helpers.py" in ran.report["error"]["hint"]
    assert (workshop.head, workshop.writes()) == (head, writes)


def test_unpushed_commits_go_along_and_a_staged_edit_elsewhere_stays(workshop: Workshop) -> None:
    workshop.write("apps/one/app.py", BARE_APP)
    workshop.write("apps/one/requirements.in", "")
    workshop.write("notes.txt", "old\n")
    workshop.write(
        "pyproject.toml", '[tool.connect-tasks]\npath = "apps/one"\nmode = "flask"\nentrypoint = "app:app"\n'
    )
    mine = workshop.commit("an app of my own")
    workshop.write("notes.txt", "staged\n")
    workshop.git("add", "notes.txt")
    workshop.write("notes.txt", "staged and edited\n")
    staged, unstaged = workshop.git("diff", "--cached"), workshop.git("diff")
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
    assert "an app of my own" not in ran.report["commit"]
    assert workshop.git("merge-base", "--is-ancestor", mine, workshop.remote() or "") == ""
    assert (workshop.git("diff", "--cached"), workshop.git("diff")) == (staged, unstaged)
    assert workshop.git("show", f"{workshop.remote()}:notes.txt") == "old"


def test_a_dirty_app_stops_the_release_unless_head_may_ship_without(workshop: Workshop) -> None:
    workshop.write("app.py", BARE_APP.replace("version 1", "version 9"))
    refused = workshop.run("release")
    assert (refused.status, refused.code) == (1, "CT203")
    assert "app.py" in refused.report["error"]["message"]
    shipped = workshop.run("release", "--allow-dirty")
    assert shipped.status == 0, shipped.said
    assert workshop.page(shipped.report["url"]) == "version 1"
    assert "version 9" in (workshop.root / "app.py").read_text()


def test_requirements_hold_the_closure_and_nothing_planted(sample: Workshop, tmp_path: Path) -> None:
    sample.environ["CONNECT_TASKS_CACHE"] = str(tmp_path / "cache")
    for verb in ("freeze", "manifest", "test"):
        assert sample.run(verb).status == 0
    first = (sample.root / "requirements.txt").read_bytes()
    earlier = list(Path(sample.environ["CONNECT_TASKS_CACHE"]).rglob("site-packages"))
    assert earlier
    for environment in earlier:
        stray = environment / "stray-1.0.dist-info"
        stray.mkdir()
        (stray / "METADATA").write_text("Metadata-Version: 2.1\nName: stray\nVersion: 1.0\n")
    ran = sample.run("release")
    assert ran.status == 0, ran.said
    text = (sample.root / "requirements.txt").read_text()
    names = {line.split("==")[0] for line in text.splitlines() if line and not line.startswith("#")}
    assert names == FLASK_CLOSURE
    assert (sample.root / "requirements.txt").read_bytes() == first


def test_manifest_lists_the_tracked_files_with_the_checksums_of_the_pushed_blobs(sample: Workshop) -> None:
    sample.write("untracked.py", "junk = 1\n")
    assert sample.run("release").status == 0
    pushed = sample.remote()
    manifest = json.loads(sample.git("show", f"{pushed}:manifest.json"))
    tracked = set(sample.git("ls-tree", "-r", "--name-only", pushed or "").splitlines())
    assert set(manifest["files"]) == tracked - {"manifest.json"}
    for path, entry in manifest["files"].items():
        blob = subprocess.run(
            ["git", "cat-file", "blob", f"{pushed}:{path}"], cwd=sample.bare, capture_output=True, check=True
        ).stdout
        assert entry["checksum"] == hashlib.md5(blob).hexdigest(), path  # noqa: S324  # Connect's own checksum
    assert manifest["metadata"] == {"appmode": "python-api", "entrypoint": "app:app"}


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="needs a Python that is not the app's")
def test_the_python_is_the_apps_whatever_runs_us(sample: Workshop) -> None:
    sample.commit(**{".python-version": "3.12\n"})
    ran = sample.run("release")
    assert ran.status == 0, ran.said
    manifest = json.loads((sample.root / "manifest.json").read_text())
    assert manifest["python"]["version"] == "3.12.0"
    assert manifest["environment"]["python"]["requires"] == "~=3.12.0"
    assert "on Python 3.12." in sample.page(ran.report["url"])


def test_the_report_goes_to_standard_output_alone(workshop: Workshop) -> None:
    done = workshop.process("release", "--json", "-")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["schema"] == 1
    promised = "schema verb result app target commit pushed bundle live_commit url stages changes error"
    assert set(report) >= set(promised.split())
    assert workshop.server.api_key not in done.stdout + done.stderr


@pytest.mark.parametrize("order", [("deploy",), ("push", "deploy"), ("commit",), ("test",)])
def test_a_stage_called_too_early_names_the_next_command(workshop: Workshop, order: tuple[str, ...]) -> None:
    writes = [entry for entry in workshop.writes() if "git-receive-pack" not in entry]
    ran = [workshop.run(verb) for verb in order][-1]
    assert ran.status == 1
    assert ran.report["error"]["hint"].startswith("nox -s ")
    assert [entry for entry in workshop.writes() if "git-receive-pack" not in entry] == writes


def test_pins_that_do_not_install_are_not_committed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof runs beside what comes before the commit: the commit waits for it, tests or not."""

    def fail(*_: object) -> None:
        time.sleep(1)  # long after everything else is ready
        raise ResolutionFailed("core==1.0 is missing", where="requirements.in")

    monkeypatch.setattr(freezing, "_install_exactly", fail)
    before, remote = workshop.head, workshop.remote()
    ran = workshop.run("release", "--no-test", "the proof is the subject")
    assert ran.status == 1
    assert ran.report["error"]["message"].startswith("core==1.0 is missing")
    assert (workshop.head, workshop.remote(), workshop.git("status", "--porcelain")) == (before, remote, "")


def test_what_stands_above_temporary_files_does_not_configure_the_tests(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory of temporary files is everybody's: a pytest.ini in it would run the code of its author."""
    place = tmp_path / "everybodys"
    place.mkdir()
    (place / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    assert workshop.run("freeze").status == 0
    ran = workshop.run("test")
    assert ran.status == 0, ran.said
    workshop.commit(**{"pytest.ini": "[pytest]\naddopts = --no-such-option-of-the-app\n"})
    ran = workshop.run("test")
    assert ran.status == 1
    assert "--no-such-option-of-the-app" in ran.said
