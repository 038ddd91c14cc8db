"""The verbs: each is a nox session and `python -m connect_tasks VERB`, with one grammar of arguments.

Cheap to import.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: How a verb is called without nox, wherever we can be imported.
COMMAND = "python -m connect_tasks"
#: Exit codes of `python -m connect_tasks`, by meaning; nox itself turns every failure into 1.
EXIT_CODES: Mapping[int, str] = MappingProxyType(
    {
        0: "done, or nothing to do",
        1: "failed",
        2: "changes pending or drift (plan, check, status)",
        3: "live but unhealthy (status)",
        4: "usage or configuration",
        5: "another run holds the lock",
        75: "temporary: try again",
        130: "interrupted",
    }
)


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a verb, as argparse has it; `options` are handed to `add_argument`."""

    flags: tuple[str, ...]
    options: Mapping[str, object]


def _argument(*flags: str, **options: object) -> Argument:
    return Argument(flags=flags, options=MappingProxyType(options))


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb: its name, one line for `nox -l`, its manual, its own arguments, and its deed (`module:function`)."""

    name: str
    summary: str
    manual: str  # what it reads, writes and refuses
    deed: str
    own: tuple[Argument, ...] = ()
    examples: tuple[str, ...] = ("",)  # arguments of calls that make sense
    several_apps: bool = True  # without --app it is done for each app in turn
    at_once: bool = False  # its deed is handed all of them: (apps, world, reports)
    every_target: bool = False  # without --target it looks at each of them, and its deed prints one line for each
    needs_app: bool = True  # and a repository

    @property
    def which(self) -> tuple[Argument, ...]:
        """Those that say which app and target, but for what an argument of its own says: `promote` has `--to`."""
        said = {argument.options.get("dest") for argument in self.own}
        return tuple(each for each in WHICH if self.needs_app and each.flags[0].lstrip("-") not in said)

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """All that it knows: which app, its own, the report."""
        return (*self.which, *self.own, *self.reports)

    @property
    def reports(self) -> tuple[Argument, ...]:
        """Those that say where its account goes."""
        return (JSON, EVENTS, HTML, JUNIT, DOTENV, CODE_QUALITY) if self.needs_app else (JSON,)


#: More apps than these at the same time only wait for each other, here and on the server.
MOST_JOBS = 32


def _reason(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number


def _jobs(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_JOBS:
        raise ValueError
    return number


# argparse names the type in its message: "invalid reason value: ''"
_reason.__name__, _port.__name__, _seconds.__name__, _jobs.__name__ = "reason", "port", "seconds", "number of jobs"
#: `status --wait` without a number: Connect polls each quarter of an hour, and then it deploys.
WAIT = 1800.0

WHICH = (
    _argument("--app", metavar="NAME", help="the app, where several are configured"),
    _argument("--target", metavar="NAME", help="the target, where targets are configured"),
    _argument("--path", metavar="DIR", help="an app by its directory, where there is no configuration"),
)
JSON = _argument("--json", metavar="FILE", help="write the report as JSON to FILE, or to standard output with -")
EVENTS = _argument("--events", metavar="FILE", help="write what happens as it happens, a JSON object a line; or to -")
HTML = _argument("--html", metavar="FILE", help="write the report as one self-contained page to FILE")
JUNIT = _argument("--junit", metavar="FILE", help="write the stages as JUnit test cases to FILE, for CI systems")
DOTENV = _argument("--dotenv", metavar="FILE", help="write what came of it as NAME=VALUE lines to FILE, for GitLab")
CODE_QUALITY = _argument("--code-quality", metavar="FILE", help="write the problems to FILE as GitLab's code quality")
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
_NO_TEST = _argument(
    "--no-test", metavar="REASON", type=_reason, help="go on without tests; the reason goes into report and commit"
)
_ALLOW_DIRTY = _argument(
    "--allow-dirty", action="store_true", help="ship HEAD although tracked files of the app differ from it"
)
_PULL_REQUEST = _argument(
    "--pull-request", action="store_true", help="push to a side branch and print the page that opens a pull request"
)
_STAGED = _argument("--staged", action="store_true", help="look at the index instead of HEAD, as a hook does")
_PATH = _argument("--path", metavar="DIR", help="the app's directory, where it is another than this one")
_FORCE = _argument("--force", action="store_true", help="deploy again although the app is live already")
_CHANGED_SINCE = _argument(
    "--changed-since", metavar="REF", help="of several apps those that changed since REF, not since what is live"
)
_JOBS = _argument(
    "-j", "--jobs", metavar="N", type=_jobs, default=1, help="so many apps at the same time (default: %(default)s)"
)

VERBS: tuple[Verb, ...] = (
    Verb(
        name="init",
        summary="Set up a directory with an app: look at it, show what would be written, write it.",
        manual="The framework, the entrypoint, the dependencies, the Python, the tests and the branch are found; what "
        "rsconnect-python or Posit Publisher wrote is read. Adds [tool.connect-tasks] to pyproject.toml and two lines "
        "to the noxfile, .python-version where nothing declares one, a repository where there is none. What is there "
        "stays as it is, and a second run changes nothing. Nothing is committed.",
        deed="init:init",
        own=(
            _PATH,
            _argument("--yes", action="store_true", help="ask nothing, and write only what is needed or asked for"),
            _argument("--dry-run", action="store_true", help="show the changes, and write nothing"),
            _argument("--pre-commit", action="store_true", help="add the hook that checks the generated files"),
            _argument("--ci", choices=("github", "gitlab"), help="add a workflow that rehearses and releases"),
        ),
        examples=("", "--dry-run", "--yes --pre-commit --ci github"),
        needs_app=False,
    ),
    Verb(
        name="doctor",
        summary="Look at everything that a release needs, and say how to cure what is wrong.",
        manual="This computer, the repository, the app, the server: a line for each check, pass, warn or fail, and the "
        "next command. Reads, and changes nothing; whether a push is allowed is asked by `git push --dry-run`.",
        deed="doctor:doctor",
        own=(_OFFLINE,),
        examples=("", "--target production", "--json -"),
        every_target=True,
    ),
    Verb(
        name="config",
        summary="Say which values count, and where each of them comes from.",
        manual="File and line, the environment, another tool's file, or where it was found. The key is never shown.",
        deed="config:config",
        examples=("", "--app sales --json -"),
        every_target=True,
    ),
    Verb(
        name="freeze",
        summary="Freeze the app's declared dependencies into requirements.txt, from a fresh virtualenv.",
        manual="The app's own Python and only what the app declares: nothing of this environment leaks in. "
        "Pins that requirements.txt has already stay, unless they are told to move. "
        "Writes that one file, commits nothing.",
        deed="freeze:freeze",
        own=(_UPGRADE, _STAGED, _OFFLINE),
        examples=("", "--upgrade", "--upgrade flask --upgrade 'jinja2==3.1.6'"),
    ),
    Verb(
        name="manifest",
        summary="Write manifest.json for the files that git will ship.",
        manual="Made by rsconnect-python from an export of HEAD with the requirements.txt of the work tree: "
        "untracked files are never in it. Writes that one file, commits nothing.",
        deed="manifest:manifest",
        own=(_STAGED, _OFFLINE),
    ),
    Verb(
        name="test",
        summary="Test the tree that will ship, in an environment of its frozen requirements.",
        manual="HEAD's tree of the app with the generated files of the work tree is exported; there its entrypoint is "
        "imported and its tests run. A pass is put on record for exactly that tree, and `deploy` asks for it. "
        "The tests never see your CONNECT_API_KEY.",
        deed="test:test",
        own=(_EVIDENCE, _OFFLINE),
        examples=("", "--evidence .evidence"),
    ),
    Verb(
        name="check",
        summary="Say whether the committed requirements and manifest describe their commit.",
        manual="Offline, and changes nothing: fit for a pull request's CI and for a pre-commit hook.",
        deed="check:check",
        at_once=True,
        own=(_STAGED,),
        examples=("", "--staged", "--path DIR --json -"),
    ),
    Verb(
        name="commit",
        summary="Commit the generated files, and nothing else.",
        manual="requirements.txt and manifest.json as they stand in the work tree, if they describe what HEAD holds. "
        "Hooks and signing are honoured; what you have staged stays staged.",
        deed="commit:commit",
        own=(_NO_TEST,),
    ),
    Verb(
        name="push",
        summary="Push the branch; the verdict is read from the remote.",
        manual="Your own unpushed commits go with ours. Nothing is forced.",
        deed="push:push",
        own=(_PULL_REQUEST,),
    ),
    Verb(
        name="deploy",
        summary="Deploy the pushed commit: draft, visit, activate, visit again.",
        manual="The commit on the remote that holds HEAD's tree of the app: committed, pushed, described by its "
        "manifest, and tested. It looks all that up by itself, in whatever order it is called. "
        "A draft whose page does not answer is not activated.",
        deed="deploy:deploy",
        own=(_EVIDENCE, _NO_TEST, _FORCE, _OFFLINE),
        examples=("", "--target production", "--no-test 'incident 42'"),
    ),
    Verb(
        name="release",
        summary="From source to a verified page: freeze, manifest, test, commit, push, deploy, verify.",
        manual="Everything that could stop it is found before the first write. What is done already is not done again, "
        "so after any failure the same command goes on where it stopped. Of several apps, without --app, those that "
        "changed since what is live, with one commit and one push; the failure of one does not stop the others.",
        deed="release:release",
        at_once=True,
        own=(_UPGRADE, _OFFLINE, _EVIDENCE, _NO_TEST, _ALLOW_DIRTY, _PULL_REQUEST, _FORCE, _CHANGED_SINCE, _JOBS),
        examples=("", "--target production --json report.json", "--upgrade", "-j 2"),
    ),
    Verb(
        name="plan",
        summary="Say what `release` would do, by the very actions that it performs, and change nothing.",
        manual="Files are generated in a scratch directory. Shown are what would move in requirements.txt and "
        "manifest.json, the commit, the push with your own commits that go along, and the calls of the server. "
        "Exit code 0: nothing to do; 2: changes are pending.",
        deed="plan:plan",
        at_once=True,
        own=(
            *(_UPGRADE, _OFFLINE, _EVIDENCE, _NO_TEST, _ALLOW_DIRTY, _PULL_REQUEST, _FORCE, _CHANGED_SINCE, _JOBS),
            _argument(
                "--matrix",
                choices=("github", "gitlab", "json"),
                help="print only which apps changed, as the jobs of a CI system",
            ),
        ),
        examples=("", "--target production --json -", "--upgrade", "--matrix github"),
    ),
    Verb(
        name="status",
        summary="Say how far the app has come: work tree, committed, pushed, fetched, live; in sync, healthy.",
        manual="One line for each app and target. In sync: the live commit holds the app as HEAD does, and the item on "
        "the server is as configured. Reads, and changes nothing. Exit code 0: in sync and healthy; 2: changes are "
        "pending, or somebody changed the item by hand; 3: live but unhealthy. Of more than ten places those in sync "
        "are told by one list for all: pages unseen, links and variables not read; --app and --wait look at all.",
        deed="status:status",
        at_once=True,
        own=(
            _argument(
                "--wait",
                type=_seconds,
                nargs="?",
                const=WAIT,
                metavar="SECONDS",
                help=f"wait until it is in sync and healthy ({WAIT:g} seconds, where no number is given)",
            ),
        ),
        examples=("", "--wait 900 --json -", "--target production"),
        every_target=True,
    ),
    Verb(
        name="rollback",
        summary="Put an earlier version live again, out of the bundles that the server has kept.",
        manual="Without --to: the version before the live one. It is visited as a draft, activated and visited again; "
        "polling is switched off, since it would undo the rollback. Nothing is committed or pushed. A `release` while "
        "HEAD still holds the version that was left stops and says so; a fix goes out as usual.",
        deed="rollback:rollback",
        own=(
            _argument(
                "--to", metavar="N|SHA|BUNDLE", help="how many versions back, a commit, or a bundle (default: 1 back)"
            ),
        ),
        examples=("", "--to 2", "--to 3f2a1b9c --target production"),
        several_apps=False,
    ),
    Verb(
        name="promote",
        summary="Deploy to one target exactly what is live and healthy on another.",
        manual="What is live on the source must be the app as it is at HEAD, its page healthy. It is deployed as by "
        "`deploy`, and both records are compared at the end: they must name the same tree of the app.",
        deed="promote:promote",
        own=(
            _argument(
                "--from", dest="source_target", required=True, metavar="NAME", help="the target that it is live on"
            ),
            _argument("--to", dest="target", required=True, metavar="NAME", help="the target that it is promoted to"),
            _EVIDENCE,
            _NO_TEST,
            _FORCE,
            _OFFLINE,
        ),
        examples=("--from staging --to production",),
    ),
    Verb(
        name="rehearse",
        summary="The whole release against a scratch clone, a scratch remote and a local Connect server.",
        manual="Needs no server, no key and no licence. Nothing outside a scratch directory changes, and nothing but "
        "the package index is contacted. HEAD is rehearsed; before the table [tool.connect-tasks] is committed, the "
        "work tree as it would be committed.",
        deed="rehearse:rehearse",
        own=(
            _argument("--work-tree", action="store_true", help="rehearse uncommitted work too, all that git would add"),
            _argument("--keep", action="store_true", help="leave the local server up and print its URL and key"),
            _argument("--source", metavar="DIR", help="rehearse another checkout"),
            _OFFLINE,
        ),
        examples=("", "--keep"),
        several_apps=False,
    ),
    Verb(
        name="serve",
        summary="Run the local Connect server until it is interrupted.",
        manual="For `rsconnect`, posit-sdk and the verbs here alike; it prints the two variables to export. "
        "On loopback, and no place for production.",
        deed="serve:serve",
        own=(
            _argument(
                "--port", type=_port, default=3939, metavar="N", help="0 picks a free one (default: %(default)s)"
            ),
            _argument("--data", metavar="DIR", help="where it keeps its state (default: .connect-server)"),
        ),
        examples=("", "--port 0 --data /tmp/connect"),
        needs_app=False,
    ),
)

NAMES: tuple[str, ...] = tuple(verb.name for verb in VERBS)


def verb(name: str) -> Verb:
    """The verb of that name. Raises KeyError."""
    return {entry.name: entry for entry in VERBS}[name]
