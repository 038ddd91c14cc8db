"""Bundles: the upload forms of the clients, what is refused, drafts, foreign and missing bundles."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

from .conftest import Api, app_files, manifest

Made = dict[str, Any]


def archive(files: dict[str, str] | None = None, *members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in (app_files() if files is None else files).items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def uploaded(api: Api, content: Made, data: bytes | None = None) -> Made:
    made = api.made("POST", f"v1/content/{content['guid']}/bundles", data=archive() if data is None else data)
    assert isinstance(made, dict)
    return made


def test_every_form_of_upload_gives_the_same_bundle(api: Api, content: Made) -> None:
    path, data = f"v1/content/{content['guid']}/bundles", archive()

    def chunks() -> Iterator[bytes]:
        yield data[:100]
        yield data[100:]

    metadata = {"source": "git", "source_repo": "https://git.invalid/x", "team": "blue"}
    form = {"archive": ("bundle.tar.gz", data, "application/x-tar"), "metadata": (None, json.dumps(metadata))}
    checksum = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    made = [
        api.made("POST", path, data=chunks()),
        api.made("POST", path, files=form),
        api.made("POST", path, data=data),
        api.made("POST", path, data=data, headers={"Content-Type": "application/gzip", "X-Content-Checksum": checksum}),
    ]
    for bundle in made:
        assert bundle["size"] == len(data)
        assert bundle["metadata"]["archive_sha1"] == hashlib.sha1(data, usedforsecurity=False).hexdigest()
        assert api.get(f"{path}/{bundle['id']}/download").content == data
    assert {name: made[1]["metadata"][name] for name in metadata} == metadata
    assert made[0]["metadata"]["source"] is None
    assert [bundle["id"] for bundle in api.made("GET", path)] == [bundle["id"] for bundle in reversed(made)]
    assert api.refused("POST", path, data=data, headers={"X-Content-Checksum": "bm90IGl0"}) == (400, 104)
    assert api.made("GET", f"v1/content/{content['guid']}")["bundle_id"] is None


def test_what_is_no_bundle_is_refused_and_leaves_nothing(api: Api, content: Made) -> None:
    path, good = f"v1/content/{content['guid']}/bundles", archive()
    assert api.refused("POST", path, data=b"") == (400, 125)
    broken = [b"not gzip", good[: len(good) // 2], good[:20] + b"\0" * 40 + good[60:]]
    leaving = [
        archive(None, member("../outside")),
        archive(None, member("/etc/outside")),
        archive(None, member("a/../../outside")),
        archive(None, member("link", tarfile.SYMTYPE, "/etc/passwd")),
        archive(None, member("hard", tarfile.LNKTYPE, "app.py")),
        archive(None, member("device", tarfile.CHRTYPE)),
        archive(None, member("pipe", tarfile.FIFOTYPE)),
    ]
    for data in (*broken, *leaving):
        assert api.refused("POST", path, data=data) == (400, 135)
    assert api.refused("POST", path, files={"other": ("x", good)}) == (400, 87)
    form = {"archive": ("b", good), "metadata": (None, "{")}
    assert api.refused("POST", path, files=form) == (400, 121)
    assert api.refused("POST", path, data=b"x", headers={"Content-Type": "multipart/form-data"}) == (400, 87)
    assert api.made("GET", path) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(api: Api, content: Made) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        huge = member("huge")
        huge.size = 8 * 2**30
        tar.fileobj.write(huge.tobuf())  # type: ignore[union-attr]  # open for writing: there
    answer = api("POST", f"v1/content/{content['guid']}/bundles", data=buffer.getvalue())
    assert (answer.status_code, answer.json()["code"]) == (400, 135)
    assert "too much" in answer.json()["error"]


def test_a_bundle_without_manifest_is_kept_and_refused_at_the_deploy(api: Api, content: Made) -> None:
    for files in ({"app.py": ""}, {"manifest.json": "{"}, {"manifest.json": manifest("no-such-mode")}):
        bundle = uploaded(api, content, archive(files))
        body = {"bundle_id": bundle["id"]}
        assert api.refused("POST", f"v1/content/{content['guid']}/deploy", body) == (400, 38)
    modes = {"quarto-static", "tensorflow-saved-model"}
    for mode in modes:
        bundle = uploaded(api, content, archive({"manifest.json": manifest(mode)}))
        started = api.made("POST", f"v1/content/{content['guid']}/deploy", {"bundle_id": bundle["id"]})
        assert "not in this emulator" in api.finished(started["task_id"])["error"]


def test_package_files_are_read_as_the_manifest_says(api: Api, content: Made) -> None:
    def built(**package_manager: str) -> str:
        facts = json.loads(manifest())
        facts["python"]["package_manager"] = package_manager
        bundle = uploaded(api, content, archive({"app.py": app_files()["app.py"], "manifest.json": json.dumps(facts)}))
        task = api.made("POST", f"v1/content/{content['guid']}/build", {"bundle_id": bundle["id"]})["task_id"]
        return str(api.finished(task)["error"])

    assert built(name="none") == ""
    assert "python-package-file-missing" in built(name="pip", package_file="../../requirements.txt")
    assert "python-package-file-missing" in built(name="pip")
    assert "uv.lock is not in this emulator" in built(name="uv", package_file="uv.lock")


def test_the_newest_bundle_is_deployed_where_none_is_named(api: Api, content: Made) -> None:
    uploaded(api, content)
    newest = uploaded(api, content, archive(app_files("two")))
    api.deployed(content["guid"], {"bundle_id": None})
    assert api.made("GET", f"v1/content/{content['guid']}")["bundle_id"] == newest["id"]
    assert api.visit(f"/content/{content['guid']}/").text.startswith("two ")


def test_bundles_stay_with_their_content_and_their_mode(api: Api, content: Made) -> None:
    bundle, path = uploaded(api, content), f"v1/content/{content['guid']}"
    api.deployed(content["guid"], {"bundle_id": bundle["id"]})
    other = api.made("POST", "v1/content", {})
    assert api.refused("POST", f"v1/content/{other['guid']}/deploy", {"bundle_id": bundle["id"]}) == (400, 82)
    assert api.refused("GET", f"v1/content/{other['guid']}/bundles/{bundle['id']}") == (404, 4)
    assert api.refused("DELETE", f"{path}/bundles/{bundle['id']}") == (400, 75)
    static = uploaded(api, content, archive({"manifest.json": manifest("static", None), "index.html": "hi"}))
    assert api.refused("POST", f"{path}/deploy", {"bundle_id": static["id"]}) == (403, 48)
    assert api("DELETE", f"{path}/bundles/{static['id']}").status_code == 204
    for wrong in ({"bundle_id": []}, {"bundle_id": bundle["id"], "activate": "no"}):
        assert api.refused("POST", f"{path}/deploy", wrong) == (400, 25)


def test_static_content_needs_no_python(api: Api, content: Made) -> None:
    files = {
        "manifest.json": manifest("static", None, primary_html="start.html"),
        "start.html": "<p>hi",
        "a/b.css": "b{}",
    }
    uploaded(api, content, archive(files))
    api.deployed(content["guid"])
    assert api.visit(f"/content/{content['guid']}/").text == "<p>hi"
    assert api.visit(f"/content/{content['guid']}/a/b.css").text == "b{}"
    assert api.visit(f"/content/{content['guid']}/nosuch").status_code == 404
    assert api.visit(f"/content/{content['guid']}/../../../../etc/passwd").status_code == 404
    after = api.made("GET", f"v1/content/{content['guid']}")
    assert (after["app_mode"], after["py_version"]) == ("static", None)


def test_a_build_prepares_without_activating(api: Api, content: Made) -> None:
    bundle = uploaded(api, content)
    answer = api("POST", f"v1/content/{content['guid']}/build", {"bundle_id": bundle["id"]})
    assert answer.status_code == 200
    assert api.finished(answer.json()["task_id"])["code"] == 0
    after = api.made("GET", f"v1/content/{content['guid']}/bundles/{bundle['id']}")
    assert (after["active"], after["py_version"][:2]) == (False, "3.")


def test_the_log_and_end_of_a_job(api: Api, content: Made) -> None:
    talking = {**app_files(), "app.py": "print('starting up')\n" + app_files()["app.py"]}
    uploaded(api, content, archive(talking))
    api.deployed(content["guid"])
    path = f"v1/content/{content['guid']}/jobs"
    assert api.made("GET", path) == []
    api.visit(f"/content/{content['guid']}/")
    (job,) = api.made("GET", path)
    entries = api.made("GET", f"{path}/{job['key']}/log")["entries"]
    assert [entry["source"] for entry in entries if entry["data"] == "starting up"] == ["stdout"]
    assert "starting up" in api.get(f"{path}/{job['key']}/download").text
    assert api("DELETE", f"{path}/{job['key']}").status_code == 202
    assert api.refused("DELETE", f"{path}/{job['key']}") == (409, 163)
    assert api.refused("GET", f"{path}/nosuch") == (404, 4)


def test_an_app_that_does_not_start_shows_its_log_to_its_owner_only(api: Api, content: Made) -> None:
    uploaded(api, content, archive({**app_files(), "app.py": "raise RuntimeError('a secret reason')"}))
    api.deployed(content["guid"])
    api.made("PATCH", f"v1/content/{content['guid']}", {"access_type": "all"})
    page = api.visit(f"/content/{content['guid']}/")
    assert (page.status_code, "a secret reason" in page.text) == (502, True)
    assert "a secret reason" not in Api(api.url, None).visit(f"/content/{content['guid']}/").text
