"""What every route can reach, and how a request is read and answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response

from connect_tasks.emulator.abilities import Abilities
from connect_tasks.emulator.keys import Keys
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import User
from connect_tasks.emulator.store import Store
from connect_tasks.emulator.tasks import Tasks

if TYPE_CHECKING:
    from connect_tasks.emulator.builds import Builds
    from connect_tasks.emulator.deployment import Deployments
    from connect_tasks.emulator.launches import Launches

LARGEST_BODY: Final = 1 << 20  # bytes of a JSON body


@dataclass(frozen=True, kw_only=True)
class Context:
    url: str
    store: Store
    keys: Keys
    abilities: Abilities
    tasks: Tasks
    builds: Builds
    deployments: Deployments
    launches: Launches


def context(request: Request) -> Context:
    return cast("Context", request.app.state.context)


def caller(request: Request) -> User:
    """Who sent the request. Raises Problem 24 without credentials, 30 with wrong ones."""
    user = context(request).keys.visitor(request.headers)
    if user is None:
        raise Problem(24)
    return user


class Answer(Response):
    """JSON in ASCII: a name with any character that JSON can carry is answered, never a 500."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


async def body(request: Request, *, known: frozenset[str] | None = None) -> dict[str, Any]:
    """The JSON object of the body; {} for an empty body. Raises Problem 87, 121.

    `known`: keys of the endpoint; a server without the ability unknown-keys refuses others, as older ones do.
    """
    value = await json_body(request)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Problem(121, "The body is not a JSON object.")
    if known is not None and not context(request).abilities.unknown_keys and not value.keys() <= known:
        raise Problem(121, f"Unknown keys: {', '.join(sorted(value.keys() - known))}.")
    return value


async def json_body(request: Request) -> Any:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_BODY:
            raise Problem(87, "The JSON body is larger than 1 MiB.")
    if not raw.strip():
        return None
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
        # Half a surrogate pair can be written in JSON, but neither stored nor shown.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise Problem(121) from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def number_parameter(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises Problem 25 for no number, 13 for one out of range."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 12:
        raise Problem(25, f"The parameter {name} is not a whole number.")
    if not least <= int(text) <= most:
        raise Problem(13, f"The parameter {name} is not between {least} and {most}.")
    return int(text)
