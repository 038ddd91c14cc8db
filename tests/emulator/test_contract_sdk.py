"""The contract as the unmodified posit-sdk speaks it; against a real server as well, see `contract`."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from posit import connect
from posit.connect.content import ContentItem
from posit.connect.errors import ClientError

from .conftest import Api, Source, app_files


@pytest.fixture
def client(contract: Api) -> connect.Client:
    return connect.Client(contract.url, contract.key)


@pytest.fixture
def item(client: connect.Client) -> Iterator[ContentItem]:
    made = client.content.create(name=f"sdk-{time.time_ns()}", title="By the SDK")
    yield made
    made.delete()


def archive(version: str = "one", folder: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in app_files(version).items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def deployed(item: ContentItem, version: str = "one") -> None:
    task = item.bundles.create(archive(version)).deploy()
    task.wait_for()
    assert task.error_code == 0, task


def test_the_server_and_the_caller(client: connect.Client) -> None:
    assert client.version is not None
    assert client.version[:2] == "20"
    assert client.me["user_role"] == "administrator"
    assert client.users.get(client.me["guid"])["username"] == client.me["username"]
    assert client.me["guid"] in [user["guid"] for user in client.users.find()]
    assert client.users.count() >= 1


def test_content_is_the_same_wherever_it_is_read(client: connect.Client, item: ContentItem) -> None:
    read = client.content.get(item["guid"])
    assert {key: read[key] for key in item} == dict(item)
    assert read["owner"]["guid"] == client.me["guid"]
    assert "tags" not in read
    assert "vanity_url" not in read
    (found,) = client.content.find(name=item["name"], owner_guid=client.me["guid"])
    assert {key: found[key] for key in item} == dict(item)
    assert client.content.find_by(name=item["name"])["guid"] == item["guid"]
    assert item["guid"] in [other["guid"] for other in client.me.content.find()]
    item.update(description="changed", max_processes=3)
    assert (client.content.get(item["guid"])["description"], item["max_processes"]) == ("changed", 3)
    unnamed = client.content.create()
    assert unnamed["name"]
    unnamed.delete()
    with pytest.raises(ClientError) as gone:
        client.content.get(unnamed["guid"])
    assert (gone.value.http_status, gone.value.error_code) == (404, 4)


def test_bundles(item: ContentItem, contract: Api, tmp_path: Path) -> None:
    deployed(item, "one")
    (tmp_path / "b.tar.gz").write_bytes(archive("two", folder="my-app/"))  # a lone top folder is looked into
    second = item.bundles.create(str(tmp_path / "b.tar.gz"))
    assert item.bundles.active()["id"] != second["id"]
    task = second.deploy()
    task.wait_for()
    assert task.error_code == 0
    assert item.bundles.active()["id"] == second["id"]
    assert contract.visit(f"/content/{item['guid']}/").text.startswith("two ")
    target = io.BytesIO()
    second.download(target)
    assert target.getvalue() == (tmp_path / "b.tar.gz").read_bytes()
    first = item.bundles.find()[-1]
    first.delete()
    assert [bundle["id"] for bundle in item.bundles.find()] == [second["id"]]
    with pytest.raises(ClientError) as active:
        second.delete()
    assert active.value.error_code == 75


def test_a_repository(item: ContentItem, contract: Api, source: Callable[..., Source]) -> None:
    repository = source("sdk")
    commit = repository.commit(app_files())
    assert item.repository is None
    made = item.create_repository(repository=repository.url, branch="main")
    assert (made["directory"], made["polling"]) == (".", False)
    task = item.deploy()
    task.wait_for()
    assert task.error_code == 0
    assert item.repository is not None
    assert item.repository["last_known_commit"] == commit
    assert item.bundles.active()["metadata"]["source_commit"] == commit
    item.repository.update(branch="nosuch")
    failing = item.deploy()
    failing.wait_for()
    assert failing.error_code == 1
    assert failing.error_message
    assert item.repository["last_error"]
    item.repository.destroy()
    assert item.repository is None


def test_environment_variables_and_restart(client: connect.Client, item: ContentItem, contract: Api) -> None:
    variables = item.environment_variables
    variables.create("A", "1")
    variables.create("B", "2")
    assert sorted(variables.find()) == ["A", "B"]
    variables.delete("A")
    assert variables.find() == ["B"]
    variables.clear()
    assert variables.find() == []
    deployed(item)
    client.content.get(item["guid"]).restart()
    assert contract.visit(f"/content/{item['guid']}/").status_code == 200


def test_permissions_of_users_and_groups(client: connect.Client, item: ContentItem) -> None:
    reader = client.users.create(username=f"reader{time.time_ns()}", email="r@example.org", password="long enough 1")
    readers = client.groups.create(name=f"readers{time.time_ns()}")
    readers.members.add(reader)
    assert [member["guid"] for member in readers.members.find()] == [reader["guid"]]
    item.permissions.create(reader, role="viewer")
    permission = item.permissions.create(readers, role="viewer")
    assert item.permissions.count() == 2
    permission.update(role="owner")
    assert item.permissions.get(permission["id"])["role"] == "owner"
    permission.destroy()
    with pytest.raises(ClientError) as twice:
        item.permissions.create(reader, role="viewer")
    assert twice.value.error_code == 154
    readers.members.delete(reader)
    readers.delete()
    reader.lock()
    assert client.users.get(reader["guid"])["locked"]


def test_vanity_paths(client: connect.Client, item: ContentItem, contract: Api) -> None:
    deployed(item)
    path = f"/sdk-{time.time_ns()}/"
    item.create_vanity(path=path.strip("/"))
    assert item.vanity == path
    assert client.content.get(item["guid"])["vanity_url"].endswith(path)
    assert path in [vanity["path"] for vanity in client.vanities.all()]
    assert f"mount={path.rstrip('/')}" in contract.visit(f"{path}x").text
    other = client.content.create()
    with pytest.raises(ClientError) as taken:
        other.create_vanity(path=path)
    assert taken.value.error_code == 51
    other.create_vanity(path=path, force=True)
    assert client.content.get(item["guid"]).vanity is None
    other.delete()
    with pytest.raises(ClientError) as reserved:
        item.create_vanity(path="/connect/x")
    assert reserved.value.error_code == 52


def test_tags(client: connect.Client, item: ContentItem) -> None:
    top = client.tags.create(name=f"top{time.time_ns()}")
    child = client.tags.create(name="child", parent=top)
    item.tags.add(child)
    assert [tag["name"] for tag in item.tags.find()] == ["child"]
    assert [tag["id"] for tag in client.content.get(item["guid"])["tags"]] == [child["id"]]
    assert [content["guid"] for content in child.content_items.find()] == [item["guid"]]
    child.update(name="renamed")
    assert [tag["name"] for tag in top.descendant_tags.find()] == ["renamed"]
    item.tags.delete(child)
    assert item.tags.find() == []
    top.destroy()
    assert child["id"] not in [tag["id"] for tag in client.tags.find()]


def test_jobs_packages_and_lockfile(client: connect.Client, item: ContentItem, contract: Api) -> None:
    deployed(item)
    contract.visit(f"/content/{item['guid']}/")
    (job,) = list(item.jobs)
    assert (job["tag"], job["status"]) == ("run_python_api", 0)
    job.destroy()
    ended = contract.made("GET", f"v1/content/{item['guid']}/jobs/{job['key']}")
    assert ended["status"] == 2
    assert contract.visit(f"/content/{item['guid']}/").status_code == 200
    assert list(item.packages) == []
    assert item.get_lockfile().python_version == contract.made("GET", f"v1/content/{item['guid']}")["py_version"]


def test_runtime_caches(client: connect.Client, item: ContentItem, contract: Api) -> None:
    deployed(item)
    caches = client.system.caches.runtime.find()
    assert {cache["language"] for cache in caches} == {"Python"}
    assert caches[0].destroy(dry_run=True) is None
    assert client.system.caches.runtime.find() == caches
    caches[0].destroy().wait_for()
    assert caches[0] not in client.system.caches.runtime.find()
    assert contract.visit(f"/content/{item['guid']}/").status_code == 200  # its environment is restored at the launch
