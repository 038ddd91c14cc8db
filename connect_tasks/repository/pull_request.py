"""A release into a protected branch: a side branch, and the page on which a person opens the pull request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ..configuration import App
from ..errors import PushRaceLost
from .git import Git
from .git_push import step_back
from .push_rounds import PushRounds

_SCP = re.compile(r"^(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>(?!//).+)$")


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """A side branch that waits to be merged. `url` None: the host is not one whose pages we know."""

    branch: str
    commit: str
    url: str | None
    created: bool


def side_branch(app: App, tree: str) -> str:
    """The name of the side branch. It is made from the app's tree, so that a later run finds its own request."""
    return f"connect-tasks/{app.name}-{tree[:8]}"


def push_side_branch(
    git: Git, app: App, branch: str, commit: str, *, timeout: float, verify: bool = True
) -> PullRequest:
    """Push `commit` to a side branch of `app.remote`, to be merged into `branch`; the local branch steps back to the
    commit's parent, so that `git pull --ff-only` works however the request is merged.

    A side branch with the same files is left as it is. Raises PushRejected, RemoteUnreachable.
    """
    tree = git.tree_id(commit, app.path) or ""
    name = side_branch(app, tree)
    web = git.remote_url(app.remote) or ""
    waiting = git.fetch(app.remote, name)
    if waiting is not None and git.tree_id(waiting, app.path) == tree:
        step_back(git, commit)
        return PullRequest(branch=name, commit=waiting, url=pull_request_url(web, name, branch), created=False)

    def remake(tip: str, _left: float) -> str:
        raise PushRaceLost(f"{app.remote} has another {name} at {tip[:10]}", hint=f"git push {app.remote} :{name}")

    rounds = PushRounds(
        git=git, remote=app.remote, branch=name, commit=commit, timeout=timeout, remake=remake, verify=verify
    )
    landed = rounds.run()
    step_back(git, commit)
    url = _url_in(landed.remote_said) or pull_request_url(web, name, branch)
    return PullRequest(branch=name, commit=landed.commit, url=url, created=True)


def pull_request_url(remote_url: str, branch: str, into: str) -> str | None:
    """The page that opens a request for `branch`, by the host's kind; None for an unknown host (pure)."""
    host, path = _place(remote_url)
    source, target = quote(branch, safe=""), quote(into, safe="")
    if "dev.azure.com" in host or "visualstudio.com" in host:
        return f"https://{host}/{path}/pullrequestcreate?sourceRef={source}&targetRef={target}"
    if "bitbucket.org" in host:
        return f"https://{host}/{path}/pull-requests/new?source={source}&dest={target}"
    if "gitlab" in host:
        asked = f"merge_request%5Bsource_branch%5D={source}&merge_request%5Btarget_branch%5D={target}"
        return f"https://{host}/{path}/-/merge_requests/new?{asked}"
    if "github" in host or "gitea" in host or "forgejo" in host or "codeberg" in host:
        return f"https://{host}/{path}/compare/{quote(into)}...{quote(branch)}?expand=1"
    return None


def _place(remote_url: str) -> tuple[str, str]:
    """Host and path of a repository, without user, password, port of ssh, or `.git`."""
    scp = None if "://" in remote_url else _SCP.match(remote_url)
    if scp:
        host, path = scp["host"], scp["path"]
    else:
        parts = urlsplit(remote_url)
        port = f":{parts.port}" if parts.port and parts.scheme in {"http", "https"} else ""
        host, path = (parts.hostname or "") + port, parts.path
    if host == "ssh.dev.azure.com":  # v3/organisation/project/repository
        organisation, project, repository = path.strip("/").split("/")[1:4]
        return "dev.azure.com", f"{organisation}/{project}/_git/{repository}"
    return host, quote(path.strip("/").removesuffix(".git"))


def _url_in(remote_said: str) -> str | None:
    """The page that the host itself offers after a push of a new branch."""
    found = re.search(r"https?://\S+(?:pull|merge_requests|compare)\S*", remote_said)
    return found[0].rstrip(";") if found else None
