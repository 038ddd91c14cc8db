"""Whatever README and documentation tell people to type is at least a command that we know; what can run, runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli
import yaml

from connect_tasks.arguments import command_line, parse
from connect_tasks.configuration import load
from connect_tasks.configuration.app_mode import MODES
from connect_tasks.content.entrypoint import detect
from connect_tasks.emulator.__main__ import _parser as emulator_parser
from connect_tasks.verbs import NAMES, verb

from .pages import ROOT, Snippet, pages, snippets, spans

LANGUAGES = {"sh", "toml", "python", "yaml", "text", "html"}
#: Programs of others that pages may call. Their arguments are theirs; the tutorial's are run.
OTHERS = {
    "git",
    "pip",
    "pipx",
    "uvx",
    "export",
    "mkdir",
    "cd",
    "rm",
    "sed",
    "python3",
    "echo",
    "rsconnect",
    "bash",
    ".",
}
OWN_SESSIONS = set(re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*$")


def place(snippet: Snippet) -> str:
    return snippet.place


def check_command(line: str) -> None:
    """A line of shell: every command of ours in it must parse. Raises what our parser raises."""
    for inner in re.findall(r"\$\(([^()]+)\)", line):
        check_command(inner)
    plain = re.sub(r"\s>>?\s*\S+$", "", re.sub(r"\$\(([^()]+)\)", "X", line.partition("  #")[0]))
    for part in re.split(r"\s+(?:&&|\|\||\|)\s+", plain):
        words = shlex.split(part)
        while words and _ASSIGNMENT.match(words[0]):
            del words[0]
        program = Path(words[0]).name if words else "."
        if program == "nox":
            check_nox(words[1:])
        elif program in {"python", "connect-tasks"} and (program != "python" or words[1:2] == ["-m"]):
            check_module(words[2:] if program == "python" else ["connect_tasks", *words[1:]])
        else:
            assert program in OTHERS, f"what is {program}?"


def check_nox(words: list[str]) -> None:
    ours = words[: words.index("--")] if "--" in words else words
    arguments = words[len(ours) + 1 :]
    if ours[:1] != ["-s"]:
        assert ours in (["-l"], [])
        return
    for name in ours[1:]:
        stem = re.sub(r"^connect_(?=\w)", "", name)
        stem = "release" if stem.startswith("release_") else stem
        if stem in OWN_SESSIONS or name in {"VERB", "NAME"}:
            continue
        accept(lambda stem=stem: parse(verb(stem), arguments, program="nox"))


def check_module(words: list[str]) -> None:
    if words[0] == "connect_tasks.emulator":
        emulator_parser().parse_args(words[1:])
    elif words[1:] and words[1] != "VERB":
        accept(lambda: command_line(words[1:]))


def accept(parsing: Any) -> None:
    """`--help` and its like end with 0."""
    try:
        parsing()
    except SystemExit as ended:
        assert ended.code == 0  # noqa: PT017  # --help and --explain end so


def lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def test_every_fence_has_a_language_that_is_checked() -> None:
    assert {snippet.place for snippet in snippets() if snippet.language not in LANGUAGES} == set()
    assert len(snippets()) > 80


@pytest.mark.parametrize("page", sorted({snippet.page for snippet in snippets("sh")}))
def test_commands_are_commands_of_ours(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    for snippet in snippets("sh"):
        if snippet.page == page:
            for line in lines(snippet.text):
                check_command(line)


def test_so_are_those_in_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those of the errors' pages, which are the docstrings of the code."""
    checked = 0
    for name, text in spans():
        if text.startswith(("nox -s ", "python -m connect_tasks", "connect-tasks ")):
            try:
                check_command(text)
            except Exception as wrong:
                raise AssertionError(f"{name}: `{text}`") from wrong
            checked += 1
    assert checked > 40


@pytest.mark.parametrize("line", ["nox -s relase", "nox -s push -- --staged", "python -m connect_tasks check --bogus"])
def test_a_command_that_is_none_is_noticed(line: str) -> None:
    with pytest.raises((KeyError, Exception), match=r"relase|staged|bogus"):
        check_command(line)


