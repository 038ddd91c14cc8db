"""An exchange that breaks off: the remote is asked, and the answer is the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connect_tasks.errors import RemoteUnreachable
from connect_tasks.repository.git_push import Pushed, push
from connect_tasks.repository.replay import Replay

from .conftest import Clone
from .http_remote import HttpRemote, http_remote
from .test_generated_commit import commit
from .test_git_push import land

pytestmark = pytest.mark.parametrize("app_path", ["apps/sales"])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[HttpRemote]:
    with http_remote(tmp_path) as server:
        yield server


@pytest.fixture
def over_http(clone_of: Callable[..., Clone], served: HttpRemote) -> Clone:
    return clone_of("clone", url=f"{served.url}/remote.git")


def pushed(clone: Clone, sha: str, timeout: float = 20.0) -> Pushed:
    return push(clone.git, "origin", "main", sha, timeout=timeout, replay=Replay(directory=clone.app.path))


def posts(served: HttpRemote) -> int:
    return sum("POST" in line and "receive-pack" in line for line in served.seen)


def test_an_overloaded_host_is_asked_again(over_http: Clone, served: HttpRemote) -> None:
    served.faults = ["503", "503"]
    sha = commit(over_http).commit
    assert pushed(over_http, sha).commit == sha == over_http.remote_tip()
    assert served.faults == []


def test_a_lost_answer_is_not_pushed_twice(over_http: Clone, served: HttpRemote) -> None:
    served.faults = ["lost"]
    sha = commit(over_http).commit
    result = pushed(over_http, sha)
    assert result.commit == sha == over_http.remote_tip()
    assert "the remote has the commit" in (result.note or "")
    assert served.faults == []
    assert over_http("rev-list", "--count", "origin/main") == "1"


def test_a_lost_answer_with_somebody_elses_commit_on_top_counts(
    over_http: Clone, served: HttpRemote, clone_of: Callable[..., Clone]
) -> None:
    """The remote took ours, the answer was lost, and another push came before we asked."""
    served.faults = ["lost"]
    hook = over_http.remote / "hooks/post-receive"
    hook.write_text(
        "#!/bin/sh\nread old new ref\nexport GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x\n"
        "export GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x\n"
        'git update-ref "$ref" "$(git commit-tree -p "$new" -m theirs "$new^{tree}")"\n'
    )
    hook.chmod(0o755)
    sha = commit(over_http).commit
    result = pushed(over_http, sha)
    assert result.commit == sha
    assert over_http.remote_tip() != sha
    over_http("fetch", "-q")
    assert over_http("merge-base", sha, "origin/main") == sha


def test_a_host_that_says_nothing_is_left_at_the_limit(over_http: Clone, served: HttpRemote) -> None:
    served.faults = ["stall"] * 50
    sha = commit(over_http).commit
    before = over_http.snapshot()
    with pytest.raises(RemoteUnreachable, match=f"pushing {sha[:10]} .* within 1.5 s"):
        pushed(over_http, sha, timeout=1.5)
    assert over_http.snapshot() == before
    served.faults.clear()
    assert pushed(over_http, sha).commit == sha


def test_a_push_taken_by_the_server_after_we_gave_up_is_found_by_the_next_run(over_http: Clone) -> None:
    """A slow hook of the remote: our client is stopped, the remote goes on."""
    hook = over_http.remote / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nsleep 2\n")
    hook.chmod(0o755)
    sha = commit(over_http).commit
    with pytest.raises(RemoteUnreachable):
        pushed(over_http, sha, timeout=1.0)
    hook.unlink()
    assert pushed(over_http, sha).commit == sha == over_http.remote_tip()


def test_a_race_lost_inside_the_server(over_http: Clone, clone_of: Callable[..., Clone], served: HttpRemote) -> None:
    """The branch moves after git compared and before it wrote: the remote then says "failed to update ref"."""
    land(clone_of("other"), "docs/one.md")
    clone_of("third").commit_file("docs/two.md", "x\n")
    hook = over_http.remote / "hooks/pre-receive"
    third = over_http.root.parent / "third"
    hook.write_text(
        "#!/bin/sh\ntest -e once && exit 0; touch once\nunset GIT_DIR GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY"
        f" GIT_ALTERNATE_OBJECT_DIRECTORIES\ncd {third} && git pull -q --rebase && git push -q\n"
    )
    hook.chmod(0o755)
    over_http("pull", "-q", "--ff-only")
    result = pushed(over_http, commit(over_http).commit)
    assert (over_http.remote / "once").exists()
    assert result.replayed_from
    assert result.commit == over_http.remote_tip()
