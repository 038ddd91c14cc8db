"""Every state in which a repository may be found: the release works there, or stops with what repairs it and nothing
has changed."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from connect_tasks import errors
from connect_tasks.configuration import App
from connect_tasks.errors import Problem, raise_all
from connect_tasks.repository.git import Git
from connect_tasks.repository.repository_survey import survey

from .conftest import APP_FILES, GENERATED_FILES, GIT_VERSION, Clone, release
from .conftest import git as run_git
from .http_remote import HttpRemote, http_remote

HOSTILE = (
    "a b.py",
    "quote'\".py",
    "new\nline.py",
    "-dash.py",
    "été.py",
    "tab\there",
    "*.py",
    "[x].py",
    "x" * 200,
    ":(top)",
    "#.py",
    "!.py",
)


@pytest.fixture(params=["file", "http"])
def url(request: pytest.FixtureRequest, remote: Path, tmp_path: Path) -> Iterator[str]:
    """The remote by both of git's ways of talking."""
    run_git("config", "uploadpack.allowFilter", "true", cwd=remote)
    run_git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=remote)
    if request.param == "file":
        yield f"file://{remote}"
        return
    with http_remote(tmp_path) as server:
        yield f"{server.url}/remote.git"


# states in which a release works
# ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """Makes clones of the remote by the transport under test."""

    clone_of: Callable[..., Clone]
    url: str
    remote: Path

    def clone(self, *options: str, name: str = "clone") -> Clone:
        return self.clone_of(name, *options, url=self.url)


def plain(scene: Scene) -> Clone:
    return scene.clone()


def detached_at_the_tip(scene: Scene) -> Clone:
    clone = scene.clone()
    clone("checkout", "-q", "--detach")
    clone("branch", "-q", "-D", "main")
    return clone


def detached_ahead(scene: Scene) -> Clone:
    clone = detached_at_the_tip(scene)
    clone.commit_file("docs/ahead.md", "x\n")
    return clone


def as_ci_checks_out(scene: Scene) -> Clone:
    """Depth 1, no branch, no remote-tracking ref."""
    clone = scene.clone("--no-checkout", "--depth=1")
    clone("checkout", "-q", "--detach", "origin/main")
    clone("branch", "-q", "-D", "main")
    clone("update-ref", "-d", "refs/remotes/origin/main")
    return clone


def shallow(scene: Scene) -> Clone:
    return scene.clone("--depth=1")


def partial(scene: Scene) -> Clone:
    return fetched_in_part(scene, "--filter=blob:none")


def treeless(scene: Scene) -> Clone:
    return fetched_in_part(scene, "--filter=tree:0")


def fetched_in_part(scene: Scene, what: str) -> Clone:
    clone = scene.clone(what, "--no-checkout")
    clone("sparse-checkout", "set", "--cone", "docs")
    clone("checkout", "-q", "main")
    assert "\n?" in clone("rev-list", "--objects", "--missing=print", "HEAD")
    return clone


def sparse_with_the_app(scene: Scene) -> Clone:
    clone = scene.clone("--no-checkout")
    clone("sparse-checkout", "set", "--cone", *([] if clone.app.path == "." else [clone.app.path]))
    clone("checkout", "-q", "main")
    return clone


def sparse_without_the_app(scene: Scene) -> Clone:
    clone = scene.clone("--no-checkout")
    clone("sparse-checkout", "set", "--cone", "docs")
    clone("checkout", "-q", "main")
    return clone


def sparse_index(scene: Scene) -> Clone:
    clone = scene.clone("--no-checkout")
    clone("sparse-checkout", "set", "--cone", "--sparse-index", "docs")
    clone("checkout", "-q", "main")
    return clone


def sparse_by_pattern(scene: Scene) -> Clone:
    """The generated files themselves are left out."""
    clone = scene.clone("--no-checkout")
    clone("sparse-checkout", "set", "--no-cone", "/*", "!requirements.txt", "!manifest.json")
    clone("checkout", "-q", "main")
    return clone


