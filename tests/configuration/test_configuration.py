"""`[tool.connect-tasks]`: what loads, what wins over what, and what a person is told when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from connect_tasks.configuration import (
    App,
    Config,
    TestSettings,
    VerifySettings,
    app_names,
    explain,
    for_path,
    load,
    resolve,
    resolve_all,
)
from connect_tasks.configuration.keys import APP_KEYS, HOOK_KEYS, PROCESS_KEYS, TEST_KEYS, VERIFY_KEYS
from connect_tasks.errors import (
    AppUnknown,
    ConfigurationInvalid,
    ConfigurationMissing,
    Problem,
    Problems,
    TargetUnknown,
)

#: The example of the README and the docs: every spelling that we promise.
PROMISED = """\
[tool.connect-tasks]
server = "https://connect.example.com"
remote = "origin"
branch = "main"
[tool.connect-tasks.apps.sales]
path = "apps/sales"
mode = "flask"
entrypoint = "app:app"
python = "3.12"
dependencies = "requirements.in"
test = { command = ["pytest", "-q"], group = "test", paths = [], env = [] }
env = ["DATABASE_URL"]
verify = { path = "/health", status = 200, contains = "ok", timeout = 60 }
[tool.connect-tasks.targets.production]
server = "https://connect.example.com"
deploy_branch = "deploy/production"
"""


def write(root: Path, text: str, file: str = "pyproject.toml") -> Path:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return root


def loaded(root: Path, text: str) -> Config:
    return load(write(root, text))


def only(root: Path, table: str) -> App:
    """The one app of `[tool.connect-tasks]` with these lines."""
    return resolve(loaded(root, f"[tool.connect-tasks]\n{table}\n"), None, None, {})


def problems(root: Path, text: str) -> list[Problem]:
    with pytest.raises(Problem) as caught:
        loaded(root, text)
    return list(caught.value.problems) if isinstance(caught.value, Problems) else [caught.value]


def messages(root: Path, text: str) -> list[str]:
    return [str(problem).removeprefix("CT102: tool.connect-tasks.") for problem in problems(root, text)]


# what loads -----------------------------------------------------------------------------------------------------------


def test_promised_spellings(tmp_path: Path) -> None:
    config = loaded(tmp_path, PROMISED)
    app = resolve(config, "sales", "production", {})
    assert app == App(
        name="sales",
        path="apps/sales",
        mode="flask",
        entrypoint="app:app",
        python="3.12",
        dependencies="requirements.in",
        test=TestSettings(command=("pytest", "-q"), group="test"),
        env=("DATABASE_URL",),
        verify=VerifySettings(path="/health", status=(200,), contains="ok", timeout=60.0),
        target="production",
        server="https://connect.example.com",
        branch="main",
        deploy_branch="deploy/production",
    )
    assert resolve(config, None, None, {}).deploy_branch is None
    assert (config.root, config.targets) == (tmp_path, ("production",))


def test_an_empty_table_is_an_app_in_the_root(tmp_path: Path) -> None:
    assert only(tmp_path, "") == App(name="app")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[tool.connect-tasks]\npath = "apps/sales"\n[project]\nname = "monorepo"\n', "sales"),
        ('[tool.connect-tasks]\n[project]\nname = "flaskr"\n', "flaskr"),
        ('[tool.connect-tasks]\n[project]\nname = "not a name!"\n', "app"),
        ("[tool.connect-tasks]\n[project]\nname = 3\n", "app"),
        ("[tool.connect-tasks]\nproject.name = 1\n", None),
    ],
)
def test_name_of_the_only_app(tmp_path: Path, text: str, name: str | None) -> None:
    if name is None:
        assert messages(tmp_path, text) == ["project is not a known key (pyproject.toml:2)"]
    else:
        assert [app.name for app in loaded(tmp_path, text).apps] == [name]
        assert app_names(tmp_path) == (name,)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("verify = { status = 200 }", "verify", VerifySettings(status=(200,))),
        ("verify = { status = [200, 302] }", "verify", VerifySettings(status=(200, 302))),
        ('verify = { json = { "a.b" = 1, a = true } }', "verify", VerifySettings(json=(("a", True), ("a.b", 1)))),
        ('verify.headers = { X-V = "2" }', "verify", VerifySettings(headers=(("X-V", "2"),))),
        ("test = { command = \"pytest -k 'a b'\" }", "test", TestSettings(command=("pytest", "-k", "a b"))),
        (
            'test = { command = ["python", "-m", "unittest", ""] }',
            "test",
            TestSettings(command=("python", "-m", "unittest", "")),
        ),
        ('test.paths = ["./tests//sales/", "."]', "test", TestSettings(paths=("tests/sales", "."))),
        ("process = { min_processes = 1, load_factor = 0.5 }", "process", (("load_factor", 0.5), ("min_processes", 1))),
        ('path = "./apps/./sales/"', "path", "apps/sales"),
        ('path = "."', "path", "."),
        ('guid = "B99B9B77-A8AE-4ECD-93AA-3C23BAF9BF96"', "guid", "b99b9b77-a8ae-4ecd-93aa-3c23baf9bf96"),
        ('vanity = "/sales"', "vanity", "/sales/"),
        ('python = ">=3.10,<3.13"', "python", ">=3.10,<3.13"),
        ('server = "production"', "server", "production"),
        ("push_timeout = 5", "push_timeout", 5.0),
        ('verify.matches = "[[a]"', "verify", VerifySettings(matches="[[a]")),
        ('description = "two\\nlines"', "description", "two\nlines"),
        ('title = "Überblick 📈"', "title", "Überblick 📈"),
    ],
)
def test_values(tmp_path: Path, line: str, key: str, value: object) -> None:
    assert getattr(only(tmp_path, line), key) == value


@pytest.mark.parametrize(
    ("table", "key", "example"),
    [
        (table, name, key.example)
        for table, keys in (
            ("", APP_KEYS),
            ("test", TEST_KEYS),
            ("verify", VERIFY_KEYS),
            ("process", PROCESS_KEYS),
            ("hooks", HOOK_KEYS),
        )
        for name, key in keys.items()
    ],
)
def test_every_example_of_a_hint_loads(tmp_path: Path, table: str, key: str, example: str) -> None:
    app = only(tmp_path, f"{table}.{key} = {example}" if table else f"{key} = {example}")
    assert app != App(name=app.name) or example in {'"origin"', '"linux"', "false", "60", "1800", "104857600"}


def test_line_endings_of_windows(tmp_path: Path) -> None:
    assert loaded(tmp_path, PROMISED.replace("\n", "\r\n")) == loaded(tmp_path, PROMISED)


def test_tables_of_other_tools_are_not_looked_at(tmp_path: Path) -> None:
    assert loaded(tmp_path, PROMISED + "[tool.black]\nline-length = true\nconnect-tasks = 1\n") == loaded(
        tmp_path, PROMISED
    )


# precedence -----------------------------------------------------------------------------------------------------------

LAYERS = """\
[tool.connect-tasks]
title = "root"
verify = {{ path = "/root", timeout = 1, streak = 2 }}
env = ["ROOT"]
{root}
[tool.connect-tasks.targets.t]
{target}
[tool.connect-tasks.apps.a]
path = "a"
{app}
[tool.connect-tasks.apps.a.targets.t]
{app_target}
[tool.connect-tasks.apps.b]
path = "b"
"""


@pytest.mark.parametrize("count", range(4))
def test_precedence(tmp_path: Path, count: int) -> None:
    """root < root's target < app < app's target: with the first `count` of them set, the last one of those wins."""
    names = ("root", "target", "app", "app_target")
    values = {name: f'branch = "{name}"' if index <= count else "" for index, name in enumerate(names)}
    config = loaded(tmp_path, LAYERS.format(**values))
    assert resolve(config, "a", "t", {}).branch == names[count]
    without = {"root": "root", "target": "root", "app": "app", "app_target": "app"}[names[count]]
    assert resolve(config, "a", None, {}).branch == without
    assert resolve(config, "b", "t", {}).branch == ("target" if count else "root")


def test_tables_are_merged_key_by_key_and_lists_replaced(tmp_path: Path) -> None:
    text = LAYERS.format(
        root="process = { min_processes = 1, max_processes = 9 }",
        target="verify = { timeout = 2 }",
        app='verify.path = "/app"\nenv = ["APP"]\nprocess.min_processes = 2',
        app_target="verify = { timeout = 3 }",
    )
    app = resolve(loaded(tmp_path, text), "a", "t", {})
    assert app.verify == VerifySettings(path="/app", timeout=3.0, streak=2)
    assert app.env == ("APP",)
    assert dict(app.process) == {"min_processes": 2, "max_processes": 9}


def test_explain_names_the_table_that_said_it(tmp_path: Path) -> None:
    text = LAYERS.format(root="polling = true", target='branch = "x"', app='verify.path = "/app"', app_target="")
    config = loaded(tmp_path, text)
    said = {key: (value, source) for key, value, source in explain(config, resolve(config, "a", "t", {}))}
    lines = {
        line.strip(): number for number, line in enumerate((tmp_path / "pyproject.toml").read_text().splitlines(), 1)
    }
    title, branch, path = (lines[line] for line in ('title = "root"', 'branch = "x"', 'verify.path = "/app"'))
    assert said["title"] == ("root", f"pyproject.toml:{title} [tool.connect-tasks]")
    assert said["branch"] == ("x", f"pyproject.toml:{branch} [tool.connect-tasks.targets.t]")
    assert said["verify.path"] == ("/app", f"pyproject.toml:{path} [tool.connect-tasks.apps.a]")
    assert said["verify.timeout"][1].endswith(" [tool.connect-tasks]")
    assert said["remote"] == ("origin", "default")
    assert said["test.command"] == (None, "default")
    assert "name" not in said


# what is wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('entrypiont = "a"', "entrypiont is not a known key; did you mean entrypoint?"),
        ('deploy-branch = "a"', "deploy-branch is not a known key; did you mean deploy_branch?"),
        ('command = "pytest"', "command is not a known key; did you mean test.command?"),
        ("app = {}", "app is not a known key; did you mean apps?"),
        ("zzz = 1", "zzz is not a known key"),
        ('api_key = "hunter22"', "api_key must not stand in a file"),
        ("python = 3.12", "python must be a string, not a number"),
        ('python = "3"', "python must be a Python version such as 3.12"),
        ("polling = 1", "polling must be true or false, not a number"),
        ("max_file_size = true", "max_file_size must be a whole number, not a boolean"),
        ("push_timeout = true", "push_timeout must be a number, not a boolean"),
        ("push_timeout = nan", "push_timeout must be above 0 and at most 86400"),
        ("push_timeout = inf", "push_timeout must be above 0 and at most 86400"),
        ("push_timeout = 0", "push_timeout must be above 0"),
        ("title = 1979-05-27", "title must be a string, not a date or time"),
        ('env = "DATABASE_URL"', "env must be a list of names of environment variables, not a string"),
        ('env = ["GOOD", 1]', "env[1] must be a string, not a number"),
        ('env = ["PASSWORD=hunter22"]', "env[0] must be a name alone"),
        ('env = ["CONNECT_API_KEY"]', "env[0] must not be CONNECT_API_KEY"),
        ('mode = "falsk"', "mode must be one of flask,"),
        ('access_type = "everybody"', "access_type must be one of all, logged_in, acl"),
        ("verify = 3", "verify must be a table, not a number"),
        ("verify = { statu = 3 }", "verify.statu is not a known key; did you mean status?"),
        ("verify = { status = true }", "verify.status must be a whole number, not a boolean"),
        ("verify = { status = [] }", "verify.status must not be empty"),
        ("verify = { status = [200, 99] }", "verify.status[1] must lie between 100 and 599"),
        ('verify = { path = "//evil.example.com/" }', "verify.path must be a path of the app"),
        ('verify = { path = "https://evil.example.com/" }', "verify.path must be a path of the app"),
        ('verify = { matches = "(" }', "verify.matches is not a valid regular expression"),
        ("verify = { json = { a = nan } }", "verify.json.a must be a finite number"),
        ("verify = { json = { a = [1] } }", "verify.json.a must be a string, a number or a boolean, not a list"),
        ('verify = { headers = { "a b" = "c" } }', 'verify.headers."a b" must be the name of an HTTP header'),
        ('test = "pytest"', "test must be a table, not a string"),
        ("test = { command = [] }", "test.command must start with a program"),
        ('test = { command = "" }', "test.command must start with a program"),
        ('test = { command = "pytest && rm -rf x" }', "test.command must be one program with its arguments"),
        ('test = { command = "pytest \'x" }', "test.command can't be split into words"),
        ('test = { command = ["pytest", 3] }', "test.command[1] must be a string, not a number"),
        ('test = { paths = ["../tests"] }', "test.paths[0] must stay inside the repository"),
        ('path = "../x"', "path must stay inside the repository"),
        ('path = "a/../../x"', "path must stay inside the repository"),
        ('path = "/etc"', "path must be relative to the repository"),
        ('path = "C:/x"', "path must be relative to the repository"),
        ('path = "c:x"', "path must be relative to the repository"),
        ('path = "~/x"', "path must be relative to the repository"),
        ('path = "a\\\\b"', "path must be written with '/'"),
        ('path = "a/NUL.txt"', "path holds a name that Windows reserves"),
        ('path = "aux"', "path holds a name that Windows reserves"),
        ('path = "a/.git/hooks"', "path must not lead into .git"),
        ('path = "-rf"', "path must not start with a dash"),
        ('path = ""', "path must not be empty"),
        ('path = "a\\u202eb"', "path must not hold control characters"),
        ('branch = "--upload-pack=x"', "branch must not start with a dash: it would be taken for an option"),
        ('branch = "a..b"', "branch is no valid name for git"),
        ('branch = "HEAD"', "branch is no valid name for git"),
        ('branch = "main\\n"', "branch must not hold control characters"),
        ('remote = "https://git.example.com/x.git"', "remote is no valid name for git"),
        ('remote = "-o"', "remote must not start with a dash"),
        ('tag = "v1\\nv2"', "tag must not hold control characters"),
        ('entrypoint = "--help"', "entrypoint must not start with a dash"),
        ('server = "https://ada:hunter22@example.com"', "server must not hold a user name or password"),
        ('server = "ftp://example.com"', "server must be an http:// or https:// URL"),
        ('server = "https://example.com:port"', "server is not a valid URL"),
        ('server = "https://example.com/?key=hunter22"', "server must not hold a query or fragment"),
        ('repository = "git@example.com:x.git"', "repository must be an http:// or https:// URL"),
        ('repository = "https://t:hunter22@example.com/x"', "repository must not hold a user name or password"),
        ('guid = "123"', "guid must be a content GUID"),
        ('content_name = "a b c"', "content_name must be 3 to 64 letters"),
        ('title = "ab"', "title must have at least 3 characters"),
        ('vanity = "/connect/"', "vanity must not start with /connect: Connect keeps that for itself"),
        ('platform = "windows"', "platform must be one of linux or another"),
        ('freeze = "pins"', "freeze must be one of resolve, pin; did you mean pin?"),
        ("process = { max_process = 3 }", "process.max_process is not a known key; did you mean max_processes?"),
        ("process = { min_processes = 3, max_processes = 2 }", "process.min_processes is more than max_processes"),
        ('branch = "x"\ndeploy_branch = "x"', "deploy_branch is the branch of people too"),
        ("apps = []", "apps must be a table of tables, not a list"),
        ("apps.a = 3", "apps.a must be a table, not a number"),
        ('apps."../x" = {}', 'apps."../x" must be letters, digits'),
        ("targets.t = 3", "targets.t must be a table, not a number"),
        ('targets.t.path = "x"', "targets.t.path is settled by the app's place in the repository"),
        ("targets.t.targets = {}", "targets.t.targets is not a known key"),
        ("apps.a.apps = {}", "apps.a.apps is not a known key"),
    ],
)
def test_one_line_says_what_and_where(tmp_path: Path, line: str, message: str) -> None:
    found = problems(tmp_path, f"[project]\n\n[tool.connect-tasks]\n{line}\n")
    assert len(found) == 1
    (problem,) = found
    assert isinstance(problem, ConfigurationInvalid)
    assert str(problem).startswith(f"CT102: tool.connect-tasks.{message}")
    assert "\n" not in str(problem)
    assert problem.where in {"pyproject.toml:4", "pyproject.toml:5"}
    assert problem.hint
    assert "hunter22" not in f"{problem} {problem.hint}"
    assert problem.exit_code == 4


@pytest.mark.parametrize("key", [key for key in APP_KEYS if len(key) > 3])
def test_nearest_key(tmp_path: Path, key: str) -> None:
    slip = key[: len(key) // 2] + key[len(key) // 2 + 1 :]
    (problem,) = problems(tmp_path, f"[tool.connect-tasks]\n{slip} = 1\n")
    assert f"did you mean {key}?" in str(problem)


NAME_ALONE = "must be a name alone: the value comes from the environment and never stands in a file"


def test_everything_that_is_wrong_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """\
[tool.connect-tasks]
entrypiont = "x"
[tool.connect-tasks.apps.a]
path = "a"
env = [
  "GOOD",
  "A=b",
]
verify.status = "ok"
[tool.connect-tasks.apps.b]
path = "a/b"
[tool.connect-tasks.targets]
"t".branch = 3
"""
    assert messages(tmp_path, text) == [
        "entrypiont is not a known key; did you mean entrypoint? (pyproject.toml:2)",
        f"apps.a.env[1] {NAME_ALONE} (pyproject.toml:5)",
        "apps.a.verify.status must be a whole number, not a string (pyproject.toml:9)",
        "targets.t.branch must be a string, not a number (pyproject.toml:13)",
        "apps.b.path lies inside a, the directory of app a (pyproject.toml:11)",
    ]


def test_a_key_that_is_missing_is_placed_at_its_table(tmp_path: Path) -> None:
    text = "[tool.connect-tasks.apps.a]\n[tool.connect-tasks.apps.b]\n"
    assert messages(tmp_path, text) == [
        "apps.b.path is the directory of app a too: each app needs its own (pyproject.toml:2)"
    ]


def test_an_app_whose_path_is_wrong_is_not_compared_with_others(tmp_path: Path) -> None:
    text = '[tool.connect-tasks.apps.a]\npath = "/a"\n[tool.connect-tasks.apps.b]\n'
    assert messages(tmp_path, text) == [
        "apps.a.path must be relative to the repository: no absolute path, '~' or drive letter (pyproject.toml:2)"
    ]


@pytest.mark.parametrize(
    ("paths", "wrong"),
    [
        (("a", "b"), None),
        (("a", "ab"), None),
        (("a", "./a/"), "b.path is the directory of app a too"),
        (("a", "a/x/y"), "b.path lies inside a, the directory of app a"),
        (("a/x", "a"), "a.path lies inside a, the directory of app b"),
        ((".", "b"), "b.path lies inside ., the directory of app a"),
    ],
)
def test_each_app_has_a_directory_of_its_own(tmp_path: Path, paths: tuple[str, str], wrong: str | None) -> None:
    text = "".join(
        f'[tool.connect-tasks.apps.{name}]\npath = "{path}"\n' for name, path in zip("ab", paths, strict=True)
    )
    if wrong is None:
        assert len(loaded(tmp_path, text).apps) == 2
    else:
        (message,) = messages(tmp_path, text)
        assert message.startswith(f"apps.{wrong}")


GUIDS = """\
[tool.connect-tasks]
targets.t = {{}}
[tool.connect-tasks.apps.a]
path = "a"
{a}
[tool.connect-tasks.apps.b]
path = "b"
{b}
"""
ONE = "b99b9b77-a8ae-4ecd-93aa-3c23baf9bf96"


@pytest.mark.parametrize(
    ("a", "b", "clash"),
    [
        (f'guid = "{ONE}"', f'guid = "{ONE.upper()}"', True),
        (f'guid = "{ONE}"', f'targets.t.guid = "{ONE}"', True),
        (f'targets.t.guid = "{ONE}"', f'targets.t.guid = "{ONE}"', True),
        (f'targets.t.guid = "{ONE}"', f'targets.u.guid = "{ONE}"', False),
        (f'guid = "{ONE}"', "", False),
    ],
)
def test_each_app_has_content_of_its_own_on_a_target(tmp_path: Path, a: str, b: str, clash: bool) -> None:
    text = GUIDS.format(a=a, b=b)
    if clash:
        (message,) = messages(tmp_path, text)
        assert message.startswith("apps.b.guid is the content of app a too")
    else:
        assert len(loaded(tmp_path, text).apps) == 2


# the file -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message", "where"),
    [
        (b'[tool.connect-tasks]\nbranch = "main', "is not valid TOML: ", "pyproject.toml:2:15"),
        (b"[tool.connect-tasks]\nbranch\n", "is not valid TOML: ", "pyproject.toml:2:7"),
        (b"a = 1\na = 2\n", "is not valid TOML: Cannot overwrite a value", "pyproject.toml:2:6"),
        (b"\xef\xbb\xbf[tool.connect-tasks]\n", "starts with a byte order mark", "pyproject.toml:1:1"),
        ("[tool]\n".encode("utf-16"), "starts with a byte order mark", "pyproject.toml:1:1"),
        (b'[tool.connect-tasks]\ntitle = "caf\xe9"\n', "is not UTF-8", "pyproject.toml:2:13"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "is nested too deeply", "pyproject.toml"),
        (b".".join([b"a"] * 50_000) + b" = 1", "is nested too deeply", "pyproject.toml"),
        (b"[tool.connect-tasks]\n" + b"#" * 1024 * 1024, "is larger than 1048576 bytes", "pyproject.toml"),
    ],
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes, message: str, where: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(ConfigurationInvalid) as caught:
        load(tmp_path)
    assert caught.value.message.startswith(f"pyproject.toml {message}")
    assert caught.value.where == where
    assert caught.value.hint
    assert app_names(tmp_path) == ()


def test_a_number_of_many_digits(tmp_path: Path) -> None:
    """Python 3.11 and later refuse to convert it, earlier ones convert it, and then it is too large."""
    with pytest.raises(ConfigurationInvalid, match=r"too long|must lie between"):
        only(tmp_path, "max_file_size = " + "9" * 5000)


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(ConfigurationInvalid, match=r"pyproject.toml can't be read: Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize("text", [None, "", "[project]\nname = 'x'\n", "tool = 3\n", "[tool.black]\n"])
def test_no_configuration(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write(tmp_path, text)
    with pytest.raises(ConfigurationMissing) as caught:
        load(tmp_path)
    assert "[tool.connect-tasks]" in (caught.value.hint or "")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("value", ["3", '"x"', "[]", "true"])
def test_a_table_that_is_none(tmp_path: Path, value: str) -> None:
    (problem,) = problems(tmp_path, f"[tool]\nconnect-tasks = {value}\n")
    assert problem.message.startswith("tool.connect-tasks must be a table, not a")
    assert problem.where == "pyproject.toml:2"


def test_a_word_of_the_users_is_shown_on_one_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, '[tool.connect-tasks]\n"a\\n\\u001b[31mb" = 1\n')
    assert str(problem).startswith('CT102: tool.connect-tasks."a\\n\\x1b[31mb" is not a known key')
    (problem,) = problems(tmp_path, f"[tool.connect-tasks]\n{'x' * 100_000} = 1\n")
    assert len(str(problem)) < 300


# which app, which target ----------------------------------------------------------------------------------------------

SEVERAL = """\
[tool.connect-tasks.targets.staging]
branch = "stage"
[tool.connect-tasks.apps.sales]
path = "sales"
[tool.connect-tasks.apps.stock]
path = "stock"
targets.production.branch = "live"
"""


def test_the_app_that_was_named(tmp_path: Path) -> None:
    config = loaded(tmp_path, SEVERAL)
    assert resolve(config, "stock", None, {}).path == "stock"
    assert resolve(config, None, None, {"CONNECT_TASKS_APP": "stock"}).path == "stock"
    assert resolve(config, "sales", None, {"CONNECT_TASKS_APP": "stock"}).path == "sales"
    assert [app.name for app in resolve_all(config, None, {})] == ["sales", "stock"]
    assert [app.name for app in resolve_all(config, None, {"CONNECT_TASKS_APP": "stock"})] == ["stock"]


def test_the_target_that_was_named(tmp_path: Path) -> None:
    config = loaded(tmp_path, SEVERAL)
    assert config.targets == ("staging", "production")
    assert [app.branch for app in resolve_all(config, "staging", {})] == ["stage", "stage"]
    assert [app.branch for app in resolve_all(config, None, {"CONNECT_TASKS_TARGET": "staging"})] == ["stage", "stage"]
    assert resolve(config, "stock", "production", {}).branch == "live"
    assert resolve(config, "stock", None, {"CONNECT_TASKS_TARGET": "production"}).target == "production"
    assert resolve(config, "stock", "staging", {"CONNECT_TASKS_TARGET": "production"}).target == "staging"


@pytest.mark.parametrize(
    ("app", "target", "error", "message", "hint"),
    [
        (None, None, AppUnknown, "there are several apps: sales, stock", "add --app sales"),
        ("stok", None, AppUnknown, 'there is no app "stok"; the apps are: sales, stock', "--app stock"),
        (
            "sales",
            "produktion",
            TargetUnknown,
            'no target "produktion"; the targets are: staging',
            "--target production",
        ),
        ("sales", "production", TargetUnknown, "app sales has no target production", "--app stock"),
    ],
)
def test_none_such(
    tmp_path: Path, app: str | None, target: str | None, error: type[Problem], message: str, hint: str
) -> None:
    config = loaded(tmp_path, SEVERAL)
    with pytest.raises(error) as caught:
        resolve(config, app, target, {})
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.exit_code == 4


def test_a_target_that_only_some_apps_know_is_not_for_all(tmp_path: Path) -> None:
    with pytest.raises(TargetUnknown, match="app sales has no target production"):
        resolve_all(loaded(tmp_path, SEVERAL), "production", {})


def test_a_target_where_none_is_declared(tmp_path: Path) -> None:
    with pytest.raises(TargetUnknown, match='there is no target "x"; none is declared'):
        resolve(loaded(tmp_path, "[tool.connect-tasks]\n"), None, "x", {})


def test_app_names_never_raises(tmp_path: Path) -> None:
    assert app_names(tmp_path) == ()
    assert app_names(write(tmp_path, SEVERAL)) == ("sales", "stock")
    assert app_names(write(tmp_path, "[tool.connect-tasks]\napps = 3\n")) == ()
    assert app_names(write(tmp_path, '[tool.connect-tasks]\napps."a b" = 3\napps.c = 1\n')) == ("c",)
    assert app_names(write(tmp_path, "tool = 3\n")) == ()
    assert app_names(write(tmp_path, "[tool\n")) == ()


def test_app_names_of_tables_beside_the_apps(tmp_path: Path) -> None:
    write(tmp_path, "[tool.connect-tasks]\n[tool.connect-tasks.apps.sales]\npath = 'x'\n")
    write(tmp_path, '[project]\nname = "stock"\n[tool.connect-tasks]\n', "apps/one/pyproject.toml")
    write(tmp_path, "[tool.connect-tasks]\n", "apps/two/pyproject.toml")
    write(tmp_path, "[project]\n", "lib/pyproject.toml")
    write(tmp_path, "[tool\n", "broken/pyproject.toml")
    assert app_names(tmp_path, ["apps/one", "apps/two", "broken", "gone", "lib"]) == ("sales", "stock", "two")


# tables in the apps' own directories ----------------------------------------------------------------------------------


def test_tables_in_several_files(tmp_path: Path) -> None:
    write(tmp_path, '[tool.connect-tasks]\nbranch = "main"\ntargets.t.branch = "live"\n')
    write(tmp_path, '[project]\nname = "sales"\n[tool.connect-tasks]\ntitle = "Sales"\n', "apps/one/pyproject.toml")
    write(tmp_path, '[tool.connect-tasks]\ntargets.t.title = "Stock"\n', "apps/two/pyproject.toml")
    write(tmp_path, "[project]\n", "lib/pyproject.toml")
    config = load(tmp_path, ["apps/one", "apps/two", "lib", "gone"])
    assert [(app.name, app.path, app.branch, app.title) for app in (*config.apps, *config.on_targets)] == [
        ("sales", "apps/one", "main", "Sales"),
        ("two", "apps/two", "main", None),
        ("sales", "apps/one", "live", "Sales"),
        ("two", "apps/two", "live", "Stock"),
    ]


def test_tables_in_several_files_need_none_in_the_root(tmp_path: Path) -> None:
    write(tmp_path, "[tool.connect-tasks]\n", "apps/one/pyproject.toml")
    assert [app.path for app in load(tmp_path, ["apps/one"]).apps] == ["apps/one"]


@pytest.mark.parametrize(
    ("table", "beside"),
    [
        ('path = "."\n', "notes.txt"),
        ('guid = "8f6b1f4e-6a0a-4b7e-9a55-0d5f6f1f7b11"\n', "notes.txt"),
        ("", "manifest.json"),
        ('entrypoint = "site.wsgi:app"\n', "site/wsgi.py"),
        ('entrypoint = "web"\n', "web/__init__.py"),
    ],
)
def test_a_table_of_an_app_in_the_root_leaves_those_below_alone(tmp_path: Path, table: str, beside: str) -> None:
    write(tmp_path, f"[tool.connect-tasks]\n{table}")
    write(tmp_path, "", beside)
    write(tmp_path, "[tool.connect-tasks]\n", "examples/one/pyproject.toml")
    assert [app.path for app in load(tmp_path, ["examples/one"]).apps] == ["."]
    assert app_names(tmp_path, ["examples/one"]) == ("app",)


def test_an_app_in_the_root_does_not_vanish_in_silence(tmp_path: Path) -> None:
    """Nothing says whether the root's table is of the app beside it, or what the one below shares."""
    write(tmp_path, '[tool.connect-tasks]\nbranch = "main"\n')
    write(tmp_path, "", "main.py")
    write(tmp_path, "[tool.connect-tasks]\n", "apps/one/pyproject.toml")
    with pytest.raises(
        ConfigurationInvalid, match=r"is of the app in main\.py, or .* apps/one/pyproject\.toml"
    ) as caught:
        load(tmp_path, ["apps/one"])
    assert caught.value.where == "pyproject.toml:1"
    assert load(tmp_path).apps[0].path == "."
    write(tmp_path, '[tool.connect-tasks]\nbranch = "main"\npath = "."\n')
    assert [app.path for app in load(tmp_path, ["apps/one"]).apps] == ["."]
    write(tmp_path, '[tool.connect-tasks]\nbranch = "main"\n[tool.connect-tasks.apps]\n')
    assert [(app.path, app.branch) for app in load(tmp_path, ["apps/one"]).apps] == [("apps/one", "main")]


