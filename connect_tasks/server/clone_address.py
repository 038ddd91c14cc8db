"""The address from which Connect clones: http(s), without credentials. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from ..errors import RepositoryAddressMissing

_SCP_LIKE = re.compile(r"^(?:[^/@\s]+@)?(?P<host>[^/:\s]{2,}):(?!//)(?P<path>[^\s]+)$")
_MAPPED = {"http", "https", "ssh", "git", "git+ssh", "ssh+git"}


def clone_address(remote_url: str) -> str:
    """A remote's URL -> the address for Connect; ssh and git become https, userinfo is dropped.

    Raises `RepositoryAddressMissing` for paths and `file:` URLs.
    """
    scp = _SCP_LIKE.match(remote_url)
    if scp:
        return f"https://{scp['host']}/{scp['path'].lstrip('/')}"
    parts = urlsplit(remote_url)
    if parts.scheme not in _MAPPED or not parts.hostname:
        raise RepositoryAddressMissing(
            f"Connect clones over http(s), and the remote is {parts._replace(netloc=parts.hostname or '').geturl()}",
            hint='set repository = "https://..." in [tool.connect-tasks]: the address that Connect can reach',
        )
    scheme = parts.scheme if parts.scheme in {"http", "https"} else "https"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port and scheme == parts.scheme else ""
    return urlunsplit((scheme, host + port, parts.path, "", ""))


def repository_name(address: str) -> str:
    """The last part of an address, without `.git`: a name that is the same in every clone."""
    return re.sub(r"\.git$", "", urlsplit(address).path.rstrip("/")).rsplit("/", 1)[-1] or "app"
