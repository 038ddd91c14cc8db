"""What a release brings, as git knows it."""

from __future__ import annotations

from connect_tasks.repository.deploy_branch import TRAILER
from connect_tasks.repository.release_notes import NOTHING_NEW, ReleaseNotes, notes_since

from .conftest import Clone


def commit(clone: Clone, path: str, subject: str) -> str:
    (clone.root / path).parent.mkdir(parents=True, exist_ok=True)
    (clone.root / path).write_text(subject)
    clone("add", "--all")
    clone("commit", "--quiet", "-m", subject)
    return clone("rev-parse", "HEAD")


def test_the_commits_of_the_app_since_what_is_live(clone: Clone) -> None:
    live = clone("rev-parse", "HEAD")
    first = commit(clone, clone.full("app.py"), "Sell more")
    commit(clone, clone.full("manifest.json"), "Release sales")  # of a release that came no further
    second = commit(clone, clone.full("new/data.csv"), "With data")
    if clone.app.path != ".":
        commit(clone, "elsewhere/app.py", "Of somebody else")

    notes = notes_since(clone.git, live, clone("rev-parse", "HEAD"), clone.app.path)

    assert notes.since == live
    assert notes.commits == (f"{second[:10]} With data", f"{first[:10]} Sell more")
    assert list(notes.lines(1)) == [f"since {live[:10]}, which is live:", f"* {second[:10]} With data", "* and 1 more"]


def test_a_generated_commit_stands_for_what_it_was_made_of(clone: Clone) -> None:
    source = clone("rev-parse", "HEAD")
    live = clone("commit-tree", "HEAD^{tree}", "-m", f"Release sales\n\n{TRAILER}: {source}")
    head = commit(clone, clone.full("app.py"), "Sell more")

    notes = notes_since(clone.git, live, head, clone.app.path)

    assert notes == ReleaseNotes(since=source, commits=(f"{head[:10]} Sell more",))


def test_nothing_is_said_of_what_is_not_known(clone: Clone) -> None:
    head = clone("rev-parse", "HEAD")
    assert notes_since(clone.git, None, head, clone.app.path) == NOTHING_NEW
    assert notes_since(clone.git, "d" * 40, head, clone.app.path) == NOTHING_NEW  # a shallow clone
    assert list(notes_since(clone.git, head, head, clone.app.path).lines()) == []