def test_what_is_wrong_in_several_files(tmp_path: Path) -> None:
    write(tmp_path, "[tool.connect-tasks]\nbranch = 1\n[tool.connect-tasks.apps.one]\npath = 'x'\n")
    write(tmp_path, "[tool.connect-tasks]\npath = 'y'\nentrypoint = 1\n", "apps/one/pyproject.toml")
    with pytest.raises(Problems) as caught:
        load(tmp_path, ["apps/one"])
    assert [(problem.where, problem.message) for problem in caught.value.problems] == [
        ("pyproject.toml:2", "tool.connect-tasks.branch must be a string, not a number"),
        (
            "apps/one/pyproject.toml:2",
            "tool.connect-tasks.path is settled by the app's place in the repository and can't be set here",
        ),
        ("apps/one/pyproject.toml:3", "tool.connect-tasks.entrypoint must be a string, not a number"),
        ("apps/one/pyproject.toml:1", "tool.connect-tasks is an app named one, as in pyproject.toml"),
    ]


# --path ---------------------------------------------------------------------------------------------------------------


def test_for_path(tmp_path: Path) -> None:
    (tmp_path / "apps" / "sales").mkdir(parents=True)
    for directory in ("apps/sales", "./apps/sales/", tmp_path / "apps" / "sales"):
        config = for_path(tmp_path, directory)
        assert config.apps == (App(name="sales", path="apps/sales"),)
        assert resolve(config, None, None, {}) == config.apps[0]
    assert for_path(tmp_path, ".").apps[0].path == "."


@pytest.mark.parametrize(
    ("directory", "message"),
    [
        ("..", "--path leads out of the repository"),
        ("/etc", "--path leads out of the repository"),
        ("out", "--path leads out of the repository"),
        ("gone", "--path is not a directory"),
        ("file", "--path is not a directory"),
    ],
)
def test_for_path_outside(tmp_path: Path, directory: str, message: str) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "file").touch()
    with pytest.raises(ConfigurationInvalid, match=message):
        for_path(root, directory)
