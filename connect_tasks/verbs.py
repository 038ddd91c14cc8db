"""The verbs: each is a nox session and `python -m connect_tasks VERB`, with one grammar of arguments. Cheap to
import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a verb, as argparse has it; `options` are handed to `add_argument`."""

    flags: tuple[str, ...]
    options: Mapping[str, object]


def _argument(*flags: str, **options: object) -> Argument:
    return Argument(flags=flags, options=MappingProxyType(options))


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb: its name, one line for `nox -l`, its own arguments, and where its deed is (`module:function`)."""

    name: str
    summary: str
    deed: str
    arguments: tuple[Argument, ...] = ()
    several_apps: bool = True  # without --app it is done for each app in turn
    needs_app: bool = True  # and a repository


APP = _argument("--app", metavar="NAME", help="the app, where several are configured")
TARGET = _argument("--target", metavar="NAME", help="the target, where targets are configured")
PATH = _argument("--path", metavar="DIR", help="an app by its directory, where there is no configuration")
JSON = _argument("--json", metavar="FILE", help="write the report as JSON to FILE, or to standard output with -")
COMMON = (APP, TARGET, PATH, JSON)

_UPGRADE = _argument(
    "--upgrade",
    action="append",
    nargs="?",
    const="",
    metavar="NAME[==V]",
    help="let pins move: all of them, or the named ones (may be given several times)",
)
_OFFLINE = _argument("--offline", action="store_true", help="use only what is cached or in a wheelhouse")
_EVIDENCE = _argument("--evidence", metavar="DIR", help="where passes of tests are kept, to carry them between CI jobs")
_NO_TEST = _argument("--no-test", metavar="REASON", help="deploy without tests; the reason goes into report and commit")
_ALLOW_DIRTY = _argument(
    "--allow-dirty", action="store_true", help="ship HEAD although tracked files of the app differ from it"
)
_FORCE = _argument("--force", action="store_true", help="deploy again although the app is live already")

VERBS: tuple[Verb, ...] = (
    Verb(
        name="freeze",
        summary="Freeze the app's declared dependencies into requirements.txt, from a fresh virtualenv.",
        deed="freeze:freeze",
        arguments=(_UPGRADE, _OFFLINE),
    ),
    Verb(
        name="manifest",
        summary="Write manifest.json for the files that git will ship.",
        deed="manifest:manifest",
        arguments=(_OFFLINE,),
    ),
    Verb(
        name="test",
        summary="Test the tree that will ship, in an environment of its frozen requirements.",
        deed="test:test",
        arguments=(_EVIDENCE, _OFFLINE),
    ),
    Verb(
        name="check",
        summary="Say whether the committed requirements and manifest describe their commit.",
        deed="check:check",
        arguments=(_argument("--staged", action="store_true", help="look at the index instead of HEAD"),),
    ),
    Verb(
        name="commit",
        summary="Commit the generated files, and nothing else.",
        deed="commit:commit",
        arguments=(_NO_TEST,),
    ),
    Verb(
        name="push",
        summary="Push the branch; the verdict is read from the remote.",
        deed="push:push",
    ),
    Verb(
        name="deploy",
        summary="Deploy the pushed commit: draft, visit, activate, visit again.",
        deed="deploy:deploy",
        arguments=(_EVIDENCE, _NO_TEST, _FORCE, _OFFLINE),
    ),
    Verb(
        name="release",
        summary="From source to a verified page: freeze, manifest, test, commit, push, deploy, verify.",
        deed="release:release",
        arguments=(_UPGRADE, _OFFLINE, _EVIDENCE, _NO_TEST, _ALLOW_DIRTY, _FORCE),
    ),
    Verb(
        name="rehearse",
        summary="The whole release against a scratch clone, a scratch remote and a local Connect server.",
        deed="rehearse:rehearse",
        arguments=(
            _argument("--keep", action="store_true", help="leave the local server up and print its URL and key"),
            _argument("--source", metavar="DIR", help="rehearse another checkout"),
            _OFFLINE,
        ),
        several_apps=False,
    ),
    Verb(
        name="serve",
        summary="Run the local Connect server until it is interrupted.",
        deed="serve:serve",
        arguments=(
            _argument("--port", type=int, default=3939, metavar="N", help="0 picks a free one (default: %(default)s)"),
            _argument("--data", metavar="DIR", help="where it keeps its state (default: .connect-server)"),
        ),
        needs_app=False,
    ),
)

NAMES: tuple[str, ...] = tuple(verb.name for verb in VERBS)


def verb(name: str) -> Verb:
    """The verb of that name. Raises KeyError."""
    return {entry.name: entry for entry in VERBS}[name]
