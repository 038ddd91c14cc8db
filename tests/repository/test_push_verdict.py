"""What git and remotes say, as the product reads it. The texts are real ones."""

from __future__ import annotations

import pytest

from connect_tasks.process import Completed
from connect_tasks.repository.git_messages import named, own_words, unreachable_because
from connect_tasks.repository.push_verdict import Verdict, read_push

REF = "refs/heads/main"
C = "0123456789abcdef0123456789abcdef01234567"


def said(stdout: str, stderr: str = "", status: int = 1) -> Completed:
    return Completed(argv=("git", "push"), status=status, stdout=stdout.encode(), stderr=stderr.encode())


def line(flag: str, summary: str) -> str:
    return f"To /srv/remote.git\n{flag}\t{C}:{REF}\t{summary}\nDone\n"


@pytest.mark.parametrize(
    ("done", "verdict"),
    [
        (said(line(" ", "1234567..89abcde"), status=0), Verdict.LANDED),
        (said(line("*", "[new branch]"), status=0), Verdict.LANDED),
        (said(line("=", "[up to date]"), status=0), Verdict.LANDED),
        (
            said(line(" ", "1234567..89abcde"), "error: update_ref failed for ref 'refs/remotes/origin/main'"),
            Verdict.LANDED,
        ),
        (said(line("!", "[rejected] (fetch first)")), Verdict.RACE_LOST),
        (said(line("!", "[rejected] (non-fast-forward)")), Verdict.RACE_LOST),
        (said(line("!", "[rejected] (stale info)")), Verdict.RACE_LOST),
        (said(line("!", "[remote rejected] (failed to update ref)")), Verdict.RACE_LOST),
        (
            said(line("!", "[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)")),
            Verdict.RACE_LOST,
        ),
        (said(line("!", "[remote rejected] (pre-receive hook declined)")), Verdict.REFUSED),
        (said(line("!", "[remote rejected] (protected branch hook declined)")), Verdict.REFUSED),
        (said(line("!", "[remote failure] (remote failed to report status)")), Verdict.DOUBT),
        (said("", "error: failed to push some refs to 'https://example.org/x.git'"), Verdict.REFUSED),
        (said("", "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502"), Verdict.DOUBT),
        (said("", "fatal: the remote end hung up unexpectedly", 128), Verdict.DOUBT),
        (
            said("", "fatal: unable to access 'https://x/': Failed to connect to x port 443: Connection refused", 128),
            Verdict.DOUBT,
        ),
        (said("", "fatal: unable to access 'https://x/': The requested URL returned error: 403", 128), Verdict.SHUT),
        (said("", "fatal: Authentication failed for 'https://x/'", 128), Verdict.SHUT),
        (said("To x\n \tHEAD:refs/heads/main2\tok\nDone\n", "", 0), Verdict.DOUBT),
    ],
)
def test_verdicts(done: Completed, verdict: Verdict) -> None:
    assert read_push(done, REF).verdict is verdict


def test_the_remotes_words_come_without_its_decoration() -> None:
    stderr = "remote: \x1b[31merror: GH006: Protected branch\x1b[0m     \nremote: \nerror: failed to push\nhint: x\n"
    answer = read_push(said(line("!", "[remote rejected] (protected branch hook declined)"), stderr), REF)
    assert answer.words == "[remote rejected] (protected branch hook declined); error: GH006: Protected branch"


def test_progress_escape_codes_and_credentials_are_no_words() -> None:
    spoken = "Counting: 1%\rCounting: 100%, done.\r\n\x1b]0;title\x07fatal: no https://ci:t0ken@x.org/a.git\n"
    assert own_words(spoken) == "Counting: 100%, done.; fatal: no https://x.org/a.git"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "credential"),
        (
            "remote: Permission to acme/x.git denied to bob. fatal: The requested URL returned error: 403",
            "right to push",
        ),
        ("Host key verification failed.", "ssh-keyscan"),
        ("git@x: Permission denied (publickey).", "ssh-add"),
        ("fatal: '/nowhere.git' does not appear to be a git repository", "git remote set-url origin"),
        ("ssh: Could not resolve hostname x", "git ls-remote origin"),
        ("SSL certificate problem: unable to get local issuer certificate", "http.sslCAInfo"),
    ],
)
def test_what_to_do_about_a_remote_that_is_shut(words: str, hint: str) -> None:
    assert hint in str(unreachable_because("origin", words).hint)


def test_names_in_a_message() -> None:
    assert named(["a", "b\nc", "\x1b[2J"]) == "a, b\\nc, \\x1b[2J"
    assert named([str(number) for number in range(7)]) == "0, 1, 2, 3, 4 and 2 more"
