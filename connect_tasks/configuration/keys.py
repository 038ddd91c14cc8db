"""Every key of `[tool.connect-tasks]`: its kind, one line about it, an example.

The reader, the JSON Schema and the reference page are made from these tables; a test holds them equal to the fields of
`App`, `TestSettings` and `VerifySettings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from connect_tasks.configuration.app_mode import MODES

from . import rules
from .kinds import Key, choice, command, flag, many, number, one_or_many, pairs, scalar, seconds, table, text, whole

_MANYLINUX = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", *(f"manylinux_2_{minor}" for minor in range(31, 41)))
#: The platforms of uv that Connect runs on.
PLATFORMS = (
    "linux",
    *(
        f"{cpu}-{tag}"
        for cpu in ("x86_64", "aarch64")
        for tag in ("unknown-linux-gnu", "unknown-linux-musl", *_MANYLINUX)
    ),
)
#: Every spelling of a mode: rsconnect-python's commands, Connect's own words, and the two kinds of web app.
MODE_NAMES = ("api", "wsgi", "asgi", *dict.fromkeys(name for mode in MODES for name in (mode.name, mode.connect)))


def _mode(name: str) -> str | None:
    if name in MODE_NAMES:
        return None
    near = get_close_matches(name.lower(), MODE_NAMES, n=1)
    known = ", ".join(mode.name for mode in MODES)
    return f"must be one of {known}" + (f"; did you mean {near[0]}?" if near else "")


_PATTERNS = many(text(rules.plain), "patterns as in .gitignore")
_PATHS = many(text(rules.path, normal=rules.normal_path), "paths")
_VARIABLES = many(
    text(rules.environment_name, longest=255, pattern="^[A-Za-z_][A-Za-z0-9_]*$"), "names of environment variables"
)
_PROCESSES, _LIMIT = whole(0, 10_000), whole(0, 2_592_000)  # 2,592,000 s: Connect's own bound
_CORES, _BYTES = number(0, 1024, above=True), whole(1, 2**50)

TEST_KEYS: Mapping[str, Key] = {
    "command": Key(
        kind=command(),
        about="How the app's tests are run; pytest where tests are found, when absent.",
        example='["pytest", "-q"]',
    ),
    "group": Key(
        kind=text(rules.not_option, longest=100),
        about="The PEP 735 group or the extra that holds the test tools; one named test or dev, when absent.",
        example='"test"',
    ),
    "paths": Key(
        kind=_PATHS,
        about="Tests that do not ship, relative to the repository's root; they are laid beside the app for the run.",
        example='["tests/sales"]',
    ),
    "env": Key(
        kind=_VARIABLES,
        about="Names of environment variables that the tests may see; values come from the environment.",
        example='["TEST_DATABASE_URL"]',
    ),
    "timeout": Key(kind=seconds(), about="Limit of the test run, in seconds.", example="1800"),
}

VERIFY_KEYS: Mapping[str, Key] = {
    "path": Key(kind=text(rules.page), about="The page of the app that is visited.", example='"/health"'),
    "status": Key(
        kind=one_or_many(whole(100, 599), "HTTP statuses"),
        about="The status, or the statuses, that it may answer with; any below 500 when absent.",
        example="[200, 302]",
    ),
    "contains": Key(kind=text(), about="Text that the page must hold.", example='"ok"'),
    "matches": Key(
        kind=text(rules.pattern, format="regex"),
        about="A regular expression that the page must match somewhere.",
        example='"version: [0-9.]+"',
    ),
    "json": Key(
        kind=pairs(scalar(), rules.field, "fields and values"),
        about="Fields that the JSON answer must have, as dotted names, with their values.",
        example='{ "database.ready" = true }',
    ),
    "headers": Key(
        kind=pairs(text(rules.plain), rules.header, "headers and values"),
        about="Headers that the answer must have, with their values.",
        example='{ X-Version = "2" }',
    ),
    "timeout": Key(kind=seconds(), about="How long the page may take to become healthy, in seconds.", example="60"),
    "attempts": Key(
        kind=whole(1, 1000), about="Visits at most; as many as the time allows, when absent.", example="10"
    ),
    "streak": Key(kind=whole(1, 100), about="Healthy visits in a row that are needed.", example="2"),
}

PROCESS_KEYS: Mapping[str, Key] = {
    "max_processes": Key(kind=whole(1, 10_000), about="Processes at most.", example="3"),
    "min_processes": Key(kind=_PROCESSES, about="Processes that are kept while nobody visits.", example="1"),
    "max_conns_per_process": Key(kind=whole(1, 1_000_000), about="Connections per process.", example="20"),
    "load_factor": Key(kind=number(0, 1), about="How eagerly processes are added, from 0 to 1.", example="0.5"),
    "connection_timeout": Key(kind=_LIMIT, about="Seconds without data until a connection is closed.", example="3600"),
    "read_timeout": Key(kind=_LIMIT, about="Seconds without data until a read is given up.", example="3600"),
    "init_timeout": Key(kind=_LIMIT, about="Seconds that the app may take to start.", example="60"),
    "idle_timeout": Key(kind=_LIMIT, about="Seconds that an idle process is kept.", example="120"),
    "cpu_request": Key(kind=_CORES, about="Cores asked for, with off-host execution.", example="0.5"),
    "cpu_limit": Key(kind=_CORES, about="Cores at most, with off-host execution.", example="2.0"),
    "memory_request": Key(kind=_BYTES, about="Bytes asked for, with off-host execution.", example="268435456"),
    "memory_limit": Key(kind=_BYTES, about="Bytes at most, with off-host execution.", example="1073741824"),
}

#: The stages of a release around which commands can run: those in which something is done.
HOOKED = ("test", "commit", "push", "deploy", "verify")
HOOK_KEYS: Mapping[str, Key] = {
    **{
        f"{when}_{stage}": Key(
            kind=many(command(), "commands"), about=f"Commands {about} `{stage}`; {failing}.", example=example
        )
        for stage in HOOKED
        for when, about, failing, example in (
            ("before", "before", "one that fails stops the run", '["./tools/backup.sh"]'),
            ("after", "after", "one that fails is told, and changes nothing", '["./tools/tell.sh"]'),
        )
    },
    "on_failure": Key(
        kind=many(command(), "commands"),
        about="Commands after a release, deploy, promotion or rollback that failed.",
        example='[["./tools/tell.sh", "failed"]]',
    ),
}

#: What may differ from target to target: everything but the app's place in the repository.
TARGET_KEYS: Mapping[str, Key] = {
    "mode": Key(
        kind=text(_mode, longest=100, enum=list(MODE_NAMES)),
        about="The app mode, by rsconnect-python's name or Connect's; detected when absent.",
        example='"flask"',
    ),
    "entrypoint": Key(
        kind=text(rules.not_option),
        about="The entrypoint; detected when unambiguous, always verified.",
        example='"app:app"',
    ),
    "python": Key(
        kind=text(rules.python, longest=200),
        about="The app's Python; .python-version (also of the repository's root) or requires-python, when absent.",
        example='"3.12"',
    ),
    "dependencies": Key(
        kind=text(rules.path, normal=rules.normal_path),
        about="The file in the app's directory that declares its dependencies, with extras and groups in brackets; "
        "the first of uv.lock, poetry.lock, requirements.in, pyproject.toml, requirements.txt, when absent.",
        example='"pyproject.toml[web]"',
    ),
    "freeze": Key(
        kind=choice("resolve", "pin"),
        about="What happens to a hand-written requirements.txt: kept as it is (resolve), or turned into pins (pin).",
        example='"pin"',
    ),
    "platform": Key(
        kind=choice(*PLATFORMS), about="The server's platform, for which pins are resolved.", example='"linux"'
    ),
    "include": Key(
        kind=_PATTERNS,
        about="Patterns as in .gitignore: only these files belong to the app.",
        example='["*.py", "templates/"]',
    ),
    "exclude": Key(
        kind=_PATTERNS,
        about="Patterns as in .gitignore: these files do not belong to the app.",
        example='["notebooks/"]',
    ),
    "allow": Key(
        kind=_PATTERNS,
        about="Patterns as in .gitignore: files that may ship although they are large or look like secrets.",
        example='["certificates/public.pem"]',
    ),
    "test": Key(
        kind=table(TEST_KEYS),
        about="How the app's own tests are run.",
        example='{ command = "pytest -q", group = "test" }',
    ),
    "verify": Key(
        kind=table(VERIFY_KEYS), about="What a healthy page is.", example='{ path = "/health", status = 200 }'
    ),
    "env": Key(
        kind=_VARIABLES,
        about="Names of the content's environment variables; values come from the environment of the release.",
        example='["DATABASE_URL"]',
    ),
    "guid": Key(
        kind=text(rules.guid, normal=str.lower, longest=36, format="uuid"),
        about="The content item on the server; found or created when absent.",
        example='"b99b9b77-a8ae-4ecd-93aa-3c23baf9bf96"',
    ),
    "content_name": Key(
        kind=text(rules.content_name, shortest=3, longest=64),
        about="The content's name on the server, unique for its owner.",
        example='"sales"',
    ),
    "title": Key(
        kind=text(rules.plain, shortest=3, longest=1024), about="The content's title.", example='"Sales by region"'
    ),
    "description": Key(
        kind=text(rules.prose, longest=4096), about="The content's description.", example='"Figures of the week."'
    ),
    "access_type": Key(
        kind=choice("all", "logged_in", "acl"),
        about="Who may visit: everybody, whoever is logged in, or those listed; left as it is when absent.",
        example='"logged_in"',
    ),
    "vanity": Key(
        kind=text(rules.vanity, normal=rules.normal_vanity),
        about="A path under which Connect serves the content besides its own URL.",
        example='"/sales/"',
    ),
    "process": Key(
        kind=table(PROCESS_KEYS),
        about="Connect's settings for the content's processes.",
        example="{ min_processes = 1 }",
    ),
    "hooks": Key(
        kind=table(HOOK_KEYS),
        about="Commands of your own around the stages of a release; no shell runs them, and a rehearsal runs none.",
        example='{ before_deploy = ["./tools/backup.sh"] }',
    ),
    "server": Key(
        kind=text(rules.server),
        about="The server's URL, or the nickname of one saved by `rsconnect add`; CONNECT_SERVER when absent.",
        example='"https://connect.example.com"',
    ),
    "repository": Key(
        kind=text(rules.url, format="uri"),
        about="The URL that Connect clones from; made from the remote's when absent.",
        example='"https://git.example.com/team/apps.git"',
    ),
    "remote": Key(kind=text(rules.ref, longest=255), about="The git remote that is pushed to.", example='"origin"'),
    "branch": Key(kind=text(rules.ref, longest=255), about="The branch of people that is released.", example='"main"'),
    "deploy_branch": Key(
        kind=text(rules.ref, longest=255),
        about="A branch of generated commits that people never touch; where it is set, Connect tracks it.",
        example='"deploy/production"',
    ),
    "polling": Key(
        kind=flag(),
        about="true: Connect itself looks for new commits, and they are live before they are verified.",
        example="false",
    ),
    "shared": Key(
        kind=_PATHS,
        about="Paths outside the app's directory that it is made from, relative to the repository's root: where one "
        "changes, `release` without --app looks at the app again.",
        example='["constraints.txt", "templates"]',
    ),
    "commits": Key(
        kind=choice("together", "each"),
        about="How a release of several apps commits: one commit for all of them (together), or one for each app.",
        example='"each"',
    ),
    "message": Key(kind=text(rules.not_option), about="The subject of our commits.", example='"Release {app}"'),
    "skip_ci": Key(kind=flag(), about="Mark our commits so that CI does not run for them.", example="true"),
    "tag": Key(
        kind=text(rules.ref, longest=255),
        about="An annotated tag for each release; its message lists the commits since the version before.",
        example='"{app}/{date}-{number}"',
    ),
    "push_timeout": Key(kind=seconds(), about="Limit of a push with its replays, in seconds.", example="60"),
    "deploy_timeout": Key(kind=seconds(), about="Limit of the deploy task, in seconds.", example="1800"),
    "run_timeout": Key(kind=seconds(), about="Limit of a whole run for one app, in seconds.", example="3600"),
    "max_file_size": Key(kind=whole(1, 2**40), about="The largest file that may ship, in bytes.", example="104857600"),
}

APP_KEYS: Mapping[str, Key] = {
    "path": Key(
        kind=text(rules.path, normal=rules.normal_path),
        about="The app's directory, relative to the repository's root; the root itself when absent.",
        example='"apps/sales"',
    ),
    **TARGET_KEYS,
}
