"""/connect/: the dashboard for people. Logged in by an API key, remembered by a cookie."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from connect_tasks.emulator.context import LARGEST_BODY, Context, context
from connect_tasks.emulator.dashboard import pages
from connect_tasks.emulator.job_logs import read_log
from connect_tasks.emulator.keys import COOKIE, session_of
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Bundle, Content, Job, Repository, Task, User, Vanity
from connect_tasks.emulator.rights import editable, may_edit, may_see, visible


async def index(request: Request) -> Response:
    server, person = context(request), _person(request)
    state = server.store.state
    seen = [content for content in state.table(Content).values() if may_see(state, person, content)]
    seen.sort(key=lambda content: (content.last_deployed_time, int(content.number)), reverse=True)
    return _shown(pages.index([_row(server, person, content) for content in seen], **_about(server, person)))


async def item(request: Request) -> Response:
    server, person = context(request), _person(request)
    content = visible(server.store.state, person, request.path_params["guid"])
    row = _row(server, person, content)
    return _shown(pages.item(row, _details(server, content, all_of_it=row.editable), **_about(server, person)))


async def task(request: Request) -> Response:
    server, person = context(request), _person(request)
    content = editable(server.store.state, person, request.path_params["guid"])
    found = server.store.state.find(Task, request.path_params["task"])
    if found is None or found.content_guid != content.guid:
        raise Problem(141)
    lines, state = server.tasks.log(found.id), pages.task_state(found)
    row, title = _row(server, person, content), found.title or found.id
    return _shown(pages.log(row, title, lines, state=state, running=not found.finished, **_about(server, person)))


async def job(request: Request) -> Response:
    server, person = context(request), _person(request)
    content = editable(server.store.state, person, request.path_params["guid"])
    found = server.store.state.find(Job, request.path_params["job"])
    if found is None or found.content_guid != content.guid:
        raise Problem(4, "There is no such job.")
    lines = [f"{entry['timestamp'][:19]}  {entry['data']}" for entry in read_log(Path(found.log))]
    row, title = _row(server, person, content), f"{found.tag} of bundle {found.bundle_id}"
    return _shown(pages.log(row, title, lines, state=pages.job_state(found), running=False, **_about(server, person)))


async def activate(request: Request) -> Response:
    server, person = context(request), _person(request)
    bundle_id = (await _form(request)).get("bundle_id")
    content = editable(server.store.state, person, request.path_params["guid"])
    return _watching(content, server.deployments.deploy(content, bundle_id, user_guid=person.guid, activate=True))


async def deploy(request: Request) -> Response:
    server, person = context(request), _person(request)
    await _form(request)
    content = editable(server.store.state, person, request.path_params["guid"])
    return _watching(content, server.deployments.deploy(content, None, user_guid=person.guid, activate=True))


async def login(request: Request) -> Response:
    server = context(request)
    user = server.keys.user_of((await _form(request)).get("key", "").strip())
    if user is None or user.locked:
        problem = "This key is not known here."
        return _shown(pages.login(version=_version(server), problem=problem), status=401)
    answer = _to("/connect/")
    answer.set_cookie(COOKIE, server.keys.opened(user.guid), httponly=True, samesite="lax", path="/")
    return answer


async def logout(request: Request) -> Response:
    await _form(request)
    context(request).keys.closed(session_of(request.headers) or "")
    answer = _to("/connect/")
    answer.delete_cookie(COOKIE, path="/")
    return answer


class LoggedOut(Exception):
    """The page is for people who are logged in."""


async def refused(request: Request, problem: Exception) -> Response:
    """What goes wrong under /connect/ is said in a page."""
    server = context(request)
    if isinstance(problem, LoggedOut):
        return _shown(pages.login(version=_version(server)), status=401)
    status, text = (
        (problem.status, problem.message) if isinstance(problem, Problem) else (404, "There is no such page.")
    )
    return _shown(pages.sorry("That did not work", text, version=_version(server)), status=status)


async def icon(_: Request) -> Response:
    return Response(pages.ICON, media_type="image/svg+xml")


def _person(request: Request) -> User:
    person = context(request).keys.person(request.headers)
    if person is None:
        raise LoggedOut
    return person


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form of ours. A form on another site, sent with our cookie, is refused."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem(22, "The form comes from another site.")
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_BODY:
            raise Problem(87)
    return dict(parse_qsl(raw.decode("utf-8", errors="replace")))


def _row(server: Context, person: User, content: Content) -> pages.Row:
    state = server.store.state
    owner = state.find(User, content.owner_guid)
    return pages.Row(
        content=content,
        owner=owner.username if owner else "",
        live=state.find(Bundle, content.bundle_id) if content.bundle_id else None,
        last=next(iter(_tasks(server, content)), None),
        editable=may_edit(state, person, content),
    )


def _tasks(server: Context, content: Content) -> list[Task]:
    own = [task for task in server.store.state.table(Task).values() if task.content_guid == content.guid]
    own.reverse()  # the newest first, also among those of one second
    return sorted(own, key=lambda task: task.started_time, reverse=True)


def _details(server: Context, content: Content, *, all_of_it: bool) -> pages.Details:
    """Whoever may only look sees what the item is, not how it is run."""
    state = server.store.state
    vanity = state.find(Vanity, content.guid)
    jobs = [job for job in state.table(Job).values() if job.content_guid == content.guid]
    return pages.Details(
        repository=state.find(Repository, content.guid) if all_of_it else None,
        vanity=vanity.path if vanity else None,
        variables=sorted(state.variables(content.guid)) if all_of_it else (),
        bundles=state.bundles(content.guid) if all_of_it else (),
        tasks=_tasks(server, content)[:50] if all_of_it else (),
        jobs=sorted(jobs, key=lambda job: int(job.id), reverse=True)[:50] if all_of_it else (),
    )


def _about(server: Context, person: User) -> dict[str, Any]:
    return {"version": _version(server), "person": person.username}


def _version(server: Context) -> str:
    return f"as Connect {server.abilities.version}" if server.abilities.version else ""


def _watching(content: Content, started: Task) -> Response:
    return _to(f"/connect/apps/{content.guid}/tasks/{started.id}")


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303)


def _shown(page: str, status: int = 200) -> Response:
    headers = {"content-security-policy": pages.POLICY, "cache-control": "no-store", "referrer-policy": "same-origin"}
    return HTMLResponse(page, status_code=status, headers=headers)


routes = [
    Route("/", index, methods=["GET"]),
    Route("/login", login, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/apps/{guid}", item, methods=["GET"]),
    Route("/apps/{guid}/activate", activate, methods=["POST"]),
    Route("/apps/{guid}/deploy", deploy, methods=["POST"]),
    Route("/apps/{guid}/tasks/{task}", task, methods=["GET"]),
    Route("/apps/{guid}/jobs/{job}", job, methods=["GET"]),
]