def test_tables_are_read_by_our_own_reader(tmp_path: Path) -> None:
    ours = 0
    for number, snippet in enumerate(snippets("toml")):
        table = tomli.loads(snippet.text)
        if "connect-tasks" not in table.get("tool", {}):
            continue
        root = tmp_path / str(number)
        root.mkdir()
        (root / "pyproject.toml").write_text(snippet.text, encoding="utf-8")
        try:
            config = load(root)
        except Exception as wrong:
            raise AssertionError(snippet.place) from wrong
        assert config.apps, snippet.place
        ours += 1
    assert ours > 60


def test_ci_files_are_shown_not_copied() -> None:
    shown = set(re.findall(r'^--8<-- "([^"]+)"$', (ROOT / "docs/howto/ci.md").read_text(), re.MULTILINE))
    assert shown == {f"examples/ci/{file.name}" for file in (ROOT / "examples" / "ci").iterdir()}


def test_workflows_are_yaml_and_their_commands_parse(capsys: pytest.CaptureFixture[str]) -> None:
    def scripts(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "run":
                    yield value
                elif key in {"script", "before_script"}:
                    yield from value
                else:
                    yield from scripts(value)
        elif isinstance(node, list):
            for each in node:
                yield from scripts(each)

    found = [
        line
        for snippet in snippets("yaml")
        for script in scripts(yaml.safe_load(snippet.text))
        for line in lines(script)
    ]
    assert len(found) > 10
    for line in found:
        check_command(line)


@pytest.mark.parametrize("snippet", snippets("python"), ids=place)
def test_python_compiles(snippet: Snippet) -> None:
    compile(snippet.text, snippet.place, "exec")


@pytest.mark.parametrize(
    "snippet", [each for each in snippets("python") if "connect_tasks.register" in each.text], ids=place
)
def test_noxfiles_are_noxfiles(snippet: Snippet, tmp_path: Path) -> None:
    (tmp_path / "noxfile.py").write_text(snippet.text)
    done = subprocess.run(
        [sys.executable, "-m", "nox", "-l"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NOX_SCRIPT_MODE": "none"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "release" in done.stdout
    assert " * " not in "".join(line for line in done.stdout.splitlines(True) if "release" in line), "a default session"


def test_the_scripts_that_start_a_server_run(tmp_path: Path) -> None:
    """In one process, one after the other; they bring their own assertions."""
    scripts = [each.text for each in snippets("python") if "emulator import running" in each.text and not each.title]
    assert len(scripts) >= 4
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(f"exec({text!r}, {{}})" for text in scripts)],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_fixture_of_the_page_works_as_shown(tmp_path: Path) -> None:
    for snippet in snippets("python"):
        if snippet.page == "docs/emulator.md" and snippet.title:
            (tmp_path / snippet.title).write_text(snippet.text)
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["conftest.py", "test_deploy.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "temp")],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout


def test_what_the_frameworks_page_says_is_detected_is_detected() -> None:
    text = pages()["docs/howto/frameworks.md"]
    sections = re.findall(
        r"^## (?:.*?)\n\nDetected: `([^`]+)`.*?```python title=\"([^\"]+)\"\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    assert len(sections) == 8
    for said, name, source in sections:
        found = detect({name: source})
        assert f"{found.mode.name} {found.entrypoint}" == said
    told = {said.split()[0] for said, _, _ in sections}
    assert {mode.name for mode in MODES if mode.imported} == told


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_verb_is_in_the_readme() -> None:
    text = pages()["README.md"]
    spelled = ("`{}`", "nox -s {}", "connect-tasks {}`")
    assert [name for name in NAMES if not any(each.format(name) in text for each in spelled)] == []


def test_the_map_of_modules_is_whole() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    package = [path for path in (ROOT / "connect_tasks").iterdir() if not path.name.startswith("_")]
    names = [path.name if path.is_file() else f"{path.name}/" for path in package if path.suffix in {"", ".py"}]
    assert len(names) > 25
    assert [name for name in names if f"`{name}`" not in text] == []
    rows = [row.partition(" | ")[0] for row in text.splitlines() if row.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert told <= set(names)
