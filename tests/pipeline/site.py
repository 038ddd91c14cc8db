"""The server's part of a release, many times and quickly: a static page, its repository, and faults on the way."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.configuration import App, VerifySettings
from connect_tasks.emulator import Running
from connect_tasks.pipeline import activation, bundle_of_commit
from connect_tasks.pipeline.actions import Action, Shipment
from connect_tasks.pipeline.deploy_plan import plan_deployment, plan_polling
from connect_tasks.pipeline.deployment import Deployment
from connect_tasks.pipeline.release_journal import Journal
from connect_tasks.pipeline.server_performance import perform_on_server
from connect_tasks.secret import Secret
from connect_tasks.server import connect_transport, doubt, page_health, task_log
from connect_tasks.server.connect import Connect
from connect_tasks.server.server_address import ServerAddress
from connect_tasks.server.server_drift import differences
from connect_tasks.server.server_survey import survey_server

MANIFEST = {
    "version": 1,
    "locale": "en_US.UTF-8",
    "metadata": {"appmode": "static", "primary_html": "index.html", "entrypoint": "index.html"},
    "files": {"index.html": {"checksum": "0"}},
}
#: Long enough that a server which is at work on what it was asked for has made it, however busy this machine is.
PATIENCE = 30.0


@dataclass(kw_only=True)
class Site:
    """One page of one name, with a version per commit; `deploy` is what a release does on the server.

    Versions are committed right into the bare repository that the server clones: what comes before a deploy is not the
    subject here.
    """

    server: Running
    name: str
    place: Path
    api_key: str | None = None  # the administrator's, if None
    branch: str = "main"
    url: str | None = None  # of something that stands before the server
    app: App = field(init=False)
    commit: str = ""
    versions: dict[str, str] = field(default_factory=dict)  # commit -> what its page says
    said: list[str] = field(default_factory=list)
    actions: tuple[Action, ...] = ()
    before: Callable[[Action], object] = lambda _: None  # what others do meanwhile

    def __post_init__(self) -> None:
        self.app = App(name=self.name, content_name=self.name, verify=VerifySettings(contains="version", timeout=5))
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.bare], check=True)

    @property
    def bare(self) -> Path:
        return self.server.git_root / f"{self.name}.git"

    @property
    def journal(self) -> Journal:
        return Journal.of(self.place, self.name, None)

    def commit_version(self, text: str | None = None, *, without: str | None = None, **files: str) -> str:
        """The next version of the page on `main`; `files`: more of them, `manifest_json` is manifest.json."""
        text = text or f"version {len(self.versions) + 1}"
        contents = {"index.html": text, "manifest.json": json.dumps(MANIFEST)}
        contents |= {name.replace("_", "."): content for name, content in files.items()}
        contents.pop(without or "", None)
        parent = "from refs/heads/main^0\n" if self.commit else ""
        lines = [
            f"commit refs/heads/main\nmark :1\ncommitter T <t@example.org> {1700000000 + len(self.versions)} +0000"
        ]
        lines += [f"data {len(text)}\n{text}\n{parent}deleteall"]
        lines += [f"M 100644 inline {name}\ndata {len(body)}\n{body}" for name, body in contents.items()]
        script = "\n".join([*lines, "get-mark :1", "done", ""])
        done = subprocess.run(
            ["git", "-C", self.bare, "fast-import", "--quiet", "--done"],
            input=script, capture_output=True, text=True, check=True,
        )  # fmt: skip
        self.commit = done.stdout.strip()
        self.versions[self.commit] = text
        return self.commit

    # what a release does ------------------------------------------------------------------------------------------

    def connect(self) -> Connect:
        key = Secret(self.api_key or self.server.api_key)
        return Connect(ServerAddress(url=self.url or self.server.url, key=key, source="the test"))

    def deploy(self) -> Shipment:
        """As `ship` does it: facts, plan, perform. Raises the problem."""
        connect, app, self.actions = self.connect(), self.app, ()
        facts = survey_server(connect, app, repository=self.server.git_url(self.name), branch=self.branch)
        self.actions = (
            *plan_polling(app, facts),
            *plan_deployment(
                app,
                facts,
                commit=self.commit,
                in_sync=facts.live_commit is not None and self.same_tree(facts.live_commit),
                unverified=self.journal.is_unfinished(self.commit),
                differences=differences(app, facts),
            ),
        )
        deployment = Deployment(
            app=app,
            connect=connect,
            drafts=facts.drafts,
            owner=facts.user.guid,
            values={"SECRET_VALUE": "canary"},
            same_tree=self.same_tree,
            say=self.said.append,
            journal=self.journal,
        )
        guid = facts.content.guid if facts.content else None
        shipment = Shipment(app_tree="", commit=self.commit, pushed=self.commit, guid=guid)
        for action in self.actions:
            self.before(action)
            shipment = perform_on_server(action, shipment, deployment)
        return shipment

    def same_tree(self, commit: str) -> bool:
        return self.versions.get(commit) == self.versions[self.commit]

    # what is there ------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}/{path}", data=data, method=method)
        request.add_header("Authorization", f"Key {self.server.api_key}")
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
            return json.loads(content) if content else None

    def items(self) -> list[dict[str, Any]]:
        return [item for item in self.call("GET", "__api__/v1/content") if item["name"] == self.name]

    @property
    def guid(self) -> str:
        (item,) = self.items()
        return str(item["guid"])

    def live(self) -> str | None:
        """The id of the live bundle."""
        items = self.items()
        return items[0]["bundle_id"] if items else None

    def bundles(self, commit: str | None = None) -> list[str]:
        """Ids of the bundles of a commit, or of all."""
        found = self.call("GET", f"__api__/v1/content/{self.guid}/bundles")
        return [one["id"] for one in found if commit is None or one["metadata"]["source_commit"] == commit]

    def page(self) -> str | None:
        """What visitors see; None where nothing is live."""
        request = urllib.request.Request(f"{self.server.url}/content/{self.guid}/")
        request.add_header("Authorization", f"Key {self.server.api_key}")
        try:
            with urllib.request.urlopen(request) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            if error.code == 404 and self.live() is None:
                return None
            raise

    def requests(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "__emulator__/requests")["requests"])

    # faults -------------------------------------------------------------------------------------------------------

    @contextmanager
    def faults(self, *faults: dict[str, Any]) -> Iterator[None]:
        for fault in faults:
            self.call("POST", "__emulator__/fault", fault)
        try:
            yield
        finally:
            self.call("DELETE", "__emulator__/fault")

    def converges(self) -> None:
        """A clean run ends where a run that never failed does: one item, one bundle of the commit, live, seen."""
        self.deploy()
        assert len(self.items()) == 1
        (bundle,) = self.bundles(self.commit)
        assert self.live() == bundle
        assert self.page() == self.versions[self.commit]
        assert self.journal.is_unfinished(self.commit) is False
        self.deploy()
        assert self.actions == ()


def acts(fault: dict[str, Any]) -> bool:
    """Whether the handler still acts when this fault hits."""
    replaced = any(fault.get(key) is not None for key in ("status", "body", "content_type")) or fault.get("reset")
    return bool(fault.get("after_handler")) or not replaced


def hurry(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """No pauses. Gives what sets how long we look for the trace of a lost write: a test knows whether there is one."""
    monkeypatch.setattr(doubt, "PAUSE", 0.01)
    monkeypatch.setattr(doubt, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(doubt, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(doubt, "PATIENCE", PATIENCE)
    monkeypatch.setattr(task_log, "INTERVAL", 0.01)
    monkeypatch.setattr(page_health, "PAUSE", 0.02)
    monkeypatch.setattr(activation, "LOOK_AGAIN", 0.05)
    monkeypatch.setattr(activation, "BRIEFLY", 0.3)
    assert bundle_of_commit.doubt is doubt  # it reads the values there, when it needs them
    assert connect_transport.READ_TIMEOUT == 60
    return lambda seconds: monkeypatch.setattr(doubt, "PATIENCE", seconds)
