"""The server's lines of `doctor`: a ladder, on which each rung needs the one before."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator, Mapping
from datetime import timezone
from urllib.parse import urlsplit

from ..configuration import App
from ..errors import KeyMissing, Problem, raise_all
from ..server.connect import Connect, git_disabled
from ..server.server_address import ServerAddress
from ..server.server_survey import UNVERIFIED, drafts_known
from ..world import World
from .checkup_values import Check, Group, Verdict
from .preparation import Python
from .release_facts import python_problems, survey_item

SERVER = Group(name="server")
#: Seconds that two clocks may differ: signatures and sessions of a proxy in between begin to fail beyond.
SKEW = 60.0
#: Who says which certificates are trusted, strongest first (see `connect_transport`).
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def server_checks(app: App, world: World, python: Python | None) -> Iterator[Check]:
    """None raises. What a failed rung leaves unknown is said to be so."""
    rest = ["reach", "git support", "key", "item"]
    try:
        connect = world.connect(app)
    except Problem as problem:
        yield from SERVER.failed("key" if isinstance(problem, KeyMissing) else "server", problem)
        yield from _unknown(rest, "needs a server and a key")
        return
    yield SERVER.passed("server", f"{connect.url}, by {connect.address.source}")
    yield from _way(connect.address, world.environ)
    try:
        version = connect.settings.get("version")
        yield SERVER.passed("reach", f"Connect {version}" if version else "answers, and hides its version")
        rest.remove("reach")
        yield from _git_support(connect)
        rest.remove("git support")
        yield from _drafts(app, connect)
        user = connect.user()
        verdict = Verdict.PASS if user.may_publish else Verdict.FAIL
        cure = None if user.may_publish else "ask an administrator for the publisher role"
        yield Check(
            group=SERVER.name,
            name="key",
            verdict=verdict,
            detail=f"of {user.name}, {_article(user.role)}",
            hint=cure,
            exit_code=int(not user.may_publish),
        )
        rest.remove("key")
    except Problem as problem:
        yield from SERVER.failed(rest.pop(0), problem)
        yield from _unknown(rest, "not known: what comes before it failed")
        return
    if not user.may_publish or connect.has_git is False:
        yield from _unknown(rest, "needs a publisher's key and git support")
        return
    yield from _clock(connect)
    yield from _pythons(connect, python)
    yield from SERVER.asked("item", lambda: _item(app, world))


def _unknown(names: list[str], why: str) -> Iterator[Check]:
    for name in names:
        yield SERVER.skipped(name, why)


def _article(role: str) -> str:
    return f"{'an' if role[:1] in 'aeiou' else 'a'} {role}"


def _git_support(connect: Connect) -> Iterator[Check]:
    if connect.has_git is False:
        yield from SERVER.failed("git support", git_disabled(connect.url))
    elif connect.has_git is None:
        yield SERVER.warned("git support", "the server does not say whether git-backed content is enabled")
    else:
        yield SERVER.passed("git support", "git-backed content is enabled")


def _drafts(app: App, connect: Connect) -> Iterator[Check]:
    """Without drafts, and with polling, a bad version is live before it is looked at."""
    if drafts_known(connect.version) is False:
        yield SERVER.warned("drafts", f"Connect {connect.version} knows none: a sick version is live for a moment")
    if app.polling:
        yield SERVER.warned("polling", "polling = true: Connect deploys each push by itself, before it is verified")


def _pythons(connect: Connect, python: Python | None) -> Iterator[Check]:
    if python is None:
        return
    try:
        raise_all(list(python_problems(connect, python)))
        versions = connect.python_versions()
    except Problem as problem:
        yield from SERVER.failed("python", problem)
    else:
        yield SERVER.passed("python", ", ".join(versions)) if versions else SERVER.warned("python", "it lists none")


def _item(app: App, world: World) -> str:
    _, server = survey_item(app, world)
    if server.content is None:
        return f'none yet: "{server.wanted_name}" will be made'
    live = f", {server.live_commit[:10]} is live" if server.live_commit else ", nothing is live"
    return f'"{server.content.name}", found by {server.found_by}{live}'


# the way there ----------------------------------------------------------------------------------------------------


def _way(address: ServerAddress, environ: Mapping[str, str]) -> Iterator[Check]:
    """Through which proxy, trusting whose certificates, and who said so."""
    from requests.utils import get_environ_proxies

    scheme = urlsplit(address.url).scheme
    proxies = get_environ_proxies(address.url)
    proxy = proxies.get(scheme) or proxies.get("all")
    if proxy:
        names = [name for name in environ if name.lower() in {f"{scheme}_proxy", "all_proxy"} and environ[name]]
        host = urlsplit(proxy if "://" in proxy else f"//{proxy}")
        yield SERVER.passed(
            "proxy", f"{host.hostname}:{host.port or ''}".rstrip(":") + f", by {names[0] if names else 'the system'}"
        )
    else:
        yield SERVER.passed("proxy", "none")
    if address.insecure:
        yield SERVER.warned("certificates", UNVERIFIED, "rsconnect add --cacert FILE, or CONNECT_CA_CERTIFICATE=FILE")
    elif scheme == "http":
        local = urlsplit(address.url).hostname in {"127.0.0.1", "localhost", "::1"}
        said = "none: http, the key travels in the clear"
        yield (
            SERVER.passed("certificates", "none: http, on this computer")
            if local
            else SERVER.warned("certificates", said, "use the server's https address")
        )
    else:
        yield SERVER.passed("certificates", _trusted(address, environ))


def _trusted(address: ServerAddress, environ: Mapping[str, str]) -> str:
    if address.ca is not None:
        return f"{address.ca}, by CONNECT_CA_CERTIFICATE"
    if address.ca_text is not None:
        return "those saved by rsconnect add --cacert"
    named = next((name for name in _CERTIFICATES if environ.get(name)), None)
    return f"{environ[named]}, by {named}" if named else "the public authorities that come with requests"


def _clock(connect: Connect) -> Iterator[Check]:
    try:
        answer = connect.visit(f"{connect.url}/__api__/server_settings", timeout=30)
    except Problem as problem:
        yield from SERVER.failed("clock", problem)
        return
    said = next((value for name, value in answer.headers.items() if name.lower() == "date"), "")
    try:
        there = email.utils.parsedate_to_datetime(said).replace(tzinfo=timezone.utc).timestamp()
    except (TypeError, ValueError):
        return
    skew = time.time() - there
    if abs(skew) <= SKEW:
        yield SERVER.passed("clock", "agrees with the server's")
    else:
        ahead = "ahead of" if skew > 0 else "behind"
        yield SERVER.warned("clock", f"is {abs(skew):.0f} s {ahead} the server's", "set this computer's clock")
