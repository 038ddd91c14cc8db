"""Which server and which key; saved servers are read as rsconnect-python itself reads them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.configuration import App
from connect_tasks.errors import CertificateMissing, KeyMissing, Problem, ServerMissing
from connect_tasks.secret import Secret
from connect_tasks.server.saved_servers import SavedServer, read_saved_servers, saved_servers_file
from connect_tasks.server.server_address import ServerAddress, find_server

KEY = "abcdefghijklmnop0123456789"
SAVED_KEY = "saved-key-saved-key-12"


def app(server: str | None = None) -> App:
    return App(name="sales", server=server)


@pytest.fixture
def save(tmp_path: Path) -> Any:
    """Saves servers by rsconnect-python itself; returns the environment in which it finds them."""
    from rsconnect.metadata import ServerStore, config_dirname

    environ = {"HOME": str(tmp_path)}
    store = ServerStore(config_dirname(sys.platform, environ))

    def save(name: str, url: str, **more: object) -> dict[str, str]:
        store.set(name, url, **more)
        return environ

    return save


# the URL --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "variable", "url", "source"),
    [
        ("https://a.example.com", "https://b.example.com", "https://a.example.com", "server in pyproject.toml"),
        (None, "https://b.example.com", "https://b.example.com", "CONNECT_SERVER"),
        (None, " http://B.Example.com:3939/rsc/ \n", "http://b.example.com:3939/rsc", "CONNECT_SERVER"),
        (None, "https://b.example.com/__api__", "https://b.example.com", "CONNECT_SERVER"),
        (None, "https://b.example.com/RSC/__api__/", "https://b.example.com/RSC", "CONNECT_SERVER"),
    ],
)
def test_url(configured: str | None, variable: str, url: str, source: str) -> None:
    address = find_server(app(configured), {"CONNECT_SERVER": variable, "CONNECT_API_KEY": KEY})
    assert address == ServerAddress(url=url, key=Secret(KEY), source=source)
    assert KEY not in repr(address)


@pytest.mark.parametrize("environ", [{}, {"CONNECT_SERVER": ""}, {"CONNECT_SERVER": "  "}])
def test_no_server(environ: dict[str, str]) -> None:
    with pytest.raises(ServerMissing, match="neither the configuration nor CONNECT_SERVER names one") as caught:
        find_server(app(), {**environ, "CONNECT_API_KEY": KEY})
    assert "export CONNECT_SERVER=https://" in (caught.value.hint or "")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("https://ada:hunter22@example.com", "must not hold a user name or password"),
        ("ada:hunter22@example.com", "must not hold a user name"),
        ("https://example.com/?key=hunter22", "must not hold a query or fragment"),
        ("https://example.com/connect/#/apps", "must not hold a query or fragment"),
        ("ftp://example.com", "must be an http:// or https:// URL"),
        ("https://example.com:x", "is not a valid URL"),
        ("--help", "must not start with a dash"),
        ("https://exa\x1b[31mmple.com", "must not hold control characters"),
    ],
)
@pytest.mark.parametrize("where", ["server in pyproject.toml", "CONNECT_SERVER"])
def test_a_server_that_is_refused(server: str, message: str, where: str) -> None:
    configured = server if where != "CONNECT_SERVER" else None
    with pytest.raises(ServerMissing) as caught:
        find_server(app(configured), {"CONNECT_SERVER": server, "CONNECT_API_KEY": KEY})
    assert caught.value.message == f"the server {message}" or caught.value.message.startswith(f"the server {message}")
    assert caught.value.where == where
    assert "hunter22" not in f"{caught.value} {caught.value.hint}"


# the key --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", " \n"])
def test_no_key(key: str | None) -> None:
    environ = {} if key is None else {"CONNECT_API_KEY": key}
    with pytest.raises(KeyMissing, match="CONNECT_API_KEY is not set") as caught:
        find_server(app("https://example.com/"), environ)
    assert caught.value.where == "https://example.com"
    assert "export CONNECT_API_KEY=" in (caught.value.hint or "")


@pytest.mark.parametrize("key", ["hunter\n22", "hunter\x0022", "hunt€r22", "hunter\u202e22"])
def test_a_key_that_would_break_a_header(key: str) -> None:
    with pytest.raises(KeyMissing, match="holds characters that no key has") as caught:
        find_server(app("https://example.com"), {"CONNECT_API_KEY": key})
    assert key not in f"{caught.value} {caught.value.hint}"


def test_a_key_with_the_newline_of_a_file() -> None:
    """`export CONNECT_API_KEY="$(cat key)"` strips it, a CI system's secret often keeps it."""
    assert find_server(app("https://example.com"), {"CONNECT_API_KEY": f"{KEY}\r\n"}).key == Secret(KEY)


