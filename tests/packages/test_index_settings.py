"""Index settings: first as values, then with uv itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from connect_tasks.errors import ConfigurationInvalid, RequirementRefused, ResolutionFailed
from connect_tasks.packages.index_settings import index_settings
from connect_tasks.packages.pip_configuration import pip_options

from .conftest import Freeze
from .index import Index, serve

NOTHING = {"XDG_CONFIG_DIRS": "/nonexistent", "VIRTUAL_ENV": "/nonexistent"}


def test_nothing_configured_is_nothing_said(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connect_tasks.packages.pip_configuration.COMPUTER", Path("/nonexistent"))
    assert index_settings(NOTHING, app).environment == {"UV_INDEX_STRATEGY": "unsafe-first-match"}


@pytest.mark.parametrize("place", [".pip/pip.conf", ".config/pip/pip.conf"])
def test_pips_user_file(app: Path, private_home: Path, place: str) -> None:
    file = private_home / place
    file.parent.mkdir(parents=True)
    file.write_text(
        "[global]\nindex-url = https://mirror.example/simple\nextra_index_url =\n  https://a.example/simple\n  https://b.example/simple\n"
    )
    said = index_settings({**NOTHING, "HOME": str(private_home)}, app).environment
    assert said["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert said["UV_INDEX"] == "https://a.example/simple https://b.example/simple"
    assert said["UV_INDEX_STRATEGY"] == "unsafe-first-match"


def test_pips_order_is_kept(tmp_path: Path, private_home: Path) -> None:
    """[install] beats [global], a later file an earlier one, a variable everything: what `pip config debug` shows."""
    (private_home / ".config" / "pip").mkdir(parents=True)
    (private_home / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = user-global\ntimeout = 3\n[install]\nindex-url = user-install\n"
    )
    own = tmp_path / "own.conf"
    own.write_text("[global]\nindex-url = own-global\ntimeout = 4\n")
    env = {**NOTHING, "HOME": str(private_home), "PIP_CONFIG_FILE": str(own)}
    assert pip_options(env)["index-url"] == "user-install"
    assert pip_options(env)["timeout"] == "4"
    assert pip_options({**env, "PIP_INDEX_URL": "variable"})["index-url"] == "variable"
    assert "index-url" not in pip_options({**env, "PIP_CONFIG_FILE": os.devnull})


def test_an_unreadable_pip_conf_is_named(tmp_path: Path, app: Path) -> None:
    broken = tmp_path / "pip.conf"
    broken.write_text("index-url = x\n")
    with pytest.raises(ConfigurationInvalid) as caught:
        index_settings({**NOTHING, "PIP_CONFIG_FILE": str(broken)}, app)
    assert caught.value.where == str(broken)


@pytest.mark.parametrize(
    "variable", [{"UV_DEFAULT_INDEX": "https://uv.example/simple"}, {"UV_INDEX_URL": "https://uv.example/simple"}]
)
def test_uvs_own_variable_wins_over_pip(app: Path, variable: dict[str, str]) -> None:
    said = index_settings({**NOTHING, **variable, "PIP_INDEX_URL": "https://pip.example/simple"}, app)
    assert "UV_DEFAULT_INDEX" not in said.environment


def test_uvs_user_file_wins_over_pip_kind_by_kind(app: Path, private_home: Path) -> None:
    """A uv.toml with one extra index must not send the company's other packages to the public index."""
    (private_home / ".config" / "uv").mkdir(parents=True)
    (private_home / ".config" / "uv" / "uv.toml").write_text(
        '[[index]]\nname = "torch"\nurl = "https://torch.example/whl"\n'
    )
    env = {
        **NOTHING,
        "HOME": str(private_home),
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://x.example/simple",
    }
    said = index_settings(env, app).environment
    assert said["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert "UV_INDEX" not in said


def test_a_strategy_that_someone_chose_stays(app: Path, private_home: Path) -> None:
    assert "UV_INDEX_STRATEGY" not in index_settings({**NOTHING, "UV_INDEX_STRATEGY": "first-index"}, app).environment
    (private_home / ".config" / "uv").mkdir(parents=True)
    (private_home / ".config" / "uv" / "uv.toml").write_text('index-strategy = "first-index"\n')
    assert "UV_INDEX_STRATEGY" not in index_settings({**NOTHING, "HOME": str(private_home)}, app).environment


def test_uv_settings_above_the_app_are_inherited_up_to_the_repository(tmp_path: Path, app: Path) -> None:
    inner = app / "apps" / "sales"
    inner.mkdir(parents=True)
    (app / ".git").mkdir()
    (app / "uv.toml").write_text(
        'find-links = ["wheels"]\n[[index]]\nurl = "https://root.example/simple"\ndefault = true\n'
    )
    (tmp_path / "uv.toml").write_text('index-url = "https://outside.example/simple"\n')
    said = index_settings({**NOTHING, "PIP_INDEX_URL": "https://pip.example/simple"}, inner).environment
    assert said["UV_DEFAULT_INDEX"] == "https://root.example/simple"
    assert said["UV_FIND_LINKS"] == str(app / "wheels")
    (app / "uv.toml").unlink()
    assert (
        index_settings({**NOTHING, "PIP_INDEX_URL": "https://pip.example/simple"}, inner).environment[
            "UV_DEFAULT_INDEX"
        ]
        == "https://pip.example/simple"
    )


def test_the_rest_of_pips_network_settings(app: Path) -> None:
    env = {
        **NOTHING,
        "PIP_CERT": "/ca.pem",
        "PIP_TRUSTED_HOST": "a.example b.example",
        "PIP_PROXY": "proxy.example:3128",
        "PIP_TIMEOUT": "7",
    }
    said = index_settings(env, app).environment
    assert said["SSL_CERT_FILE"] == "/ca.pem"
    assert said["UV_INSECURE_HOST"] == "a.example b.example"
    assert said["ALL_PROXY"] == "http://proxy.example:3128"
    assert said["UV_HTTP_TIMEOUT"] == "7"
    assert "SSL_CERT_FILE" not in index_settings({**env, "SSL_CERT_FILE": "/mine.pem"}, app).environment


def test_no_secret_in_the_repr(app: Path) -> None:
    settings = index_settings({**NOTHING, "PIP_INDEX_URL": "https://user:hunter22@mirror.example/simple"}, app)
    assert "hunter22" in settings.environment["UV_DEFAULT_INDEX"]
    assert "hunter22" not in repr(settings)


def closed_port() -> str:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/simple"


def test_a_pip_conf_with_a_closed_port_makes_freeze_fail(app: Path, freeze: Freeze, private_home: Path) -> None:
    """The trap of uv: it ignores pip's file and would take the packages from the public index."""
    (private_home / ".config" / "pip").mkdir(parents=True)
    (private_home / ".config" / "pip" / "pip.conf").write_text(f"[global]\nindex-url = {closed_port()}\n")
    (app / "requirements.in").write_text("flask\n")
    with pytest.raises(ResolutionFailed, match=r"127\.0\.0\.1") as caught:
        freeze(environ={"PIP_INDEX_URL": "", "PIP_CONFIG_FILE": ""})
    assert set(re.findall(r"https?://([^:/)]+)", str(caught.value))) == {"127.0.0.1"}


def test_also_with_pins_that_another_index_gave(app: Path, freeze: Freeze) -> None:
    (app / "requirements.in").write_text("core\n")
    freeze()
    with pytest.raises(ResolutionFailed):
        freeze(environ={"PIP_INDEX_URL": closed_port()})


def test_a_password_reaches_the_index_and_nothing_else(app: Path, freeze: Freeze, index: Index, tmp_path: Path) -> None:
    index.password = "hunter22"
    (app / "requirements.in").write_text("web\n")
    frozen = freeze(environ={"PIP_INDEX_URL": index.authenticated()})
    assert frozen.text.decode().splitlines()[1:] == ["core==1.1", "web==1.0"]
    assert "hunter22" not in repr(frozen)
    written = [path for path in (tmp_path / "scratch-0").rglob("*") if path.is_file()]
    assert not [path for path in written if b"hunter22" in path.read_bytes()]


def test_a_wrong_password_is_an_error_without_it(app: Path, freeze: Freeze, index: Index) -> None:
    index.password = "right-one"
    (app / "requirements.in").write_text("web\n")
    with pytest.raises(ResolutionFailed) as caught:
        freeze(environ={"PIP_INDEX_URL": index.authenticated().replace("right-one", "hunter22")})
    assert "hunter22" not in f"{caught.value}{caught.value.hint}"


def test_an_index_that_the_app_declares_wins_and_is_recorded(app: Path, freeze: Freeze) -> None:
    with serve(Index()) as own:
        own.publish("special", "1.0")
        (app / "requirements.in").write_text(f"--index-url {own.url}\nspecial\n")
        assert freeze().text.decode().splitlines()[1:] == [f"--index-url {own.url}", "special==1.0"]


def test_an_index_in_pyproject_is_recorded_without_credentials(app: Path, freeze: Freeze, index: Index) -> None:
    index.password = "hunter22"
    (app / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "0"\ndependencies = ["core"]\n'
        f'[[tool.uv.index]]\nname = "ours"\nurl = "{index.url}"\ndefault = true\n'
    )
    frozen = freeze(environ={"UV_INDEX_OURS_USERNAME": "reader", "UV_INDEX_OURS_PASSWORD": "hunter22"})
    assert frozen.text.decode().splitlines()[1:] == [f"--index-url {index.url}", "core==1.1"]
    (app / "pyproject.toml").write_text((app / "pyproject.toml").read_text().replace(index.url, index.authenticated()))
    with pytest.raises(RequirementRefused, match="credentials") as caught:
        freeze()
    assert caught.value.where == "pyproject.toml:7"
    assert "hunter22" not in str(caught.value)


def test_a_private_name_is_not_taken_from_the_public_index(app: Path, freeze: Freeze, index: Index) -> None:
    """Dependency confusion: a stranger publishes our private name with a higher version."""
    with serve(Index()) as private:
        private.publish("company-auth", "1.0")
        index.publish("company-auth", "99.0")
        (app / "requirements.in").write_text("web\ncompany-auth\n")
        frozen = freeze(environ={"PIP_EXTRA_INDEX_URL": private.url})
        assert "company-auth==1.0" in frozen.text.decode()
        (note,) = frozen.notes
        assert note.startswith(f"company-auth: from {private.url}, a further index of this computer")


def test_a_further_index_without_a_fitting_release_is_passed_over(app: Path, freeze: Freeze, index: Index) -> None:
    with serve(Index()) as extra:
        extra.publish("core", "3.0", tag="cp27-cp27m-win32")
        (app / "requirements.in").write_text("core\n")
        assert freeze(environ={"PIP_EXTRA_INDEX_URL": extra.url}).text.endswith(b"core==1.1\n")
        (app / "requirements.in").write_text(f"--extra-index-url {extra.url}\ncore>=1\n")
        assert freeze().text.endswith(b"core==1.1\n")


def test_offline_from_the_cache(app: Path, freeze: Freeze, index: Index) -> None:
    (app / "requirements.in").write_text("web\n")
    first = freeze()
    (app / "requirements.txt").unlink()
    index.asked.clear()
    assert freeze(offline=True).text == first.text
    assert index.asked == []


def test_offline_names_what_is_missing(app: Path, freeze: Freeze, index: Index) -> None:
    (app / "requirements.in").write_text("web\n")
    with pytest.raises(ResolutionFailed, match="web") as caught:
        freeze(offline=True)
    assert "network" in str(caught.value.hint)
    assert index.asked == []


def test_a_wheelhouse_alone(app: Path, freeze: Freeze, index: Index, tmp_path: Path) -> None:
    index.save_to(tmp_path / "wheels")
    (app / "requirements.in").write_text("web\n")
    env = {"PIP_INDEX_URL": "", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    frozen = freeze(environ=env)
    assert frozen.text.decode().splitlines()[1:] == ["core==1.1", "web==1.0"]
    assert index.asked == []
    (app / "requirements.in").write_text("web\nabsent\n")
    with pytest.raises(ResolutionFailed, match="absent"):
        freeze(environ=env, offline=True)


def test_a_wheelhouse_in_the_repository_by_a_relative_name(app: Path, freeze: Freeze, index: Index) -> None:
    index.save_to(app / "wheels")
    (app / "requirements.in").write_text("web\n")
    frozen = freeze(environ={"PIP_INDEX_URL": "", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels"})
    assert frozen.text.decode().splitlines()[1:] == ["core==1.1", "web==1.0"]


def test_a_wheelhouse_that_the_app_declares(app: Path, freeze: Freeze, index: Index) -> None:
    index.save_to(app / "wheels")
    (app / "requirements.in").write_text("--no-index\n--find-links ./wheels\nweb\n")
    assert freeze().text.decode().splitlines()[1:] == ["--no-index", "--find-links ./wheels", "core==1.1", "web==1.0"]
    assert index.asked == []