def linked_work_tree(scene: Scene) -> Clone:
    clone = scene.clone("-n", name="main-clone")
    clone("checkout", "-q", "--detach")
    clone("branch", "-f", "main", "HEAD")
    clone("worktree", "add", "-q", "../clone", "main")
    return replace(clone, root=clone.root.parent / "clone")


def no_upstream(scene: Scene) -> Clone:
    clone = scene.clone()
    clone("branch", "--unset-upstream")
    return clone


def several_remotes(scene: Scene) -> Clone:
    clone = scene.clone("--origin", "company")
    clone("remote", "add", "origin", "/nowhere.git")
    return replace(clone, app=replace(clone.app, remote="company"))


def instead_of(scene: Scene) -> Clone:
    clone = scene.clone()
    clone("remote", "set-url", "origin", "company:remote.git")
    clone("config", f"url.{scene.url.removesuffix('remote.git')}.insteadOf", "company:")
    return clone


def push_instead_of(scene: Scene) -> Clone:
    clone = scene.clone()
    clone("remote", "set-url", "--push", "origin", scene.url)
    return clone


def narrow_refspec(scene: Scene) -> Clone:
    clone = scene.clone("--single-branch")
    clone("config", "--unset-all", "remote.origin.fetch")
    return clone


def new_branch_on_the_remote(scene: Scene) -> Clone:
    clone = scene.clone()
    clone("switch", "-qc", "release")
    return replace(clone, app=replace(clone.app, branch="release"))


def the_current_branch(scene: Scene) -> Clone:
    clone = scene.clone()
    return replace(clone, app=replace(clone.app, branch=None))


def hostile_file_names(scene: Scene) -> Clone:
    clone = scene.clone()
    for name in HOSTILE:
        (clone.directory / name).write_text(name)
    clone("add", "-A")
    clone("commit", "-qm", "names")
    return clone