# saved servers --------------------------------------------------------------------------------------------------------


def test_a_nickname(save: Any) -> None:
    environ = save("prod", "https://connect.example.com/", api_key=SAVED_KEY, ca_data="-----BEGIN...")
    address = find_server(app("prod"), environ)
    assert address == ServerAddress(
        url="https://connect.example.com",
        key=Secret(SAVED_KEY),
        source="server in pyproject.toml, saved as prod",
        ca_text="-----BEGIN...",
    )
    assert find_server(app(), {**environ, "CONNECT_SERVER": "prod"}).url == "https://connect.example.com"
    assert SAVED_KEY not in repr(address)


@pytest.mark.parametrize(
    ("server", "key", "expected"),
    [
        (None, None, SAVED_KEY),
        (None, KEY, KEY),
        ("https://CONNECT.example.com/__api__/", KEY, KEY),
        ("https://other.example.com", KEY, SAVED_KEY),
        ("https://other.example.com", None, SAVED_KEY),
    ],
)
def test_which_key_goes_with_a_nickname(save: Any, server: str | None, key: str | None, expected: str) -> None:
    """CONNECT_API_KEY wins, unless CONNECT_SERVER beside it says that it is another server's."""
    environ = dict(save("prod", "https://connect.example.com", api_key=SAVED_KEY))
    environ |= {"CONNECT_SERVER": server} if server else {}
    environ |= {"CONNECT_API_KEY": key} if key else {}
    assert find_server(app("prod"), environ).key == Secret(expected)


def test_insecure_is_passed_on(save: Any) -> None:
    assert find_server(app("x"), save("x", "https://example.com", api_key=SAVED_KEY, insecure=True)).insecure is True


def test_saved_without_a_key(save: Any) -> None:
    environ = save("shiny", "https://api.shinyapps.io", account_name="a", token="t", secret="hunter22hunter22")
    with pytest.raises(KeyMissing, match="saved as shiny has no API key") as caught:
        find_server(app("shiny"), environ)
    assert "hunter22" not in f"{caught.value} {caught.value.hint}"
    assert find_server(app("shiny"), {**environ, "CONNECT_API_KEY": KEY}).key == Secret(KEY)


@pytest.mark.parametrize(
    ("nickname", "known"),
    [("prd", "; did you mean prod?"), ("zzz", "; saved are: prod, stage"), ("localhost", "; saved")],
)
def test_an_unknown_nickname(save: Any, nickname: str, known: str) -> None:
    save("prod", "https://a.example.com", api_key=SAVED_KEY)
    environ = save("stage", "https://b.example.com", api_key=SAVED_KEY)
    with pytest.raises(ServerMissing) as caught:
        find_server(app(nickname), environ)
    assert caught.value.message.startswith(
        f"the server {nickname} is neither a URL nor the nickname of a saved one{known}"
    )
    assert "write it as https://" in (caught.value.hint or "")


def test_a_saved_url_with_a_password(save: Any) -> None:
    environ = save("prod", "https://ada:hunter22@example.com", api_key=SAVED_KEY)
    with pytest.raises(ServerMissing, match="the URL saved as prod must not hold a user name or password") as caught:
        find_server(app("prod"), environ)
    assert "hunter22" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32", "freebsd13"])
