"""jobs: the processes that served content, with their logs."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from connect_tasks.emulator.clock import now
from connect_tasks.emulator.context import Answer, Context, caller, context, number_parameter
from connect_tasks.emulator.job_logs import read_log
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Content, Job
from connect_tasks.emulator.rights import editable


def shown(content: Content, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "ppid": None if job.ppid is None else str(job.ppid),
        "pid": None if job.pid is None else str(job.pid),
        "key": job.job_key,
        "remote_id": None,
        "app_id": content.number,
        "content_id": content.number,
        "content_guid": content.guid,
        "variant_id": "0",
        "bundle_id": job.bundle_id,
        "start_time": job.start_time,
        "end_time": job.end_time,
        "last_heartbeat_time": job.end_time or now(),
        "queued_time": None,
        "queue_name": None,
        "tag": job.tag,
        "exit_code": job.exit_code,
        "status": 0 if job.end_time is None else 2,
        "hostname": socket.gethostname(),
        "cluster": "Local",
        "image": None,
        "run_as": None,
    }


async def index(request: Request) -> Response:
    content, server = _content(request)
    own = [job for job in server.store.state.table(Job).values() if job.content_guid == content.guid]
    return Answer([shown(content, job) for job in sorted(own, key=lambda job: int(job.id), reverse=True)])


async def show(request: Request) -> Response:
    content, job, _ = _job(request)
    return Answer(shown(content, job))


async def log(request: Request) -> Response:
    _, job, _ = _job(request)
    last = number_parameter(request, "max_log_lines", 5000, 0, 10**6)
    return Answer({"entries": read_log(Path(job.log), last) if last else []})


async def download(request: Request) -> Response:
    _, job, _ = _job(request)
    text = "".join(f"{entry['timestamp']} [{entry['source']}] {entry['data']}\n" for entry in read_log(Path(job.log)))
    return PlainTextResponse(text, headers={"content-disposition": f'attachment; filename="job-{job.job_key}.log"'})


async def terminate(request: Request) -> Response:
    content, job, server = _job(request)
    if job.end_time is not None or not await server.launches.terminate(job.job_key):
        raise Problem(163)
    return Answer(
        {
            "guid": None,
            "app_id": content.number,
            "app_guid": content.guid,
            "job_id": job.id,
            "job_key": job.job_key,
            "result": "Order to kill job registered",
        },
        status_code=202,
    )


def _content(request: Request) -> tuple[Content, Context]:
    server = context(request)
    if not server.abilities.jobs:
        raise Problem(2)
    return editable(server.store.state, caller(request), request.path_params["guid"]), server


def _job(request: Request) -> tuple[Content, Job, Context]:
    content, server = _content(request)
    job = server.store.state.find(Job, request.path_params["job"])
    if job is None or job.content_guid != content.guid:
        raise Problem(4, "There is no such job.")
    return content, job, server


routes = [
    Route("/v1/content/{guid}/jobs", index, methods=["GET"]),
    Route("/v1/content/{guid}/jobs/{job}", show, methods=["GET"]),
    Route("/v1/content/{guid}/jobs/{job}", terminate, methods=["DELETE"]),
    Route("/v1/content/{guid}/jobs/{job}/log", log, methods=["GET"]),
    Route("/v1/content/{guid}/jobs/{job}/download", download, methods=["GET"]),
]
