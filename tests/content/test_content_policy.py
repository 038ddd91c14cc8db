"""Secrets and junk stop the release before the commit, by name; what is meant to be public is allowed by name too."""

from __future__ import annotations

from pathlib import Path

import pytest

from connect_tasks.configuration import App
from connect_tasks.content import content_policy
from connect_tasks.content.content_policy import (
    ContentFindings,
    find_secrets,
    has_secret_name,
    inspect_content,
    is_public_pem,
)

from .repository import commit_all, make_repository, open_git, write_files

Files = dict[str, str | bytes]

#: Put together here, so that no scanner takes this file for a leak.
AWS = "AKIA" + "IOSFODNN7EXAMPLF"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n-----END RSA " + "PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n"


def inspect(root: Path, app: App | None = None, cache: Path | None = None) -> ContentFindings:
    app = app or App(name="shop", path="shop")
    git = open_git(root)
    return inspect_content(app, git.tree("HEAD", app.path), git, cache_directory=cache)


def messages(findings: ContentFindings) -> list[str]:
    return [str(problem) for problem in findings.problems]


@pytest.mark.parametrize(
    "path",
    [
        *(
            ".env",
            "deep/.env",
            ".env.production",
            "prod.env",
            ".ENV",
            "id_rsa",
            "server.pem",
            "server.key",
            "store.p12",
        ),
        *(".netrc", ".pypirc", ".git-credentials", "credentials.json", "client_secret_1.json", "service-account.json"),
        *("service_account_prod.json", ".streamlit/secrets.toml", "deep/.streamlit/secrets.toml", ".aws/credentials"),
    ],
)
def test_names_of_secrets(path: str) -> None:
    assert has_secret_name(path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "app.py",
            ".env.example",
            ".env.sample",
            "env.py",
            "environment.yml",
            "keys.py",
            "secrets.toml",
            "monkey.txt",
        ),
        *("id_rsa.pub", "credentials.py", "docs/pem.md", "template.env.dist", ".gitignore", "keyboard.keys.md"),
    ],
)
def test_names_of_other_things(path: str) -> None:
    assert not has_secret_name(path)


def test_every_kind_of_secret_is_named_with_its_place(tmp_path: Path) -> None:
    files: Files = {
        "shop/.env": "TOKEN=1\n",
        "shop/settings.py": f"DEBUG = True\nKEY = '{AWS}'\n",
        "shop/deploy/push.sh": f"curl -H 'token {GITHUB}'\n",
        "shop/notes.txt": PRIVATE,
        "elsewhere/.env": "TOKEN=2\n",
    }
    findings = inspect(make_repository(tmp_path / "r", files))
    said = messages(findings)

    assert len(said) == 4
    assert "shop/.env is called like a file of secrets" in said[0]
    assert "shop/deploy/push.sh holds what looks like a secret (GitHub Token) (shop/deploy/push.sh:1)" in said[1]
    assert "shop/notes.txt holds what looks like a secret (Private Key) (shop/notes.txt:1)" in said[2]
    assert "shop/settings.py holds what looks like a secret (AWS Access Key) (shop/settings.py:2)" in said[3]


def test_a_file_full_of_secrets_is_one_line(tmp_path: Path) -> None:
    text = f"A = '{AWS}'\nB = 1\nC = '{AWS}'\nD = '{AWS}'\n"
    findings = inspect(make_repository(tmp_path / "r", {"shop/settings.py": text}))

    (said,) = messages(findings)
    assert "(AWS Access Key), also lines 3, 4 (shop/settings.py:1)" in said


def test_a_secret_is_never_printed(tmp_path: Path) -> None:
    findings = inspect(make_repository(tmp_path / "r", {"shop/settings.py": f"KEY = '{AWS}' or '{GITHUB}'\n"}))
    said = "".join(f"{problem} {problem.hint} {problem!r}" for problem in findings.problems)

    assert len(findings.problems) == 2
    assert AWS not in said
    assert GITHUB not in said


def test_ordinary_apps_raise_no_alarm(tmp_path: Path) -> None:
    files: Files = {
        "shop/app.py": "import os\nKEY = os.environ['API_KEY']\nSECRET_KEY = 'dev'\n",
        "shop/README.md": "Set DATABASE_URL=postgresql://user:password@localhost/db and `export TOKEN=...`\n",
        "shop/uv.lock": 'sha256 = "' + "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" + '"\n',
        "shop/logo.png": b"\x89PNG\0" + AWS.encode(),
        "shop/ca.pem": CERTIFICATE,
        "shop/.env.example": "TOKEN=\n",
        "shop/id_rsa.pub": "ssh-rsa AAAAB3NzaC1yc2E\n",
    }
    assert inspect(make_repository(tmp_path / "r", files)) == ContentFindings()


