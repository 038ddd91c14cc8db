"""Our two lines in a noxfile, or a noxfile of our own. Pure."""

from __future__ import annotations

import ast
import re

NOXFILE = "noxfile.py"
#: What a script-mode noxfile depends on; the local Connect server is an extra.
PACKAGE = "connect-tasks[emulator]"
_BLOCK = re.compile(r"(?m)^# /// script\r?$\n(?P<lines>(?:^#(?:| .*)\r?$\n)+?)^# ///\r?$")

#: nox runs it in an environment with these packages, made where its own lacks one of them (T24).
NEW = f'''\
# /// script
# requires-python = ">=3.10"
# dependencies = ["nox>=2026.8.10", "{PACKAGE}"]
# ///
"""`nox -l` lists what can be done; nothing runs unless it is named."""

import connect_tasks

connect_tasks.register()
'''
LINES = "import connect_tasks  # noqa: E402\n\nconnect_tasks.register()\n"


def with_sessions(text: str | None) -> str:
    """The noxfile with our sessions; one that has them already is left as it is. A file that does not parse is left,
    too: to add to what is broken would hide what broke it."""
    if text is None:
        return NEW
    if not parses(text) or mentions_us(text):
        return text
    end = "\r\n" if "\r\n" in text else "\n"
    whole = _with_dependency(text)
    whole += "" if whole.endswith(("\n", "\r")) else end
    return f"{whole}{end}{end}{LINES.replace(chr(10), end)}"


def mentions_us(text: str) -> bool:
    """Whether a noxfile imports connect_tasks already."""
    return any(
        (isinstance(node, ast.Import) and any(alias.name == "connect_tasks" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "connect_tasks" and not node.level)
        for node in ast.walk(ast.parse(text))
    )


def parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def in_script_mode(text: str) -> bool:
    """Whether nox makes the noxfile an environment of its own."""
    return _BLOCK.search(text) is not None


def _with_dependency(text: str) -> str:
    """With us among the dependencies of its PEP 723 block: without, none of its sessions would load any more."""
    import tomlkit
    from tomlkit.exceptions import ParseError

    block = _BLOCK.search(text)
    if block is None:
        return text
    toml = re.sub(r"(?m)^# ?", "", block["lines"].replace("\r\n", "\n"))
    try:
        document = tomlkit.parse(toml)
    except ParseError:
        return text
    listed = document.setdefault("dependencies", tomlkit.array())
    if any(str(line).replace("_", "-").startswith("connect-tasks") for line in listed):
        return text
    listed.append(PACKAGE)
    end = "\r\n" if "\r\n" in block["lines"] else "\n"
    lines = [f"# {line}".rstrip() for line in tomlkit.dumps(document).splitlines()]
    return text[: block.start("lines")] + "".join(line + end for line in lines) + text[block.end("lines") :]
