"""The commit of the generated files: only them, by the user's hooks and signer, and nothing of the user's work
moves."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from connect_tasks.errors import CommitFailed, HookRewrote
from connect_tasks.repository.generated_commit import Committed, commit_generated

from .conftest import GENERATED_FILES, Clone


def commit(clone: Clone, files: dict[str, bytes] = GENERATED_FILES, **options: float) -> Committed:
    return commit_generated(
        clone.git, clone.app, files, "Release sales\n", expect_tree=clone.tree_with(files), **options
    )  # type: ignore[arg-type]


def users_work(clone: Clone) -> None:
    """Staged, unstaged, both at once, `add -N` and untracked work, beside the app and in it."""
    clone.commit_file("docs/both.md", "1\n")
    (clone.root / "docs/readme.md").write_text("# Docs, edited\n")
    (clone.root / "docs/staged.md").write_text("staged\n")
    clone("add", "docs/staged.md")
    (clone.root / "docs/both.md").write_text("2\n")
    clone("add", "docs/both.md")
    (clone.root / "docs/both.md").write_text("3\n")
    (clone.root / "docs/intended.md").write_text("intended\n")
    clone("add", "-N", "docs/intended.md")
    (clone.root / "docs/untracked.md").write_text("untracked\n")
    (clone.directory / "app.py").write_text("app = 2\n")
    clone("add", clone.full("app.py"))


def changed_by(clone: Clone, revision: str) -> set[str]:
    return set(clone("diff-tree", "-r", "--no-commit-id", "--name-only", revision).splitlines())


def test_only_generated_files_are_committed_and_work_in_progress_stays(clone: Clone) -> None:
    users_work(clone)
    before = clone.snapshot()
    made = commit(clone)
    after = clone.snapshot()
    ours = {clone.full(path) for path in GENERATED_FILES}
    assert made.created
    assert made.commit == clone("rev-parse", "HEAD")
    assert clone("log", "-1", "--format=%s %an") == "Release sales Ada Tester"
    assert changed_by(clone, "HEAD") == ours
    assert (after.status, after.diff, after.staged) == (before.status, before.diff, before.staged)
    assert [line for line in after.index.splitlines() if line.split("\t")[1] not in ours] == before.index.splitlines()
    assert {path: digest for path, digest in after.files.items() if path not in ours} == before.files
    assert not list(clone.root.glob(".git/connect-tasks/commit-*"))


def test_a_second_commit_of_the_same_files_is_none(clone: Clone) -> None:
    first = commit(clone)
    before = clone.snapshot()
    assert commit(clone) == Committed(commit=first.commit, created=False)
    assert clone.snapshot() == before


def test_a_tree_that_was_not_tested_is_not_committed(clone: Clone) -> None:
    tested = clone.tree_with(GENERATED_FILES)
    clone.commit_file(clone.full("app.py"), "app = 3\n")
    before = clone.snapshot()
    with pytest.raises(CommitFailed, match="HEAD moved"):
        commit_generated(clone.git, clone.app, GENERATED_FILES, "m", expect_tree=tested)
    assert clone.snapshot() == before


def test_every_hook_runs_and_the_users_index_is_not_locked_meanwhile(clone: Clone) -> None:
    for name in ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"):
        clone.hook(
            name,
            'ran="$(git rev-parse --git-dir)/ran"\n'
            f'test -e "$(git rev-parse --git-dir)/index.lock" && echo locked >> "$ran"; echo {name} >> "$ran"',
        )
    commit(clone)
    assert (clone.root / ".git/ran").read_text().split() == [
        "pre-commit",
        "prepare-commit-msg",
        "commit-msg",
        "post-commit",
    ]


def test_the_message_is_what_commit_msg_made_of_it(clone: Clone) -> None:
    clone.hook("commit-msg", 'echo "Change-Id: I1234" >> "$1"')
    commit(clone)
    assert "Change-Id: I1234" in clone("log", "-1", "--format=%B")


def test_a_failing_hook_leaves_everything_as_it_was(clone: Clone) -> None:
    users_work(clone)
    clone.hook("pre-commit", "echo no commits on Fridays >&2; exit 1")
    before = clone.snapshot()
    with pytest.raises(CommitFailed, match="no commits on Fridays"):
        commit(clone)
    assert clone.snapshot() == before


def test_a_hook_that_rewrites_and_adds_is_told_and_undone(clone: Clone) -> None:
    path = clone.full("requirements.txt")
    clone.hook("pre-commit", f"echo '# sorted' >> {path}; git add {path}")
    before = clone.snapshot()
    with pytest.raises(HookRewrote) as told:
        commit(clone)
    assert told.value.contents == {"requirements.txt": b"flask==3.0.0\n# sorted\n"}
    assert clone.snapshot() == before
    rendered = {**GENERATED_FILES, **told.value.contents, "manifest.json": b'{"version": 2}\n'}
    clone.hook("pre-commit", f"grep -q sorted {path} || exit 1")
    assert commit(clone, rendered).created


def test_a_hook_that_mends_and_fails_is_told(clone: Clone) -> None:
    """As pre-commit's fixers do: the file is changed in the work tree, the commit fails."""
    path = clone.full("requirements.txt")
    clone.hook("pre-commit", f"grep -q mended {path} && exit 0; echo '# mended' >> {path}; exit 1")
    before = clone.snapshot()
    with pytest.raises(HookRewrote) as told:
        commit(clone)
    assert clone.snapshot() == before
    assert commit(clone, {**GENERATED_FILES, **told.value.contents}).created


