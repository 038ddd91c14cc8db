"""The pages, each a pure function of the facts that it shows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connect_tasks.emulator.dashboard.markup import Child, Html, element, joined
from connect_tasks.emulator.dashboard.style import STYLE
from connect_tasks.emulator.records import Bundle, Content, Job, Repository, Task

# Clients print links such as /connect/#/apps/GUID/draft/12: what stands behind the # never reaches a server.
FORWARD: Final = (
    r"const m = /^#\/apps\/([0-9a-f-]+)/.exec(location.hash); if (m) location.replace('/connect/apps/' + m[1]);"
)


def _hashed(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#2459a8"/>'
    '<circle cx="8" cy="8" r="3.5" fill="#fff"/></svg>'
)

#: Nothing is loaded from anywhere, and only our own style and script run.
POLICY: Final = (
    f"default-src 'none'; style-src {_hashed(STYLE)}; script-src {_hashed(FORWARD)}; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A content item as the list and the head of its page show it."""

    content: Content
    owner: str
    live: Bundle | None
    last: Task | None
    editable: bool

    @property
    def title(self) -> str:
        return self.content.title or self.content.name

    @property
    def path(self) -> str:
        return f"/connect/apps/{self.content.guid}"


@dataclass(frozen=True, kw_only=True)
class Details:
    """What the page of one content item shows besides its row."""

    repository: Repository | None
    vanity: str | None
    variables: Sequence[str]
    bundles: Sequence[Bundle]
    tasks: Sequence[Task]
    jobs: Sequence[Job]


def index(rows: Sequence[Row], *, version: str, person: str) -> str:
    heads = ("Content", "State", "Live commit", "Deployed", "Owner", "")
    body = [
        element(
            "tr",
            element("td", element("a", row.title, href=row.path), element("div", row.content.app_mode, class_="quiet")),
            element("td", _state(row)),
            element("td", _commit(row.live)),
            element("td", _when(row.content.last_deployed_time) if row.live else _quiet("never")),
            element("td", row.owner),
            element("td", _visit(row), class_="actions"),
        )
        for row in rows
    ]
    empty = element("p", "Nothing has been deployed here yet.", class_="quiet pad")
    return _page(
        "Content",
        element("h1", "Content"),
        element("div", _table(heads, body) if body else empty, class_="card"),
        person=person,
        version=version,
        script=FORWARD,
    )


def item(row: Row, details: Details, *, version: str, person: str) -> str:
    deploy = _button(f"{row.path}/deploy", "Fetch and deploy", main=True) if details.repository else None
    return _page(
        row.title,
        element("h1", row.title),
        element("div", _state(row), _visit(row), deploy if row.editable else None, class_="bar"),
        element("div", _facts(row, details), class_="card pad"),
        element("h2", "Bundles"),
        _card(_bundles(row, details.bundles), "No bundle yet."),
        element("h2", "Deploys"),
        _card(_tasks(row, details.tasks), "No deploy yet."),
        element("h2", "Processes"),
        _card(_jobs(row, details.jobs), "No process has been started yet: the first visit starts one."),
        person=person,
        version=version,
    )


def log(row: Row, title: str, lines: Sequence[str], *, state: Html, running: bool, version: str, person: str) -> str:
    """The log of a task or a process; asked for again every second while it runs."""
    return _page(
        title,
        element("p", element("a", row.title, href=row.path)),
        element("h1", title),
        element("div", state, class_="bar"),
        element("div", element("pre", "\n".join(lines) or "Nothing was said."), class_="card"),
        person=person,
        version=version,
        refresh=running,
    )


def login(*, version: str, problem: str | None = None) -> str:
    field = element("input", name="key", type="password", autocomplete="off", required=True, aria_label="API key")
    form = element(
        "form", field, " ", element("button", "Log in", class_="main"), method="post", action="/connect/login"
    )
    return _page(
        "Log in",
        element("h1", "Log in"),
        element("p", "Paste an API key of this server: its ready file has one."),
        element("p", problem, class_="badge bad") if problem else None,
        form,
        version=version,
        script=FORWARD,
    )


def sorry(title: str, detail: str, *, version: str, person: str | None = None) -> str:
    return _page(title, element("h1", title), element("p", detail), version=version, person=person)


def task_state(task: Task) -> Html:
    if not task.finished:
        return _badge("running")
    return _badge("failed", "bad") if task.code else _badge("finished", "good")


def job_state(job: Job) -> Html:
    if job.end_time is None:
        return _badge("running", "good")
    return _badge(f"ended with {job.exit_code}" if job.exit_code else "ended")


def _state(row: Row) -> Html:
    if row.last is not None and not row.last.finished:
        return _badge("deploying")
    live = _badge("live", "good") if row.live else _badge("not deployed")
    if row.last is not None and row.last.code:
        return joined(live, " ", _badge("last deploy failed", "bad"))
    return live


def _visit(row: Row) -> Html | None:
    return element("a", "Visit", href=f"/content/{row.content.guid}/") if row.live else None


