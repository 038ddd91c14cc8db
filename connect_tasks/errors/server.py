"""7xx: the server."""

from __future__ import annotations

from .problem import Problem


class ServerMissing(Problem):
    """No server in the configuration, in CONNECT_SERVER, or among the saved ones.

    Why: nothing says where to deploy.

    Next: `export CONNECT_SERVER=https://connect.example.com`, or `server = "..."` in `[tool.connect-tasks]`.
    """

    code = "CT700"
    exit_code = 4


class KeyMissing(Problem):
    """CONNECT_API_KEY is not set and no saved server carries a key.

    Why: the key is read from the environment or from rsconnect's store, never from a file of the repository.

    Next: `export CONNECT_API_KEY=...`; keys are made on the server, under your name, API Keys.
    """

    code = "CT701"
    exit_code = 4


class ServerUnreachable(Problem):
    """No answer, or not the whole of one: refused, unknown host, time-out, TLS.

    `passing`: it may be gone in a moment, and the request may have been acted upon; else it never reached the server.

    Why: a wrong address, a proxy, a private certificate authority, or a server that restarts.

    Next: run the same command again; a private authority's certificate goes into CONNECT_CA_CERTIFICATE.
    """

    code = "CT702"

    def __init__(
        self, message: str, *, where: str | None = None, hint: str | None = None, passing: bool = True
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.passing = passing


class KeyRejected(Problem):
    """The server does not accept the key.

    Why: it was revoked or has run out, or it belongs to another server.

    Next: make a new one on the server, then `export CONNECT_API_KEY=...`.
    """

    code = "CT703"


class ServerRefused(Problem):
    """The server answered with an error, or with something that Connect never answers.

    `status` is its HTTP status and `api_code` Connect's own number, where it sent them; `retry_after`: how many seconds
    it asks us to wait.

    Why: its own words are in the message. A page of HTML in place of JSON is a proxy's or a login's.

    Next: run the same command again; what the first run did is found and not done twice.
    """

    code = "CT704"

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        status: int | None = None,
        api_code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status
        self.api_code = api_code
        self.retry_after = retry_after


class RoleTooLow(Problem):
    """The key's owner may not publish, or not change this content item.

    Why: viewers can't publish, and an item belongs to its owner and collaborators.

    Next: ask an administrator for the publisher role, or the owner to add you as a collaborator.
    """

    code = "CT705"


class ContentMissing(Problem):
    """The configured content GUID does not exist on this server.

    Why: it was deleted, or it is the GUID of another server's item.

    Next: correct or remove `guid`; without it the item is found or created.
    """

    code = "CT706"


class ContentNotGitBacked(Problem):
    """The item found holds uploaded bundles; it is not converted silently.

    Why: whoever uploads to it would lose that way of deploying.

    Next: give the app a `content_name` or a `guid` of its own, or link the item to git in the dashboard.
    """

    code = "CT707"


class RepositoryAddressMissing(Problem):
    """Connect clones over http(s), and no such address follows from the remote.

    Why: your remote is an ssh address or a path, which the server can't use.

    Next: `repository = "https://..."` in `[tool.connect-tasks]`: the address that Connect can reach.
    """

    code = "CT708"
    exit_code = 4


class VariableMissing(Problem):
    """A declared environment variable has no value here.

    Why: an empty value would be sent to the server, and the app would start without its database.

    Next: `export NAME=...`, or take the name out of `env`.
    """

    code = "CT709"


class CertificateMissing(Problem):
    """CONNECT_CA_CERTIFICATE names no file.

    Why: without it the server's certificate could not be verified, and verification is not switched off.

    Next: `export CONNECT_CA_CERTIFICATE=/path/to/ca.pem`, or unset it.
    """

    code = "CT710"
    exit_code = 4


class PythonNotOnServer(Problem):
    """No Python of the server satisfies the app.

    Why: Connect picks among the versions that its administrator has installed; the message lists them.

    Next: choose one of those in `.python-version`, or ask the administrator for yours.
    """

    code = "CT711"


class ContentAmbiguous(Problem):
    """Several content items on the server could be the app's.

    Why: they have the same link or the same name; a guess could replace a colleague's app.

    Next: `guid = "..."` of the right one in `[tool.connect-tasks]`.
    """

    code = "CT712"


class GitDisabled(Problem):
    """The server has no git-backed content: its administrator has switched it off, or it is too old.

    Why: this route is all that we deploy by.

    Next: ask the administrator for `[Git] Enabled = true`.
    """

    code = "CT713"
