"""Git-backed content: settings, deploys from the branch's head, drafts, bundles from a ref, failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .conftest import Api, Source, app_files, git, manifest

Sources = Callable[..., Source]
Made = dict[str, Any]


def linked(api: Api, content: Made, source: Source, **settings: Any) -> None:
    api.made("PUT", f"v1/content/{content['guid']}/repository", {"repository": source.url, **settings})


def test_a_deploy_fetches_the_head_and_serves_it_under_its_prefix(api: Api, content: Made, source: Sources) -> None:
    guid, repository = content["guid"], source()
    commit = repository.commit(app_files())
    linked(api, content, repository)
    assert api.visit(f"/content/{guid}/").status_code == 404

    task = api.deployed(guid, {"bundle_id": None})

    assert f"{commit}\tmain" in task["output"]
    after = api.made("GET", f"v1/content/{guid}")
    assert (after["app_mode"], after["py_version"][:2]) == ("python-api", "3.")
    (bundle,) = api.made("GET", f"v1/content/{guid}/bundles")
    assert (after["bundle_id"], bundle["active"]) == (bundle["id"], True)
    source_facts = {name: value for name, value in bundle["metadata"].items() if name.startswith("source")}
    assert source_facts == {
        "source": "git",
        "source_repo": repository.url,
        "source_branch": "main",
        "source_commit": commit,
    }
    assert api.made("GET", f"v1/content/{guid}/repository")["last_known_commit"] == commit
    page = api.visit(f"/content/{guid}/some/page")
    assert (page.status_code, page.text) == (200, f"one path=/some/page mount=/content/{guid}")
    assert api.visit(f"/content/{guid}?a=b", allow_redirects=False).headers["location"] == f"/content/{guid}/?a=b"


def test_a_draft_lives_beside_the_active_bundle_until_it_is_deployed_again(
    api: Api, content: Made, source: Sources
) -> None:
    guid, repository = content["guid"], source()
    repository.commit(app_files("one"))
    linked(api, content, repository)
    api.deployed(guid)
    first = api.made("GET", f"v1/content/{guid}")["bundle_id"]
    repository.commit(app_files("two"))

    api.deployed(guid, {"bundle_id": None, "activate": False})

    draft = api.made("GET", f"v1/content/{guid}/bundles")[0]["id"]
    assert draft != first
    assert api.made("GET", f"v1/content/{guid}")["bundle_id"] == first
    assert api.visit(f"/content/{guid}/").text.startswith("one ")
    assert api.visit(f"/content/{guid}/_bundle{draft}/x").text == f"two path=/x mount=/content/{guid}/_bundle{draft}"

    api.deployed(guid, {"bundle_id": draft})
    assert api.visit(f"/content/{guid}/").text.startswith("two ")
    assert len(api.made("GET", f"v1/content/{guid}/bundles")) == 2


def test_a_directory_of_the_repository_is_deployed_and_an_older_bundle_can_come_back(
    api: Api, content: Made, source: Sources
) -> None:
    guid, repository = content["guid"], source()
    repository.commit({f"apps/first/{name}": text for name, text in app_files("one").items()})
    linked(api, content, repository, directory="apps/first")
    api.deployed(guid)
    old = api.made("GET", f"v1/content/{guid}")["bundle_id"]
    repository.commit({f"apps/first/{name}": text for name, text in app_files("two").items()})
    api.deployed(guid)
    assert api.visit(f"/content/{guid}/").text.startswith("two ")
    api.deployed(guid, {"bundle_id": old})
    assert api.visit(f"/content/{guid}/").text.startswith("one ")


def failed(api: Api, guid: str, body: Any = None) -> dict[str, Any]:
    task = api.finished(api.made("POST", f"v1/content/{guid}/deploy", body or {})["task_id"])
    assert task["code"] == 1
    assert task["error"]
    assert task["result"]["data"] == task["error"] == task["output"][-1]
    return task


def test_what_git_cannot_give_fails_the_task_and_leaves_the_active_bundle(
    api: Api, content: Made, source: Sources
) -> None:
    guid, repository = content["guid"], source()
    repository.commit(app_files())
    linked(api, content, repository)
    api.deployed(guid)
    before = api.made("GET", f"v1/content/{guid}")

    sha = git("rev-parse", "HEAD", cwd=repository.folder)
    wrong = ({"branch": "nosuch"}, {"branch": sha}, {"directory": "nosuch"}, {"repository": repository.url + "x"})
    for settings in wrong:
        linked(api, content, repository, **settings)
        task = failed(api, guid)
        assert api.made("GET", f"v1/content/{guid}/repository")["last_error"] == task["error"]

    assert api.made("GET", f"v1/content/{guid}") == before
    assert api.visit(f"/content/{guid}/").text.startswith("one ")
    linked(api, content, repository)
    api.deployed(guid)
    assert api.made("GET", f"v1/content/{guid}/repository")["last_error"] is None


def test_a_bundle_without_manifest_or_of_another_mode_fails_the_task(api: Api, content: Made, source: Sources) -> None:
    guid, repository = content["guid"], source()
    repository.commit({"app.py": "app = None"})
    linked(api, content, repository)
    assert "manifest.json" in failed(api, guid)["error"]
    repository.commit(app_files())
    api.deployed(guid)
    repository.commit({"manifest.json": manifest("static", entrypoint=None)})
    assert "code: 48" in failed(api, guid)["error"]
    assert api.visit(f"/content/{guid}/").text.startswith("one ")


def test_what_cannot_be_installed_fails_the_build(api: Api, content: Made, source: Sources) -> None:
    guid, repository = content["guid"], source()
    repository.commit({**app_files(), "requirements.txt": "flask==0.0.0.999\n"})
    linked(api, content, repository)
    assert "python-package-version-not-available" in failed(api, guid)["error"]
    assert api.made("GET", f"v1/content/{guid}")["bundle_id"] is None


def test_a_bundle_of_any_ref_is_made_and_deployed_separately(api: Api, content: Made, source: Sources) -> None:
    guid, repository = content["guid"], source()
    first = repository.commit(app_files("one"))
    repository.commit(app_files("two"))
    linked(api, content, repository)
    made = api.made("POST", f"v1/content/{guid}/repository/bundle", {"ref": first})
    assert made["location"] == {"repository": repository.url, "ref": first, "directory": "."}
    assert api.finished(made["task_id"])["code"] == 0
    assert api.made("GET", f"v1/content/{guid}")["bundle_id"] is None
    api.deployed(guid, {"bundle_id": made["bundle_id"]})
    assert api.visit(f"/content/{guid}/").text.startswith("one ")


def test_deploys_of_one_commit_asked_for_at_once_make_one_bundle(api: Api, content: Made, source: Sources) -> None:
    guid, repository = content["guid"], source()
    repository.commit(app_files())
    linked(api, content, repository)
    tasks = [api.made("POST", f"v1/content/{guid}/deploy", {})["task_id"] for _ in range(3)]
    assert [api.finished(task)["code"] for task in tasks] == [0, 0, 0]
    assert len(api.made("GET", f"v1/content/{guid}/bundles")) == 1
    api.deployed(guid)  # asked for later: a bundle of its own
    assert len(api.made("GET", f"v1/content/{guid}/bundles")) == 2


def test_settings_are_checked_without_contacting_the_remote(api: Api, content: Made) -> None:
    path = f"v1/content/{content['guid']}/repository"
    assert api.refused("GET", path) == (404, 4)
    assert api.refused("PATCH", path, {"branch": "x"}) == (404, 4)
    for url, code in (("git@host:x.git", 146), ("ssh://host/x", 164), ("https://u:p@h/x", 146), ("https://h/x?y", 146)):
        assert api.refused("PUT", path, {"repository": url}) == (400, code)
    made = api.made("PUT", path, {"repository": "https://git.invalid/x"})
    assert made == {
        "repository": "https://git.invalid/x",
        "branch": "main",
        "directory": ".",
        "polling": False,
        "last_error": None,
        "last_known_commit": None,
    }
    changed = api.made("PATCH", path, {"polling": True, "directory": "sub/dir"})
    assert changed == {**made, "polling": True, "directory": "sub/dir"} == api.made("GET", path)
    assert api.refused("PATCH", path, {"directory": "../x"}) == (400, 25)
    assert api.refused("POST", f"v1/content/{content['guid']}/bundles", data=b"x") == (409, 144)
    assert api("DELETE", path).status_code == 204
    assert api.refused("GET", path) == (404, 4)
