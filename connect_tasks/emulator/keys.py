"""API keys: made here, kept as digests, recognised in every header that Connect's clients use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import uuid
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final

from connect_tasks.emulator.clock import now
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import ApiKey, User
from connect_tasks.emulator.store import Store

COOKIE: Final = "connect-tasks-session"


class Keys:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._passing: dict[str, str] = {}  # digest -> user, for the keys of running content: gone with the server
        self._sessions: dict[str, str] = {}  # digest -> user, of people at the dashboard: same

    def made(self, user_guid: str) -> str:
        """A new lasting key."""
        key = secrets.token_urlsafe(24)
        self._store.commit(self.known(key, user_guid))
        return key

    def known(self, key: str, user_guid: str) -> ApiKey:
        return ApiKey(digest=_digest(key), user_guid=user_guid)

    def passing(self, user_guid: str) -> str:
        """A new key that this run of the server accepts."""
        key = secrets.token_urlsafe(24)
        self._passing[_digest(key)] = user_guid
        return key

    def opened(self, user_guid: str) -> str:
        """A new session of a person at the dashboard: a cookie's value, which no API call takes."""
        session = secrets.token_urlsafe(24)
        self._sessions[_digest(session)] = user_guid
        return session

    def closed(self, session: str) -> None:
        self._sessions.pop(_digest(session), None)

    def person(self, headers: Mapping[str, str]) -> User | None:
        """Who is logged in at the dashboard, by the cookie."""
        session = session_of(headers)
        user_guid = self._sessions.get(_digest(session)) if session else None
        user = self._store.state.find(User, user_guid) if user_guid else None
        return user if user is not None and not user.locked else None

    def visitor(self, headers: Mapping[str, str]) -> User | None:
        """Who sent the request; None without credentials. Raises Problem 30 for wrong ones."""
        key = presented(headers)
        if key is None:
            return None
        user = self.user_of(key)
        if user is None or user.locked:
            raise Problem(30)
        return user

    def user_of(self, key: str) -> User | None:
        digest = _digest(key)
        stored = self._store.state.find(ApiKey, digest)
        user_guid = stored.user_guid if stored else self._passing.get(digest)
        return self._store.state.find(User, user_guid) if user_guid else None


def administrator(store: Store, keys: Keys, data: Path, given: str | None) -> str:
    """The first user and its key: given, or the one of the last run with this data directory, or a new one."""
    admins = [user for user in store.state.table(User).values() if user.administrator and not user.locked]
    admin = min(admins, key=lambda user: user.created_time, default=None)
    if admin is None:
        admin = User(guid=str(uuid.uuid4()), username="admin", first_name="Local", last_name="Administrator",
                     email="admin@localhost", user_role="administrator", created_time=now())  # fmt: skip
        store.commit(admin)
    path = data / "api-key"
    key = given or (path.read_text("utf-8").strip() if path.exists() else "") or secrets.token_urlsafe(24)
    store.commit(keys.known(key, admin.guid))
    if given is None:
        write_private(path, key + "\n")
    return key


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner only."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def presented(headers: Mapping[str, str]) -> str | None:
    """The key in the request; "" for credentials of a kind that this server does not take (a bearer token)."""
    for name in ("authorization", "x-rsc-authorization"):
        value = headers.get(name)
        if value is None:
            continue
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() == "key":
            return rest.strip()
        if scheme.lower() == "basic":
            return _password(rest)
        if name == "x-rsc-authorization" and not rest:
            return scheme  # the bare key: what rsconnect sends behind Snowflake
        return ""
    return None


def session_of(headers: Mapping[str, str]) -> str | None:
    """The value of the dashboard's cookie."""
    if COOKIE not in headers.get("cookie", ""):
        return None
    try:
        morsel = SimpleCookie(headers["cookie"]).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def without_session(cookies: str) -> str:
    """A Cookie header without the dashboard's own: content never sees it."""
    return ";".join(part for part in cookies.split(";") if part.partition("=")[0].strip() != COOKIE).strip()


def _password(encoded: str) -> str:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return decoded.partition(":")[2]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", errors="surrogateescape")).hexdigest()
