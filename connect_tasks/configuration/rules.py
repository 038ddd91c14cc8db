"""Rules for names and places: each function takes a string and says what is wrong with it, or None.

They keep a hostile or careless configuration from becoming an option of a program that we start, a path outside the
repository, or a URL with a password. No message repeats the text, which may be a secret.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from urllib.parse import urlsplit

# Windows opens a device for these, whatever the extension; a checkout there breaks.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?: *\..*)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTENT_NAME = re.compile(r"[A-Za-z0-9_.-]{3,64}")
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_VANITY = re.compile(r"/(?:[A-Za-z0-9_.-]+/?)+", re.ASCII)
#: Connect keeps these first segments for itself (connect-api: vanities).
RESERVED_VANITIES = frozenset(
    {"apps", "confirm", "connect", "content", "favicon.ico", "groups", "help", "login", "metrics", "plots", "recent"}
    | {"register", "reports", "resetpassword", "setpassword", "settings", "tokens", "unpublished", "user-completion"}
    | {"users", "welcome"}
)


def plain(text: str) -> str | None:
    """No control or format characters (a newline starts a header, an RTL override lies to the reader)."""
    if not text.strip():
        return "must not be empty"
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text):
        return "must not hold control characters"
    return None


def not_option(text: str) -> str | None:
    """Something that stands in an argument list: plain, and no leading dash."""
    if text.startswith("-"):
        return "must not start with a dash: it would be taken for an option"
    return plain(text)


def name(text: str) -> str | None:
    """The name of an app or a target: it becomes part of session names, refs and file names."""
    if not _NAME.fullmatch(text) or _RESERVED.fullmatch(text) or text.endswith("."):
        return "must be letters, digits, '_', '-' or '.', start with a letter or digit, and have at most 64 characters"
    return None


def environment_name(text: str) -> str | None:
    """The name of an environment variable."""
    if "=" in text:
        return "must be a name alone: the value comes from the environment and never stands in a file"
    if not _ENVIRONMENT_NAME.fullmatch(text):
        return "must be the name of an environment variable: letters, digits and '_', no digit first"
    if text.upper() == "CONNECT_API_KEY":
        return "must not be CONNECT_API_KEY: Connect gives the app a key of its own, and yours stays with you"
    return None


def ref(text: str) -> str | None:
    """A branch or tag name, by the rules of `git check-ref-format --branch`."""
    complaint = not_option(text)
    if complaint:
        return complaint
    broken = (
        text in {"@", "HEAD"}
        or any(character in " ~^:?*[\\\x7f" for character in text)
        or ".." in text
        or "@{" in text
        or text.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in text.split("/"))
    )
    return "is no valid name for git (see `git check-ref-format --help`)" if broken else None


def path(text: str) -> str | None:
    """A POSIX path that stays inside the repository and can exist on every operating system.

    Leading `./` is looked through: what is used in the end is `normal_path`.
    """
    text = re.sub(r"^(?:\./+)+", "", text)
    complaint = not_option(text)
    if complaint:
        return complaint
    if "\\" in text:
        return "must be written with '/', on Windows too"
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        return "must be relative to the repository: no absolute path, '~' or drive letter"
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if ".." in parts:
        return "must stay inside the repository: no '..'"
    for part in parts:
        if part.lower() == ".git":
            return "must not lead into .git"
        if len(part.encode()) > 255:
            return "holds a name of more than 255 bytes"
        if _RESERVED.fullmatch(part) or part.endswith((".", " ")) or any(character in '<>:"|?*' for character in part):
            return "holds a name that Windows reserves"
    return None


def normal_path(text: str) -> str:
    """`./apps//sales/` -> `apps/sales`; the root is `.`. For texts that `path` accepts."""
    return "/".join(part for part in text.split("/") if part not in {"", "."}) or "."


def url(text: str) -> str | None:
    """An http(s) URL without userinfo, query or fragment."""
    complaint = plain(text)
    if complaint:
        return complaint
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # .port raises for a port that is no number or too large
    except ValueError:
        return "is not a valid URL"
    if parts.scheme not in {"http", "https"}:
        return "must be an http:// or https:// URL"
    if "@" in parts.netloc:
        return "must not hold a user name or password"
    if not host or any(character.isspace() or character in '\\<>"{}|^`' for character in text):
        return "is not a valid URL"
    if "?" in text or "#" in text:
        return "must not hold a query or fragment ('?', '#')"
    return None


def server(text: str) -> str | None:
    """A server's URL, or the nickname of one saved by `rsconnect add`."""
    return url(text) if "://" in text else (not_option(text) or ("must not hold a user name" if "@" in text else None))


def guid(text: str) -> str | None:
    return None if _GUID.fullmatch(text) else "must be a content GUID: 8-4-4-4-12 hexadecimal digits"


def content_name(text: str) -> str | None:
    return None if _CONTENT_NAME.fullmatch(text) else "must be 3 to 64 letters, digits, '_', '-' or '.'"


def vanity(text: str) -> str | None:
    """The path under which Connect serves the content besides /content/GUID/."""
    if not _VANITY.fullmatch(text) or any(part in {".", ".."} for part in text.split("/")):
        return "must be a path such as /sales/: letters, digits, '_', '-', '.' between slashes"
    first = text.split("/")[1].lower()
    if first in RESERVED_VANITIES or first.startswith("__"):
        return f"must not start with /{first}: Connect keeps that for itself"
    return None


def page(text: str) -> str | None:
    """A path of the app's own site: never another host."""
    if not text.startswith("/") or text.startswith("//") or "\\" in text:
        return "must be a path of the app that starts with one '/'"
    if any(character.isspace() for character in text):
        return "must not hold spaces"
    return plain(text)


def python(text: str) -> str | None:
    """`3.12`, `3.12.4`, or a PEP 440 specifier such as `>=3.10,<3.13`."""
    complaint = "must be a Python version such as 3.12, or a specifier such as >=3.10,<3.13"
    if re.fullmatch(r"3(?:\.(?:0|[1-9][0-9]{0,2})){1,2}", text, re.ASCII):
        return None
    if not text.strip() or text[0] not in "<>=~!" or len(text) > 200:
        return complaint
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # 38 ms, and hardly ever needed

    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return complaint
    return None


def prose(text: str) -> str | None:
    """Text of several lines."""
    return plain(text.replace("\n", " ").replace("\t", " "))


def field(text: str) -> str | None:
    """A field of a JSON answer: names joined by dots."""
    return plain(text) or ("must be names joined by dots" if not all(text.split(".")) else None)


def header(text: str) -> str | None:
    """The name of an HTTP header, by the token rule of RFC 9110."""
    return None if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text) else "must be the name of an HTTP header"


def normal_vanity(text: str) -> str:
    """`/sales` -> `/sales/`."""
    return text.rstrip("/") + "/"


def pattern(text: str) -> str | None:
    """A regular expression."""
    if len(text) > 1000:
        return "must have at most 1000 characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "[[" warns of sets to come, which is no fault of the user's
            re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return "is not a valid regular expression"
    return None
