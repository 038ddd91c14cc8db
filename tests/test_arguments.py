"""The one grammar of arguments, and `python -m connect_tasks` up to the point where a verb begins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from connect_tasks.arguments import Options, parse
from connect_tasks.cli import main
from connect_tasks.errors import UsageWrong
from connect_tasks.verbs import EXIT_CODES, NAMES, VERBS, Verb, verb

from .nox_runs import environment


def run_cli(*arguments: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "connect_tasks", *arguments],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=60,
    )


def parsed(name: str, *arguments: str) -> Options:
    return parse(verb(name), arguments, program="program")


# the grammar ----------------------------------------------------------------------------------------------------------


def test_what_is_not_said_keeps_its_default() -> None:
    verbs = [each for each in VERBS if not any(argument.options.get("required") for argument in each.arguments)]

    assert {parsed(each.name) for each in verbs} == {Options()}
    assert len(verbs) > len(VERBS) / 2


def test_upgrades_are_gathered() -> None:
    assert parsed("freeze", "--upgrade").upgrade == ("",)
    assert parsed("release", "--upgrade", "flask", "--upgrade=jinja2==3.1").upgrade == ("flask", "jinja2==3.1")


def test_a_verb_is_its_own_grammar() -> None:
    assert parsed("check", "--staged", "--path", "app").path == "app"
    assert parsed("serve", "--port", "0").port == 0


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("check", ["--offline"], "unrecognized arguments: --offline"),
        ("check", ["--stage"], "unrecognized arguments: --stage; did you mean --staged?"),
        ("release", ["--forc"], "unrecognized arguments: --forc; did you mean --force?"),
        ("release", ["production"], "unrecognized arguments: production"),
        ("release", ["--target"], "argument --target: expected one argument"),
        ("serve", ["--app", "one"], "unrecognized arguments: --app one"),
        ("serve", ["--port", "http"], "argument --port: invalid port value: 'http'"),
        ("serve", ["--port", "65536"], "argument --port: invalid port value: '65536'"),
        ("deploy", ["--no-test", " "], "argument --no-test: invalid reason value: ' '"),
    ],
)
def test_what_a_verb_does_not_know_is_an_error(name: str, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageWrong) as caught:
        parsed(name, *arguments)

    assert caught.value.message == message
    assert caught.value.hint == "program --help"


@pytest.mark.parametrize("which", VERBS, ids=lambda which: which.name)
def test_a_verb_has_a_deed_and_its_examples_are_right(which: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    import shlex

    module, function = which.deed.split(":")

    assert callable(getattr(import_module(f"connect_tasks.stages.{module}"), function))
    for example in which.examples:
        parse(which, shlex.split(example), program="program")


def test_the_exit_codes_of_the_manual_are_those_of_the_problems() -> None:
    from connect_tasks import errors

    used = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}

    assert used <= set(EXIT_CODES)


def test_a_code_is_explained(tmp_path: Path) -> None:
    done = run_cli("--explain", "ct305", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Next: `nox -s freeze`.\n")


def test_promote_names_its_target_in_one_way_only() -> None:
    assert parsed("promote", "--from", "staging", "--to", "production").target == "production"
    with pytest.raises(UsageWrong, match="--target"):
        parsed("promote", "--from", "staging", "--to", "production", "--target", "production")


# the command line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "what", "next_command"),
    [
        ([], "CT100: a VERB comes first", "python -m connect_tasks --help"),
        (["--json", "-"], "CT100: a VERB comes first", "python -m connect_tasks --help"),
        (["--explain", "CT3"], "CT100: argument --explain: there is no code CT3", "python -m connect_tasks --help"),
        (["relase"], "CT100: there is no verb `relase`; did you mean release?", "python -m connect_tasks --help"),
        (["check", "--bogus"], "CT100: unrecognized arguments: --bogus", "python -m connect_tasks check --help"),
        (
            ["check", "--key=k3y-k3y"],
            "CT100: unrecognized arguments: --key=****",
            "python -m connect_tasks check --help",
        ),
    ],
)
def test_usage_errors_are_one_line_and_the_next_command(
    tmp_path: Path, arguments: list[str], what: str, next_command: str
) -> None:
    done = run_cli(*arguments, cwd=tmp_path, CONNECT_API_KEY="k3y-k3y")

    assert done.returncode == 4
    assert done.stdout == ""
    assert [line.split(maxsplit=1)[1] for line in done.stderr.splitlines()] == [
        what,
        next_command,
    ]  # after `✗`, `next:`


@pytest.mark.parametrize("name", NAMES)
def test_help_is_a_manual(tmp_path: Path, name: str) -> None:
    done = run_cli(name, "--help", cwd=tmp_path, COLUMNS="100")

    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    assert verb(name).summary in text
    assert verb(name).manual in text
    for argument in verb(name).arguments:
        assert all(flag in text for flag in argument.flags)
    assert f"examples: python -m connect_tasks {name}" in text
    assert "CONNECT_API_KEY" in text
    assert "130 interrupted" in text
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_overview_names_every_verb(tmp_path: Path) -> None:
    done = run_cli("--help", cwd=tmp_path)

    assert done.returncode == 0
    for each in VERBS:
        assert f"  {each.name} " in done.stdout
        assert each.summary in done.stdout


def test_version(tmp_path: Path) -> None:
    done = run_cli("--version", cwd=tmp_path)

    assert done.returncode == 0
    assert done.stdout.startswith("connect-tasks ")


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ("no repository", "CT200"),
        ("no configuration", "CT101"),
        ("bad configuration", "CT102"),
        ("unknown app", "CT103"),
        ("unknown target", "CT104"),
    ],
)
def test_what_stops_a_verb_before_it_begins(tmp_path: Path, setting: str, code: str) -> None:
    arguments = {"unknown app": ["--app", "beta"], "unknown target": ["--target", "moon"]}.get(setting, [])
    if setting != "no repository":
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        table = {"no configuration": "", "bad configuration": "[tool.connect-tasks]\npaht = 3\n"}
        (tmp_path / "pyproject.toml").write_text(table.get(setting, "[tool.connect-tasks]\n"))

    done = run_cli("check", *arguments, cwd=tmp_path)

    assert done.returncode == (1 if setting == "no repository" else 4)
    what, following = done.stdout.splitlines()
    assert f" {code}: " in what
    assert following.startswith("     next: ")
    assert done.stderr == ""


# terminals and pipes --------------------------------------------------------------------------------------------------


@pytest.fixture
def stale(tmp_path: Path) -> Path:
    """A repository in which `check` finds differences: exit code 2."""
    (tmp_path / "app.py").write_text("app = None\n")
    (tmp_path / "pyproject.toml").write_text('[tool.connect-tasks]\nmode = "flask"\n')
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "work"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("python -m connect_tasks check >&-", 2),
        ("python -m connect_tasks check >&- 2>&-", 2),
        ("python -m connect_tasks check > /dev/full", 2),
        ("python -m connect_tasks check --json - > /dev/full 2>&1", 2),
        ("python -m connect_tasks check --json - >&-", 2),
        ("(python -m connect_tasks check; echo $? >&2) | true", 2),
        ("(python -m connect_tasks check --help; echo $? >&2) | true", 0),
        ("python -m connect_tasks nonsense >&- 2>&-", 4),
    ],
)
def test_who_hangs_up_does_not_change_the_exit_code(stale: Path, command: str, status: int) -> None:
    done = subprocess.run(["bash", "-c", command], cwd=stale, env=environment(), capture_output=True, text=True)

    told = done.returncode if "|" not in command else int(done.stderr.split()[-1])
    assert told == status
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "changes",
    [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "latin-1"}],
    ids=["C", "ascii", "latin-1"],
)
def test_any_locale_will_do(stale: Path, changes: dict[str, str]) -> None:
    (stale / "größe.txt").write_text("x")
    subprocess.run(["git", "add", "."], cwd=stale, check=True)

    done = subprocess.run(
        [sys.executable, "-m", "connect_tasks", "check"], cwd=stale, env=environment(**changes), capture_output=True
    )

    assert done.returncode == 2
    assert done.stderr == b""
    assert b"CT490" in done.stdout
    if "PYTHONUTF8" in changes or "PYTHONIOENCODING" in changes:
        assert b"XX check" in done.stdout


@pytest.mark.parametrize("spelled", [["--json", "report.json"], ["--json=report.json"]])
def test_a_report_that_is_asked_for_is_written_of_a_usage_error_too(
    spelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["release", *spelled, "--frobnicate"]) == 4
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["verb"], report["result"], report["error"]["code"]) == ("release", "failed", "CT100")
    assert "--frobnicate" in report["error"]["message"]