@pytest.mark.parametrize("extra", [{}, {"XDG_CONFIG_HOME": "/xdg"}, {"APPDATA": "/appdata"}, {"XDG_CONFIG_HOME": "/h"}])
def test_the_place_is_rsconnects(platform: str, extra: dict[str, str]) -> None:
    from rsconnect.metadata import config_dirname

    environ = {"HOME": "/h", **extra}
    assert saved_servers_file(environ, platform) == Path(config_dirname(platform, environ)) / "servers.json"


def test_every_entry_is_read_as_rsconnect_reads_it(save: Any) -> None:
    from rsconnect.metadata import ServerStore, config_dirname

    save("a", "https://a.example.com", api_key=SAVED_KEY, insecure=True)
    save("b", "https://b.example.com", api_key=SAVED_KEY, ca_data="PEM")
    environ = save("c", "https://api.shinyapps.io", account_name="x", token="t", secret="s")
    ours = read_saved_servers(environ)
    store = ServerStore(config_dirname(sys.platform, environ))
    assert sorted(ours) == [entry["name"] for entry in store.get_all_servers()]
    for name, server in ours.items():
        theirs = store.resolve(name, None)
        assert server == SavedServer(
            nickname=theirs.name,
            url=theirs.url,
            key=Secret(theirs.api_key) if theirs.api_key else None,
            certificate=theirs.ca_data,
            insecure=bool(theirs.insecure),
        )


def test_reading_changes_nothing(save: Any) -> None:
    environ = save("prod", "https://connect.example.com", api_key=SAVED_KEY)
    file = saved_servers_file(environ)
    assert file is not None
    before = (file.read_bytes(), file.stat().st_mtime_ns, sorted(file.parent.iterdir()))
    find_server(app("prod"), environ)
    assert (file.read_bytes(), file.stat().st_mtime_ns, sorted(file.parent.iterdir())) == before


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "/nonexistent"}, {"HOME": "/dev/null"}])
def test_nothing_saved(environ: dict[str, str]) -> None:
    assert read_saved_servers(environ) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / ".rsconnect-python" / "servers.json"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(ServerMissing, match="the servers saved by rsconnect can't be read") as caught:
        find_server(app("prod"), {"HOME": str(tmp_path)})
    assert caught.value.where == str(file)
    assert find_server(app("https://example.com"), {"HOME": str(tmp_path), "CONNECT_API_KEY": KEY}).url


@pytest.mark.parametrize("entry", [None, 3, [], {}, {"url": 3}, {"url": None, "api_key": "k"}])
def test_an_entry_without_a_url_is_passed_over(tmp_path: Path, entry: object) -> None:
    file = tmp_path / ".rsconnect-python" / "servers.json"
    file.parent.mkdir()
    good = {"name": "good", "url": "https://example.com", "api_key": 3, "ca_cert": 4, "insecure": "yes"}
    file.write_text(json.dumps({"bad": entry, "good": good}))
    assert read_saved_servers({"HOME": str(tmp_path)}) == {
        "good": SavedServer(nickname="good", url="https://example.com")
    }


# the certificate ------------------------------------------------------------------------------------------------------


def test_certificate(tmp_path: Path, save: Any) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    environ = {"CONNECT_API_KEY": KEY, "CONNECT_CA_CERTIFICATE": str(file)}
    assert find_server(app("https://example.com"), environ).ca == file
    saved = save("prod", "https://example.com", api_key=SAVED_KEY, ca_data="PEM")
    address = find_server(app("prod"), {**saved, **environ})
    assert (address.ca, address.ca_text) == (file, None)


def test_no_certificate(tmp_path: Path) -> None:
    environ = {"CONNECT_API_KEY": KEY, "CONNECT_CA_CERTIFICATE": str(tmp_path / "gone.pem")}
    with pytest.raises(CertificateMissing, match="names no file") as caught:
        find_server(app("https://example.com"), environ)
    assert caught.value.where == environ["CONNECT_CA_CERTIFICATE"]
    assert isinstance(caught.value, Problem)
