"""Input that means harm: one line with a code, nothing run, nothing outside the repository read, nothing changed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import TABLE, Ran, Workshop

#: What the table says, and what must be said about it.
TABLES = (
    ('path = "../x"', "CT102", "inside the repository"),
    ('path = "/etc"', "CT102", "relative to the repository"),
    ('path = "C:/x"', "CT102", "drive letter"),
    ('path = "a\\nb"', "CT102", "control characters"),
    ('path = "--help"', "CT102", "taken for an option"),
    ('path = ".git"', "CT102", "must not lead into .git"),
    ('path = "out"', "CT205", "holds no file under out"),
    ('path = "loop"', "CT102", "symbolic links"),
    ('shared = ["../x"]', "CT102", "inside the repository"),
    ('branch = "--upload-pack=touch pwned"', "CT102", "taken for an option"),
    ('branch = "a..b"', "CT102", "no valid name for git"),
    ('branch = "\\u001b[31mred"', "CT102", "control characters"),
    ('remote = "--upload-pack=touch pwned"', "CT102", "taken for an option"),
    ('remote = "ext::sh -c touch% pwned"', "CT102", "no valid name for git"),
    ('deploy_branch = "--force"', "CT102", "taken for an option"),
    ('tag = "--delete"', "CT102", "taken for an option"),
    ('tag = "v\\n{number}"', "CT102", "control characters"),
    ('content_name = "../../x"', "CT102", "letters, digits"),
    ('guid = "../../x"', "CT102", "content GUID"),
    ('vanity = "/../__api__/"', "CT102", "such as /sales/"),
    ('title = "\\u001b]0;owned\\u0007"', "CT102", "control characters"),
    ('env = ["A=B"]', "CT102", "a name alone"),
    ('entrypoint = "--help:app"', "CT102", "taken for an option"),
    ('server = "javascript:alert(1)"', "CT700", "neither a URL"),
    ('server = "http://a b/"', "CT102", "not a valid URL"),
    ('python = "../../bin/sh"', "CT102", "a Python version"),
    ('verify = { path = "//evil.example/" }', "CT102", "starts with one '/'"),
    ('verify = { path = "/a\\r\\nX: y" }', "CT102", "must not hold"),
)
ARGUMENTS = (
    (("release", "--target=--upload-pack=touch pwned"), "CT104"),
    (("release", "--target", "a\nb"), "CT104"),
    (("release", "--app", "\x1b[31mred"), "CT103"),
    (("release", "--path=../.."), "CT102"),
    (("plan", "--changed-since=--output=pwned"), "CT100"),
    (("rollback", "--to=--output=pwned"), "CT809"),
)
#: The requirements, what else there is, and what must be said; None: they are fine.
REQUIREMENTS = (
    ("-r more.in\n", {"more.in": "-r requirements.in\n"}, None),
    ("-r ../../etc/passwd\n", {}, r"CT301: .*tracked.*\n +next: copy it into"),
    ("x @ git+ext::sh -c touch% pwned\n", {}, r"CT302: .*Unsupported Git URL.*\n +next: "),
    ("fla\x1b[31msk\n", {}, r"CT302: .*\n +next: "),
    ("nothing-of-this-name-anywhere==1.0 \n" * 100_000, {}, r"CT30\d: .*\n +next: "),
)
HOSTILE = "\x1b[31mred\x1b]0;owned\x07 ::error::told %0A <script>alert(1)</script> | a `b` \u202egnp"
NAMES = (
    "-rf",
    "--upload-pack=x",
    "a\nb.txt",
    "\x1b[31mred.txt",
    "::error::x",
    "<script>.txt",
    "\u202egnp.txt",
    " a ",
    "%0A",
)


def told(ran: Ran, code: str, words: str = "") -> None:
    """One problem, on a line of its own and the next one."""
    assert ran.status not in {0, 2}, ran.said
    lines = [line for line in ran.said.splitlines() if re.search(r"CT\d{3}: ", line)]
    assert len(lines) == 1, ran.said
    assert code in lines[0], ran.said
    assert words in lines[0], ran.said
    assert ran.said.count("next: ") == 1, ran.said
    harmless(ran.said)


def harmless(text: str) -> None:
    assert "Traceback" not in text, text
    assert "CT999" not in text, text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text), ascii(text)


def add_links(workshop: Workshop) -> None:
    """Links that lead out and round."""
    outside = workshop.root.parent / "outside"
    outside.mkdir()
    (outside / "app.py").write_text("secret = 1\n")
    (workshop.root / "out").symlink_to(outside)
    (workshop.root / "loop").symlink_to("loop")
    workshop.commit("links")


def unchanged(workshop: Workshop) -> Callable[[], None]:
    place = workshop.root.parent
    writes, head, around = workshop.writes(), workshop.head, set(place.iterdir())

    def check() -> None:
        assert workshop.writes() == writes
        assert workshop.head == head
        assert set(place.iterdir()) - around <= {workshop.root.parent / "report.json"}
        assert not list(workshop.root.rglob("pwned*"))

    return check


def test_a_table_that_means_harm(workshop: Workshop) -> None:
    add_links(workshop)
    check = unchanged(workshop)
    for line, code, words in TABLES:
        key = line.split(" = ")[0]
        kept = "".join(f"{one}\n" for one in TABLE.splitlines() if not one.startswith(key))
        workshop.write("pyproject.toml", f"{kept}{line}\n")
        told(workshop.run("release", "--allow-dirty"), code, words)
    check()


def test_arguments_that_mean_harm(workshop: Workshop) -> None:
    check = unchanged(workshop)
    for arguments, code in ARGUMENTS:
        told(workshop.run(*arguments), code)
    check()


@pytest.mark.parametrize("text", [f"# {'x' * 50_000_000}\n", "a = " + "[" * 100_000 + "]" * 100_000], ids=len)
def test_a_configuration_without_an_end(workshop: Workshop, text: str) -> None:
    workshop.write("pyproject.toml", TABLE + text)
    told(workshop.run("release"), "CT102")


def test_a_configuration_that_is_no_file(workshop: Workshop) -> None:
    (workshop.root / "pyproject.toml").unlink()
    os.mkfifo(workshop.root / "pyproject.toml")
    told(workshop.run("release"), "CT102", "it is no file")


def test_requirements_that_mean_harm(workshop: Workshop) -> None:
    check = unchanged(workshop)
    for text, more, said in REQUIREMENTS:
        for path, content in {"requirements.in": text, **more}.items():
            workshop.write(path, content)
        workshop.git("add", "--all")
        workshop.git("commit", "--quiet", "--message", "requirements")
        ran = workshop.run("plan")
        harmless(ran.said)
        assert ran.status == (2 if said is None else 1), ran.said
        assert re.search(said or "", ran.said), ran.said
        workshop.git("reset", "--quiet", "--hard", "HEAD^")
    for target in ("requirements.in", "/etc/passwd"):
        (workshop.root / "requirements.in").unlink()
        (workshop.root / "requirements.in").symlink_to(target)
        workshop.git("commit", "--quiet", "--all", "--message", "a link")
        ran = workshop.run("plan")
        assert ran.status == 1, ran.said
        assert "next: " in ran.said, ran.said
        assert "root:" not in ran.said
        workshop.git("reset", "--quiet", "--hard", "HEAD^")
    check()


def test_names_of_files_that_mean_harm(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        (workshop.root / name).write_text("x")
    workshop.commit("names")
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
    harmless(ran.said)
    manifest = json.loads(workshop.git("show", "HEAD:manifest.json"))
    assert set(NAMES) <= set(manifest["files"])
    assert "\x1b" not in "".join(capfd.readouterr())


def test_words_of_others_are_text_wherever_they_are_shown(workshop: Workshop, tmp_path: Path) -> None:
    """What the remote says when it refuses a push: on the terminal, in files, and as a workflow reads it."""
    hook = workshop.bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    (tmp_path / "words").write_text(HOSTILE)
    hook.write_text(f"#!/bin/sh\ncat {tmp_path}/words >&2\nexit 1\n")
    hook.chmod(0o755)
    files = {name: tmp_path / f"told.{name}" for name in ("html", "xml", "summary", "output")}
    workshop.environ |= {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(files["summary"]),
        "GITHUB_OUTPUT": str(files["output"]),
    }
    ran = workshop.run("release", "--html", str(files["html"]), "--junit", str(files["xml"]))
    assert ran.code == "CT601", ran.said
    report = (workshop.root.parent / "report.json").read_text()
    texts = [ran.said, report, *(path.read_text() for path in files.values())]
    for text in texts:
        harmless(text)
    assert sum("red" in text and "told" in text for text in texts) == 5  # else it was not there to be harmed by
    assert "<script>alert" not in "".join(path.read_text() for path in files.values())
    assert not re.search(r"^\s*::error::told", ran.said, re.MULTILINE)