def submodule_beside_the_app(scene: Scene) -> Clone:
    clone = scene.clone()
    clone("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(scene.remote), "vendor")
    clone("commit", "-qm", "submodule")
    clone("config", "submodule.recurse", "true")
    clone("config", "push.recurseSubmodules", "check")
    return clone


def odd_index(scene: Scene) -> Clone:
    clone = scene.clone()
    for key, value in {"core.splitIndex": "true", "index.version": "4", "core.untrackedCache": "true"}.items():
        clone("config", key, value)
    clone("update-index", "--split-index", "--untracked-cache")
    return clone


def bending_configuration(scene: Scene) -> Clone:
    """What people set for their own eyes and hands must not change what we read or push."""
    clone = scene.clone()
    settings = {
        "color.ui": "always",
        "core.pager": "false",
        "core.editor": "false",
        "core.quotePath": "true",
        "core.autocrlf": "true",
        "core.commentChar": "R",
        "commit.verbose": "true",
        "commit.status": "true",
        "commit.cleanup": "scissors",
        "diff.external": "false",
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.renames": "copies",
        "fetch.prune": "true",
        "format.pretty": "fuller",
        "log.decorate": "full",
        "log.showSignature": "true",
        "log.follow": "true",
        "push.default": "nothing",
        "push.followTags": "true",
        "remote.pushDefault": "elsewhere",
        "status.showUntrackedFiles": "no",
        "status.relativePaths": "true",
        "status.branch": "true",
        "alias.commit": "!false",
        "alias.push": "!false",
        "i18n.logOutputEncoding": "utf-16",
        "rerere.enabled": "true",
        "core.logAllRefUpdates": "false",
        "user.useConfigOnly": "true",
    }
    for key, value in settings.items():
        clone("config", key, value)
    clone("config", "commit.template", str(clone.root / "docs/readme.md"))
    return clone


def sha256(scene: Scene) -> Clone:
    """A repository with the other hash; its remote is made anew."""
    clone = scene.clone()
    run_git("init", "-q", "--bare", "-b", "main", "--object-format=sha256", "sha256.git", cwd=scene.remote.parent)
    files = {path: (clone.root / path).read_bytes() for path in clone("ls-files").splitlines()}
    run_git("init", "-q", "-b", "main", "--object-format=sha256", "fresh", cwd=scene.remote.parent)
    fresh = replace(clone, root=scene.remote.parent / "fresh", remote=scene.remote.with_name("sha256.git"))
    fresh("remote", "add", "origin", scene.url.replace("remote.git", "sha256.git"))
    for path, content in files.items():
        (fresh.root / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh.root / path).write_bytes(content)
    fresh("add", "-A")
    fresh("commit", "-qm", "first")
    fresh("push", "-q", "origin", "main")
    return fresh


WORKING = (
    plain,
    detached_at_the_tip,
    detached_ahead,
    as_ci_checks_out,
    shallow,
    partial,
    treeless,
    sparse_with_the_app,
    sparse_without_the_app,
    sparse_index,
    sparse_by_pattern,
    linked_work_tree,
    no_upstream,
    several_remotes,
    instead_of,
    push_instead_of,
    narrow_refspec,
    new_branch_on_the_remote,
    the_current_branch,
    hostile_file_names,
    odd_index,
    bending_configuration,
    sha256,
)


@pytest.mark.parametrize(
    ("app_path", "url"), [(".", "file"), ("apps/sales", "file"), ("apps/sales", "http")], indirect=["url"]
)
@pytest.mark.parametrize("state", WORKING, ids=lambda state: state.__name__)
def test_a_release_works(
    state: Callable[[Scene], Clone], clone_of: Callable[..., Clone], url: str, remote: Path, tmp_path: Path
) -> None:
    released(state(Scene(clone_of, url, remote)), tmp_path)


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_a_submodule_beside_the_app_is_no_concern(
    clone_of: Callable[..., Clone], url: str, remote: Path, tmp_path: Path
) -> None:
    released(submodule_beside_the_app(Scene(clone_of, url, remote)), tmp_path)


def released(clone: Clone, tmp_path: Path) -> None:
    branch = clone.app.branch or "main"
    before = clone("status", "--porcelain=v2", "--untracked-files=all")
    parent = clone("rev-parse", "HEAD")
    result = release(clone)
    assert clone.remote_tip(branch) == result.commit == clone("rev-parse", "HEAD")
    assert clone("rev-parse", "HEAD^") == parent
    assert clone("diff-tree", "-r", "-z", "--no-commit-id", "--name-only", "--no-ext-diff", "HEAD").split("\0")[
        :-1
    ] == sorted(clone.full(path) for path in GENERATED_FILES)
    assert clone("status", "--porcelain=v2", "--untracked-files=all") == before
    for path, content in GENERATED_FILES.items():
        shipped = subprocess.run(
            ["git", "show", f"{branch}:{clone.full(path)}"], cwd=clone.remote, capture_output=True
        ).stdout
        assert shipped == content
    exported(clone, tmp_path / "export", result.commit)
    assert release(clone).commit == result.commit
    assert clone("rev-parse", "HEAD") == result.commit


def exported(clone: Clone, destination: Path, commit: str) -> None:
    """The tree that Connect will see can be read, exported and summed up in this state too."""
    door = clone.git
    tree = door.tree(commit, clone.app.path)
    files = {path: blob for path, blob in tree.items() if blob.mode != "160000"}
    door.export(str(door.tree_id(commit, clone.app.path)), destination, directory=clone.app.path, revision=commit)
    assert {str(path.relative_to(destination)) for path in destination.rglob("*") if path.is_file()} == set(files)
    assert set(door.checksums(blob.oid for blob in files.values())) == {blob.oid for blob in files.values()}


def test_a_bare_repository_with_a_work_tree_beside_it(
    clone_of: Callable[..., Clone], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = clone_of("clone", url=url)
    (clone.root / ".git").rename(tmp_path / "bare.git")
    run_git("config", "core.bare", "true", cwd=tmp_path / "bare.git")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "bare.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(clone.root))
    result = release(clone)
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert clone.remote_tip() == result.commit
    assert (clone.directory / "requirements.txt").read_bytes() == GENERATED_FILES["requirements.txt"]


def test_from_inside_a_git_hook(clone: Clone, tmp_path: Path) -> None:
    """A post-commit hook of the user's that releases: git's variables for hooks are all around us."""
    script = tmp_path / "release.py"
    script.write_text(
        "import os, sys\nfrom pathlib import Path\nfrom tests.repository.conftest import Clone, release\n"
        "from connect_tasks.configuration import App\n"
        "from connect_tasks.configuration.values import TestSettings, VerifySettings\n"
        f"clone = Clone(root=Path({str(clone.root)!r}), remote=Path({str(clone.remote)!r}), app={clone.app!r})\n"
        "assert 'GIT_INDEX_FILE' in os.environ, sorted(os.environ)\n"
        "print(release(clone).commit)\n"
    )
    package = Path(__file__).parents[2]
    clone.hook(
        "post-commit",
        'test -n "$RELEASING" && exit 0; export RELEASING=1\n'
        f'PYTHONPATH={package} "{os.sys.executable}" {script} > {tmp_path}/out 2> {tmp_path}/err',  # type: ignore[attr-defined]
    )
    clone("commit", "-q", "--allow-empty", "-m", "mine")
    assert (tmp_path / "err").read_text() == ""
    assert (tmp_path / "out").read_text().strip() == clone.remote_tip() == clone("rev-parse", "HEAD")
    assert clone("log", "-2", "--format=%s").splitlines() == ["Release sales", "mine"]


@pytest.mark.parametrize("app_path", ['apps/d\'été "1"', "-apps", "a/b/c/d", "apps/*"])
def test_odd_directories_of_an_app(clone: Clone) -> None:
    assert release(clone).commit == clone.remote_tip()


# states in which it stops
# -------------------------------------------------------------------------------------------------


def merging(clone: Clone) -> None:
    clone("switch", "-qc", "side")
    clone.commit_file("docs/readme.md", "side\n")
    clone("switch", "-q", "main")
    clone.commit_file("docs/other.md", "main\n")
    clone("merge", "-q", "--no-commit", "--no-ff", "side")


def conflict(clone: Clone) -> None:
    clone("switch", "-qc", "side")
    clone.commit_file("docs/readme.md", "side\n")
    clone("switch", "-q", "main")
    clone.commit_file("docs/readme.md", "main\n")


def merging_with_conflict(clone: Clone) -> None:
    conflict(clone)
    clone("merge", "-q", "side", check=False)


def rebasing(clone: Clone) -> None:
    conflict(clone)
    clone("rebase", "-q", "side", check=False)


def cherry_picking(clone: Clone) -> None:
    conflict(clone)
    clone("cherry-pick", "side", check=False)


def reverting(clone: Clone) -> None:
    clone.commit_file("docs/readme.md", "1\n")
    clone.commit_file("docs/readme.md", "2\n")
    clone("revert", "--no-edit", "HEAD^", check=False)


def bisecting(clone: Clone) -> None:
    clone.commit_file("docs/readme.md", "1\n")
    clone("bisect", "start")


def unmerged(clone: Clone) -> None:
    clone("stash", "push", "-q", check=False)
    (clone.root / "docs/readme.md").write_text("stashed\n")
    clone("stash", "-q")
    clone.commit_file("docs/readme.md", "committed\n")
    clone("stash", "pop", "-q", check=False)


def applying_mails(clone: Clone) -> None:
    conflict(clone)
    patch = clone("format-patch", "-1", "side", "--stdout")
    (clone.root.parent / "patch").write_text(patch + "\n")
    clone("am", "-q", "../patch", check=False)


def stale_lock(clone: Clone) -> None:
    (clone.root / ".git/index.lock").touch()


def skip_worktree(clone: Clone) -> None:
    clone.commit_file(clone.full("requirements.txt"), "old\n")
    clone("update-index", "--skip-worktree", clone.full("requirements.txt"))


def assume_unchanged(clone: Clone) -> None:
    clone.commit_file(clone.full("manifest.json"), "{}\n")
    clone("update-index", "--assume-unchanged", clone.full("manifest.json"))


def ignored(clone: Clone) -> None:
    clone.commit_file(".gitignore", "*.json\n")


def ignored_beside_the_app(clone: Clone) -> None:
    clone.commit_file(clone.full(".gitignore"), "*.txt\n")


def ignored_directory(clone: Clone) -> None:
    """Below an ignored directory nothing can be taken back in."""
    clone.commit_file(".gitignore", "/apps/\n")


def ignored_by_the_users_own_excludes(clone: Clone) -> None:
    (clone.root / ".git/info/exclude").write_text("requirements.txt\n")


def filtered(clone: Clone) -> None:
    clone.commit_file(".gitattributes", "*.json filter=lfs\n")


def generated_link(clone: Clone) -> None:
    (clone.directory / "requirements.txt").symlink_to("app.py")
    clone("add", "-A")
    clone("commit", "-qm", "link")


def submodule_in_the_app(clone: Clone) -> None:
    args = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(clone.remote), clone.full("vendor"))
    clone(*args)
    clone("commit", "-qm", "submodule")


def lfs_pointer(clone: Clone) -> None:
    clone.commit_file(".gitattributes", "*.bin filter=lfs\n")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    path = clone.directory / "model.bin"
    path.write_text(pointer)
    oid = clone("hash-object", "-w", "--no-filters", clone.full("model.bin"))
    clone("config", "filter.lfs.clean", "cat")
    clone("update-index", "--add", "--cacheinfo", f"100644,{oid},{clone.full('model.bin')}")
    clone("commit", "-qm", "pointer")


def case_clash(clone: Clone) -> None:
    (clone.directory / "Static").mkdir()
    (clone.directory / "Static/style.css").write_text("x\n")
    clone("add", "-A")
    clone("commit", "-qm", "clash")


def accents_clash(clone: Clone) -> None:
    for name in ("caf\u00e9.py", "cafe\u0301.py"):
        (clone.directory / name).write_text("x\n")
    clone("add", "-A")
    clone("commit", "-qm", "clash")


def not_utf8(clone: Clone) -> None:
    Path(os.fsdecode(os.fsencode(clone.directory) + b"/caf\xe9.py")).write_text("x\n")
    clone("add", "-A")
    clone("commit", "-qm", "latin")


def no_identity(clone: Clone) -> None:
    clone("config", "--global", "--remove-section", "user")
    clone("config", "user.useConfigOnly", "true")


def no_remote(clone: Clone) -> None:
    clone("remote", "rename", "origin", "upstream")


def remote_gone(clone: Clone) -> None:
    clone("remote", "set-url", "origin", "/nowhere.git")


def another_branch(clone: Clone) -> None:
    clone("switch", "-qc", "feature")


def detached_behind(clone: Clone) -> None:
    clone.commit_file("docs/x.md", "x\n")
    clone("push", "-q")
    clone("checkout", "-q", "--detach", "HEAD^")


def behind_an_app_that_changed(clone: Clone) -> None:
    clone.commit_file(clone.full("app.py"), "x\n")
    clone("push", "-q")
    clone("reset", "-q", "--hard", "HEAD^")


def parted(clone: Clone) -> None:
    behind_an_app_that_changed(clone)
    clone.commit_file("docs/mine.md", "x\n")


def dirty_unstaged(clone: Clone) -> None:
    (clone.directory / "app.py").write_text("edited\n")


def dirty_staged(clone: Clone) -> None:
    dirty_unstaged(clone)
    clone("add", "-A")


def dirty_deleted(clone: Clone) -> None:
    (clone.directory / "app.py").unlink()


def dirty_mode(clone: Clone) -> None:
    (clone.directory / "app.py").chmod(0o755)


STOPPING = (
    (merging, errors.OperationInProgress, "a merge is in progress", "git merge --abort"),
    (merging_with_conflict, errors.OperationInProgress, "a merge", "git merge --abort"),
    (rebasing, errors.OperationInProgress, "a rebase", "git rebase --abort"),
    (applying_mails, errors.OperationInProgress, "git am", "git am --abort"),
    (cherry_picking, errors.OperationInProgress, "a cherry-pick", "git cherry-pick --abort"),
    (reverting, errors.OperationInProgress, "a revert", "git revert --abort"),
    (bisecting, errors.OperationInProgress, "a bisect", "git bisect reset"),
    (unmerged, errors.OperationInProgress, "unmerged: docs/readme.md", "git add docs/readme.md"),
    (stale_lock, errors.RepositoryLocked, "no running process holds it", "rm {root}/.git/index.lock"),
    (skip_worktree, errors.GeneratedFileHidden, "skip-worktree", "git update-index --no-skip-worktree {requirements}"),
    (
        assume_unchanged,
        errors.GeneratedFileHidden,
        "assume-unchanged",
        "git update-index --no-assume-unchanged {manifest}",
    ),
    (ignored, errors.GeneratedFileHidden, "by the rule '*.json'", "echo '!/{manifest}' >> .gitignore"),
    (ignored_beside_the_app, errors.GeneratedFileHidden, "'*.txt'", "echo '!/requirements.txt' >> {ignore}"),
    (
        ignored_by_the_users_own_excludes,
        errors.GeneratedFileHidden,
        "the rule",
        "echo '!/{requirements}' >> .gitignore",
    ),
    (filtered, errors.GeneratedFileHidden, "filter=lfs", "echo '/{manifest} -filter' >> .gitattributes"),
    (generated_link, errors.GeneratedFileHidden, "symbolic link", "git rm {requirements} && git commit -m 'No link'"),
    (submodule_in_the_app, errors.ContentNotInGit, "submodule vendor", None),
    (lfs_pointer, errors.ContentNotInGit, "model.bin", None),
    (case_clash, errors.NameRefused, "Static/style.css, static/style.css", None),
    (accents_clash, errors.NameRefused, "differ in case or accents", None),
    (not_utf8, errors.NameRefused, "not UTF-8", None),
    (
        no_identity,
        errors.IdentityMissing,
        "who commits",
        'git config user.name "NAME" && git config user.email "EMAIL"',
    ),
    (no_remote, errors.RemoteMissing, "no remote 'origin'", None),
    (remote_gone, errors.RemoteUnreachable, "/nowhere.git", None),
    (another_branch, errors.OnAnotherBranch, "HEAD is on feature, the app is released from main", "git switch main"),
    (detached_behind, errors.OnAnotherBranch, "not at or ahead of", "git switch main && git pull --ff-only"),
    (behind_an_app_that_changed, errors.BehindRemote, "has changed", "git pull --ff-only origin main"),
    (parted, errors.BehindRemote, "have parted", "git pull --rebase origin main"),
    (dirty_unstaged, errors.UncommittedChanges, "app.py", None),
    (dirty_staged, errors.UncommittedChanges, "app.py", None),
    (dirty_deleted, errors.UncommittedChanges, "app.py", None),
    (dirty_mode, errors.UncommittedChanges, "app.py", None),
)


def stopped_by(clone: Clone) -> list[Problem]:
    try:
        release(clone)
    except errors.Problems as several:
        return list(several.problems)
    except Problem as problem:
        return [problem]
    return []


@pytest.mark.parametrize(
    ("state", "kind", "words", "repair"), STOPPING, ids=[state.__name__ for state, _, _, _ in STOPPING]
)
def test_a_release_stops_and_says_what_repairs_it(
    state: Callable[[Clone], None], kind: type[Problem], words: str, repair: str | None, clone: Clone
) -> None:
    state(clone)
    before = clone.snapshot()
    problems = [problem for problem in stopped_by(clone) if isinstance(problem, kind)]
    assert any(words in problem.message for problem in problems), problems
    assert all(problem.hint for problem in problems)
    assert clone.snapshot() == before
    if repair is None:
        return
    repair = repair.format(
        root=clone.root,
        requirements=clone.full("requirements.txt"),
        manifest=clone.full("manifest.json"),
        ignore=clone.full(".gitignore"),
    )
    assert any(repair in str(problem.hint) for problem in problems), [problem.hint for problem in problems]
    command = repair.replace("NAME", "Ada").replace("EMAIL", "ada@example.org")
    subprocess.run(command, shell=True, cwd=clone.root, check=True, capture_output=True)  # noqa: S602  # as typed
    assert not [problem for problem in stopped_by(clone) if isinstance(problem, kind) and words in problem.message]


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_below_an_ignored_directory_the_rule_itself_must_go(clone: Clone) -> None:
    ignored_directory(clone)
    problems = [problem for problem in stopped_by(clone) if isinstance(problem, errors.GeneratedFileHidden)]
    assert [problem.hint for problem in problems] == ["delete line 1 of .gitignore"] * 2
    clone("rm", "-q", ".gitignore")
    clone("commit", "-qm", "mended")
    assert stopped_by(clone) == []


def test_several_problems_are_told_at_once(clone: Clone) -> None:
    bisecting(clone)
    dirty_unstaged(clone)
    ignored(clone)
    no_identity(clone)
    assert {type(problem) for problem in stopped_by(clone)} >= {
        errors.UncommittedChanges,
        errors.GeneratedFileHidden,
        errors.IdentityMissing,
        errors.OperationInProgress,
    }


def test_a_lock_held_by_a_running_process_names_it(clone: Clone) -> None:
    lock = clone.root / ".git/index.lock"
    with lock.open("w") as file, subprocess.Popen(["sleep", "60"], stdout=file) as holder:
        file.close()
        problem = next(problem for problem in stopped_by(clone) if isinstance(problem, errors.RepositoryLocked))
        holder.kill()
    lock.unlink()
    assert f"held by pid {holder.pid} (sleep)" in problem.message
    assert problem.hint == "wait for that program"


@pytest.mark.parametrize("app_path", ["."])
def test_before_the_first_commit(tmp_path: Path, remote: Path) -> None:
    run_git("init", "-q", "-b", "main", "new", cwd=tmp_path)
    run_git("remote", "add", "origin", str(remote), cwd=tmp_path / "new")
    facts = survey(Git.discover(tmp_path / "new", os.environ), App(name="new", branch="main"))
    assert any(isinstance(problem, errors.NoCommits) for problem in facts.problems)


@pytest.mark.skipif(GIT_VERSION < (2, 36), reason="this git does not ask whose a repository is")
@pytest.mark.parametrize("app_path", ["."])
def test_a_repository_of_somebody_else(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    else:
        for path in (clone.root, clone.root / ".git"):
            os.chown(path, 12345, 12345)
    with pytest.raises(errors.RepositoryUntrusted) as told:
        Git.discover(clone.root, os.environ)
    assert told.value.hint == f"git config --global --add safe.directory {clone.root}"
    subprocess.run(shlex.split(told.value.hint), check=True)
    assert Git.discover(clone.root, os.environ).head().branch == "main"


@pytest.mark.parametrize("app_path", ["."])
@pytest.mark.parametrize(
    "settings",
    [
        {"branch": "--upload-pack=touch /tmp/owned"},
        {"branch": "-x"},
        {"branch": "a..b"},
        {"branch": "main:refs/heads/other"},
        {"branch": "with\nnewline"},
        {"deploy_branch": "--force"},
        {"remote": "--upload-pack=touch owned"},
        {"remote": "ext::sh -c touch% owned"},
        {"remote": "../other.git"},
    ],
    ids=str,
)
def test_names_that_would_be_options_or_more(clone: Clone, settings: dict[str, str]) -> None:
    """The configuration refuses them first; the survey does not trust it to."""
    clone = replace(clone, app=replace(clone.app, **settings))
    before = clone.snapshot()
    assert any(isinstance(problem, errors.NameRefused | errors.RemoteMissing) for problem in stopped_by(clone))
    assert clone.snapshot() == before
    assert not (clone.root / "owned").exists()


# authentication
# -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(remote: Path, tmp_path: Path) -> Iterator[HttpRemote]:
    with http_remote(tmp_path) as server:
        server.password, server.readers_too = "s3cret", True
        yield server


@pytest.mark.parametrize("app_path", ["apps/sales"])
@pytest.mark.parametrize("way", ["askpass", "helper", "url", "header"])
def test_the_users_ways_to_authenticate_work(
    way: str, guarded: HttpRemote, clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone("remote", "set-url", "origin", f"{guarded.url}/remote.git")
    extra: dict[str, str] = {}
    if way == "askpass":  # as Jenkins and editors do
        script = tmp_path / "askpass"
        script.write_text('#!/bin/sh\ncase "$1" in User*) echo ci;; *) echo s3cret;; esac\n')
        script.chmod(0o755)
        monkeypatch.setenv("GIT_ASKPASS", str(script))
    elif way == "helper":
        clone("config", "credential.helper", "!f() { echo username=ci; echo password=s3cret; }; f")
    elif way == "url":
        clone("remote", "set-url", "origin", f"{guarded.url.replace('//', '//ci:s3cret@')}/remote.git")
    else:
        extra = {f"http.{guarded.url}/.extraHeader": "Authorization: Basic Y2k6czNjcmV0"}
    result = release(clone, door=Git.discover(clone.root, os.environ, extra))
    assert clone.remote_tip() == result.commit


@pytest.mark.parametrize("app_path", ["apps/sales"])
@pytest.mark.parametrize("password", [None, "wrong"])
def test_no_way_in_is_found_before_anything_is_written(guarded: HttpRemote, clone: Clone, password: str | None) -> None:
    url = f"{guarded.url}/remote.git"
    clone("remote", "set-url", "origin", url.replace("//", f"//ci:{password}@") if password else url)
    before = clone.snapshot()
    problems = stopped_by(clone)
    assert [type(problem) for problem in problems] == [errors.RemoteUnreachable]
    assert "credential" in str(problems[0].hint)
    assert "wrong" not in problems[0].message
    assert clone.snapshot() == before


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_reading_without_the_right_to_push_is_found_before_anything_is_written(
    guarded: HttpRemote, clone: Clone
) -> None:
    guarded.readers_too = False
    clone("remote", "set-url", "origin", f"{guarded.url}/remote.git")
    before = clone.snapshot()
    assert [type(problem) for problem in stopped_by(clone)] == [errors.RemoteUnreachable]
    assert clone.snapshot() == before


def test_the_probe_leaves_the_users_pre_push_hook_alone(clone: Clone) -> None:
    clone.hook("pre-push", "touch ran")
    raise_all(list(survey(clone.git, clone.app).problems))
    assert not (clone.root / "ran").exists()
    assert set(APP_FILES) <= {path.relative_to(clone.directory).as_posix() for path in clone.directory.rglob("*")}