def test_a_pem_file_is_judged_by_what_is_in_it() -> None:
    assert is_public_pem(CERTIFICATE.encode())
    assert not is_public_pem((CERTIFICATE + PRIVATE).encode())
    assert not is_public_pem(b"dummy")


def test_allowing_is_explicit_and_by_path(tmp_path: Path) -> None:
    root = make_repository(
        tmp_path / "r", {"shop/.env": "X=1\n", "shop/tests/key.pem": PRIVATE, "shop/a.py": f"'{AWS}'\n"}
    )
    assert len(inspect(root).problems) == 3

    left = inspect(root, App(name="shop", path="shop", allow=("/.env", "tests/")))
    assert [problem.where for problem in left.problems] == ["shop/a.py:1"]
    assert (
        left.problems[0].hint
        == 'git rm --cached shop/a.py and commit, or allow = ["a.py"] where it is meant to be public'
    )


@pytest.mark.parametrize(
    "content",
    [
        f"KEY = '{AWS}'  # pragma: allowlist secret\n",
        f"# pragma: allowlist nextline secret\nKEY = '{AWS}'\n",
    ],
)
def test_a_line_may_allow_its_own(content: str) -> None:
    assert find_secrets(content.encode()) == ()
    assert find_secrets(content.replace("pragma", "remark").encode()) != ()


def test_files_over_the_limit_are_named_with_their_size(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"shop/data.bin": b"\0" * 2000, "shop/small.bin": b"\0" * 1000})
    (problem,) = inspect(root, App(name="shop", path="shop", max_file_size=1500)).problems

    assert problem.message == "shop/data.bin has 2,000 bytes, more than max_file_size = 1,500"
    assert inspect(root, App(name="shop", path="shop", max_file_size=2000)).problems == ()


def test_what_stays_off_the_server_is_not_asked_about(tmp_path: Path) -> None:
    """Connect takes the whole directory, whatever the manifest lists: only a deploy branch keeps files away."""
    root = make_repository(tmp_path / "r", {"shop/.env": "X=1\n", "shop/app.py": ""})

    assert len(inspect(root, App(name="shop", path="shop", exclude=(".env",))).problems) == 1
    assert inspect(root, App(name="shop", path="shop", exclude=(".env",), deploy_branch="deploy/x")).problems == ()


def test_links_out_of_the_directory_are_worth_a_line(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"shop/app.py": "", "lib/x.py": ""})
    for name, target in {"lib": "../lib", "passwd": "/etc/passwd", "fine": "app.py", "deep": "a/../app.py"}.items():
        (root / "shop" / name).symlink_to(target)
    commit_all(root)
    findings = inspect(root)

    assert findings.problems == ()
    assert [warning.split()[0] for warning in findings.warnings] == ["shop/lib", "shop/passwd"]


def test_clean_files_are_remembered_and_dirty_ones_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = (
        make_repository(tmp_path / "r", {"shop/app.py": "x = 1\n", "shop/bad.py": f"'{AWS}'\n"}),
        tmp_path / "c",
    )
    first = inspect(root, cache=cache)
    scanned: list[bytes] = []
    real = content_policy.find_secrets

    def watched(content: bytes) -> tuple[tuple[int, str], ...]:
        scanned.append(content)
        return real(content)

    monkeypatch.setattr(content_policy, "find_secrets", watched)
    write_files(root, {"shop/new.py": "y = 1\n"})
    commit_all(root)
    again = inspect(root, cache=cache)

    assert messages(first) == messages(again)
    assert sorted(scanned) == [f"'{AWS}'\n".encode(), b"y = 1\n"]


def test_an_app_at_the_root_has_its_own_paths(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {".env": "X=1\n"})
    (problem,) = inspect(root, App(name="shop", path=".")).problems

    assert problem.message == ".env is called like a file of secrets"


def test_names_are_taken_as_they_are(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"shop/a b\n'ü.py": f"'{AWS}'\n", "shop/-x.pem": "x"})

    assert len(inspect(root).problems) == 2