def test_a_hook_that_rewrites_without_adding_is_named(clone: Clone) -> None:
    clone.hook("post-commit", f"echo '# late' >> {clone.full('requirements.txt')}")
    assert commit(clone).left_changed == ("requirements.txt",)


def test_a_hook_with_a_background_child_does_not_hold_us(clone: Clone) -> None:
    clone.hook("post-commit", 'sleep 30 & echo $! > "$(git rev-parse --git-dir)/child"')
    started = time.monotonic()
    try:
        commit(clone)
        assert time.monotonic() - started < 25  # the child sleeps 30
    finally:
        subprocess.run(["kill", (clone.root / ".git/child").read_text().strip()], check=True)


def test_a_commit_of_the_users_during_the_hook_wins(clone: Clone) -> None:
    clone.hook(
        "pre-commit",
        "test -e .git/once && exit 0; touch .git/once; unset GIT_INDEX_FILE\n"
        "echo x > docs/new.md; git add docs/new.md; git commit -qm theirs",
    )
    with pytest.raises(CommitFailed, match="commit was made while"):
        commit(clone)
    assert clone("log", "-1", "--format=%s") == "theirs"
    assert changed_by(clone, "HEAD") == {"docs/new.md"}
    assert not clone.directory.joinpath("requirements.txt").exists()
    assert commit(clone).created


def test_a_commit_of_the_users_before_git_looks_at_head_is_not_taken_back(clone: Clone) -> None:
    """Between our read-tree and git's own look at HEAD: our commit would sit on theirs with the older tree."""
    clone.hook(
        "post-index-change",
        'case "$GIT_INDEX_FILE" in */connect-tasks/commit-*) test -e .git/once && exit 0; touch .git/once;'
        ' env -u GIT_INDEX_FILE sh -c "echo x > docs/new.md; git add docs/new.md; git commit -qm theirs";; esac',
    )
    with pytest.raises(CommitFailed, match="while we prepared ours"):
        commit(clone)
    assert (clone.root / ".git/once").exists()
    assert clone("log", "-1", "--format=%s") == "theirs"
    assert clone("status", "--porcelain") == ""


def test_a_commit_of_the_users_on_top_of_ours_stays(clone: Clone) -> None:
    clone.hook(
        "post-commit",
        "test -e .git/once && exit 0; touch .git/once; unset GIT_INDEX_FILE\ngit commit -q --allow-empty -m theirs",
    )
    made = commit(clone)
    assert clone("log", "-2", "--format=%s").splitlines() == ["theirs", "Release sales"]
    assert made.commit == clone("rev-parse", "HEAD^")
    assert clone.git.tree_id(made.commit, clone.app.path) == clone.tree_with(GENERATED_FILES)


def test_a_hook_that_amends_our_commit_is_followed(clone: Clone) -> None:
    clone.hook("post-commit", 'test -e .git/once && exit 0; touch .git/once; git commit -q --amend -m "Amended"')
    made = commit(clone)
    assert made.commit == clone("rev-parse", "HEAD")
    assert clone("log", "-1", "--format=%s") == "Amended"
    assert clone("status", "--porcelain") == ""


def test_a_hook_that_changes_another_file_of_the_app_is_undone(clone: Clone) -> None:
    path = clone.full("app.py")
    clone.hook("pre-commit", f"echo '# formatted' >> {path}; git add {path}")
    head = clone("rev-parse", "HEAD")
    with pytest.raises(CommitFailed, match=rf"tested as they were: {re.escape(path)}"):
        commit(clone)
    assert clone("rev-parse", "HEAD") == head
