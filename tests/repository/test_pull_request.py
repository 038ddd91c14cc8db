"""A protected branch: the commit goes to a side branch, and a person opens the request."""

from __future__ import annotations

import pytest

from connect_tasks.repository.pull_request import pull_request_url, push_side_branch

from .conftest import Clone
from .conftest import git as run_git
from .test_generated_commit import commit

GITLAB_QUESTION = "merge_request%5Bsource_branch%5D=connect-tasks%2Fs-1&merge_request%5Btarget_branch%5D=main"


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        (
            "https://github.com/acme/sales.git",
            "https://github.com/acme/sales/compare/main...connect-tasks/s-1?expand=1",
        ),
        ("git@github.com:acme/sales.git", "https://github.com/acme/sales/compare/main...connect-tasks/s-1?expand=1"),
        (
            "ssh://git@github.com:22/acme/sales",
            "https://github.com/acme/sales/compare/main...connect-tasks/s-1?expand=1",
        ),
        (
            "https://user:token@gitlab.example.com:8443/group/sub/sales.git",
            "https://gitlab.example.com:8443/group/sub/sales/-/merge_requests/new?" + GITLAB_QUESTION,
        ),
        (
            "git@bitbucket.org:acme/sales.git",
            "https://bitbucket.org/acme/sales/pull-requests/new?source=connect-tasks%2Fs-1&dest=main",
        ),
        (
            "git@ssh.dev.azure.com:v3/acme/shop/sales",
            "https://dev.azure.com/acme/shop/_git/sales/pullrequestcreate?sourceRef=connect-tasks%2Fs-1&targetRef=main",
        ),
        ("https://git.example.org/acme/sales.git", None),
        ("/srv/git/sales.git", None),
    ],
)
def test_the_page_that_opens_a_request(remote: str, page: str | None) -> None:
    assert pull_request_url(remote, "connect-tasks/s-1", "main") == page


def test_a_side_branch_waits_and_the_users_branch_steps_back(clone: Clone) -> None:
    hook = clone.remote / "hooks/update"
    hook.write_text('#!/bin/sh\ntest "$1" = refs/heads/main && echo "GH006: Protected branch" >&2 && exit 1\nexit 0\n')
    hook.chmod(0o755)
    parent, main = clone("rev-parse", "HEAD"), clone.remote_tip()
    sha = commit(clone).commit
    request = push_side_branch(clone.git, clone.app, "main", sha, timeout=20)
    assert request.created
    assert request.branch == f"connect-tasks/sales-{(clone.git.tree_id(sha, clone.app.path) or '')[:8]}"
    assert clone.remote_tip(request.branch) == sha
    assert clone.remote_tip() == main
    assert clone("rev-parse", "HEAD") == parent

    again = push_side_branch(clone.git, clone.app, "main", commit(clone).commit, timeout=20)
    assert (again.created, again.commit, again.branch) == (False, sha, request.branch)

    hook.unlink()  # the host merges it, squashed
    run_git("update-ref", "refs/heads/main", squashed(clone, sha), cwd=clone.remote)
    clone("pull", "-q", "--ff-only")
    assert clone("status", "--porcelain") == ""


def squashed(clone: Clone, sha: str) -> str:
    args = ("commit-tree", "-p", f"{sha}^", "-m", "Release sales (#1)", f"{sha}^{{tree}}")
    return run_git(*args, cwd=clone.remote)


def test_the_page_that_the_host_itself_offers_is_taken(clone: Clone) -> None:
    hook = clone.remote / "hooks/post-receive"
    hook.write_text(
        "#!/bin/sh\necho\necho 'To create a merge request for x, visit:'\n"
        "echo '  https://git.example.org/acme/sales/-/merge_requests/new?source=x'\n"
    )
    hook.chmod(0o755)
    request = push_side_branch(clone.git, clone.app, "main", commit(clone).commit, timeout=20)
    assert request.url == "https://git.example.org/acme/sales/-/merge_requests/new?source=x"