def _facts(row: Row, details: Details) -> Html:
    content, repository = row.content, details.repository
    facts: list[tuple[str, Child]] = [
        ("Address", element("code", f"/content/{content.guid}/")),
        ("Vanity path", element("a", details.vanity, href=details.vanity) if details.vanity else None),
        ("Live commit", _commit(row.live, full=True) if row.live else None),
        ("App mode", content.app_mode),
        ("Python", content.py_version),
        ("Access", {"all": "anyone", "logged_in": "any user", "acl": "owner and listed users"}[content.access_type]),
        ("Owner", row.owner),
        ("Variables", ", ".join(details.variables) or None),
    ]
    if repository:
        facts += [
            ("Repository", repository.repository),
            ("Branch", f"{repository.branch}, {'polled' if repository.polling else 'not polled'}"),
            ("Directory", repository.directory),
            ("Last known commit", element("code", commit) if (commit := repository.last_known_commit) else None),
            ("Last error", repository.last_error),
        ]
    pairs = [joined(element("dt", name), element("dd", value)) for name, value in facts if value]
    return element("dl", *pairs)


def _bundles(row: Row, bundles: Sequence[Bundle]) -> Html | None:
    body = []
    for bundle in bundles:
        active = bundle.id == row.content.bundle_id
        preview = element("a", "Preview", href=f"/content/{row.content.guid}/_bundle{bundle.id}/")
        activate = _button(f"{row.path}/activate", "Activate", bundle_id=bundle.id)
        actions = joined(preview if bundle.prepared else None, None if active else activate)
        body.append(
            element(
                "tr",
                element("td", bundle.id, " ", _badge("active", "good") if active else None),
                element("td", _when(bundle.created_time)),
                element("td", _commit(bundle)),
                element("td", bundle.py_version or _quiet("not built")),
                element("td", _size(bundle.size)),
                element("td", actions if row.editable else None, class_="actions"),
            )
        )
    return _table(("Bundle", "Made", "Source", "Python", "Size", ""), body) if body else None


def _tasks(row: Row, tasks: Sequence[Task]) -> Html | None:
    body = [
        element(
            "tr",
            element("td", element("a", task.title or task.id, href=f"{row.path}/tasks/{task.id}")),
            element("td", _when(task.started_time)),
            element("td", task_state(task)),
            element("td", task.error or None, class_="quiet"),
        )
        for task in tasks
    ]
    return _table(("Deploy", "Started", "State", ""), body) if body else None


def _jobs(row: Row, jobs: Sequence[Job]) -> Html | None:
    body = [
        element(
            "tr",
            element("td", element("a", job.tag, href=f"{row.path}/jobs/{job.job_key}")),
            element("td", f"bundle {job.bundle_id}"),
            element("td", _when(job.start_time)),
            element("td", job_state(job)),
        )
        for job in jobs
    ]
    return _table(("Process", "", "Started", "State"), body) if body else None


def _commit(bundle: Bundle | None, *, full: bool = False) -> Html | None:
    commit = bundle and bundle.metadata.get("source_commit")
    if not isinstance(commit, str):
        return _quiet("uploaded") if bundle else None
    return element("code", commit if full else commit[:10], title=commit)


def _button(action: str, text: str, *, main: bool = False, **fields: str) -> Html:
    hidden = [element("input", type="hidden", name=name, value=value) for name, value in fields.items()]
    button = element("button", text, class_="main" if main else None)
    return element("form", *hidden, button, method="post", action=action)


def _table(heads: Sequence[str], rows: Sequence[Html]) -> Html:
    head = element("thead", element("tr", *(element("th", text, scope="col") for text in heads)))
    return element("table", head, element("tbody", *rows))


def _card(content: Html | None, otherwise: str) -> Html:
    return element("div", content or element("p", otherwise, class_="quiet pad"), class_="card")


def _badge(text: str, kind: str = "") -> Html:
    return element("span", text, class_=f"badge {kind}".strip())


def _quiet(text: str) -> Html:
    return element("span", text, class_="quiet")


def _when(time: str) -> Html:
    return element("time", time.replace("T", " ").removesuffix("Z"), datetime=time, title="UTC")


def _size(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{size / 1000:.0f} kB" if size < 10**6 else f"{size / 10**6:.1f} MB"


def _page(
    title: str,
    *content: Child,
    version: str,
    person: str | None = None,
    refresh: bool = False,
    script: str | None = None,
) -> str:
    out = _button("/connect/logout", "Log out") if person else None
    end = element("span", element("span", version), element("span", person) if person else None, out, class_="end")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="refresh", content="1") if refresh else None,
        element("title", f"{title} - Local Connect"),
        element("style", Html(STYLE)),
        element("script", Html(script)) if script else None,
    )
    header = element("header", element("a", "Local Connect", href="/connect/"), end)
    return "<!doctype html>" + element("html", head, element("body", header, element("main", *content)), lang="en")
