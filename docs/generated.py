"""The reference pages, made from the code whenever the site is built: nothing of them is written twice.

A hook of MkDocs (`hooks:` in mkdocs.yml); what renders is pure and tested without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import connect_tasks
from connect_tasks.configuration.keys import APP_KEYS, HOOK_KEYS, PROCESS_KEYS, TARGET_KEYS, TEST_KEYS, VERIFY_KEYS
from connect_tasks.configuration.kinds import Key
from connect_tasks.configuration.values import App, TestSettings, VerifySettings
from connect_tasks.errors.explained import Explanation, explain, kinds
from connect_tasks.verbs import EXIT_CODES, VERBS, Argument, Verb

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

REPORT_SCHEMA = Path(connect_tasks.__file__).with_name("report.schema.json")
#: Pages written by hand that appear in the navigation where they are there.
MORE = {"Tried on apps of others": "tried.md", "Faults": "faults.md"}


# verbs ----------------------------------------------------------------------------------------------------------------


def render_verbs() -> str:
    """Every verb with its manual, its arguments and its examples."""
    rows = (f"| [`{verb.name}`](#{verb.name}) | {_cell(verb.summary)} |" for verb in VERBS)
    intro = (
        "# Sessions and verbs",
        (
            "Each is a nox session, `nox -s VERB -- ARGUMENTS`, and a command, `python -m connect_tasks VERB "
            "ARGUMENTS`. Both have the same grammar. An argument that a verb does not know is an error."
        ),
        "\n".join(("| verb | what it does |", "|---|---|", *rows)),
    )
    return _page(*intro, *(part for verb in VERBS for part in _verb(verb)))


def _verb(verb: Verb) -> Iterator[str]:
    yield f"## {verb.name} {{ #{verb.name} }}"
    yield verb.summary
    yield verb.manual
    rows = (f"| `{_synopsis(argument)}` | {_cell(_help(argument))} |" for argument in verb.arguments)
    yield "\n".join(("| argument | meaning |", "|---|---|", *rows))
    lines = (f"nox -s {verb.name}" + (f" -- {example}" if example else "") for example in verb.examples)
    yield "\n".join(("```sh", *lines, "```"))


def _synopsis(argument: Argument) -> str:
    value = argument.options.get("metavar")
    if value is None:
        choices = argument.options.get("choices")
        value = "{" + ",".join(map(str, choices)) + "}" if isinstance(choices, tuple | list) else ""
    optional = argument.options.get("nargs") == "?"
    return " ".join(filter(None, (", ".join(argument.flags), f"[{value}]" if optional else str(value)))).replace(
        "|", "\\|"
    )


def _help(argument: Argument) -> str:
    text = str(argument.options["help"]).replace("%(default)s", str(argument.options.get("default")))
    return text + ("; required" if argument.options.get("required") else "")


# configuration --------------------------------------------------------------------------------------------------------


def render_configuration() -> str:
    """Every key, with its kind, its default and an example."""
    return _page(
        "# Configuration",
        "All of it stands in `[tool.connect-tasks]` of the repository's `pyproject.toml`. Every key may be left out. "
        "Editors complete it with the schema `connect_tasks/schema.json`.",
        "Where a value can stand, the weakest first: `[tool.connect-tasks]` for all apps, "
        "`[tool.connect-tasks.targets.TARGET]`, `[tool.connect-tasks.apps.APP]`, "
        "`[tool.connect-tasks.apps.APP.targets.TARGET]`. Below all of them are the records of `[tool.rsconnect]` and "
        "`.posit/publish/*.toml`.",
        *_keys(APP_KEYS, _defaults(App), ""),
    )


def _keys(keys: Mapping[str, Key], defaults: Mapping[str, object], outer: str) -> Iterator[str]:
    tables = {
        "test": (TEST_KEYS, TestSettings),
        "verify": (VERIFY_KEYS, VerifySettings),
        "process": (PROCESS_KEYS, None),
        "hooks": (HOOK_KEYS, None),
    }
    for name, key in keys.items():
        yield f"{'###' if outer else '##'} {outer}{name} {{ #{(outer + name).replace('.', '-')} }}"
        place = "" if outer or name in TARGET_KEYS else " It is the same for every target."
        yield f"{key.about}{place}"
        yield f"Kind: {_kind(key.kind.schema)}. {_default(defaults.get(name))}".rstrip()
        table = f"[tool.connect-tasks{'.' + outer.rstrip('.') if outer else ''}]"
        yield "\n".join(("```toml", table, f"{name} = {key.example}", "```"))
        if not outer and name in tables:
            inner, settings = tables[name]
            yield from _keys(inner, _defaults(settings) if settings else {}, f"{name}.")


def _kind(schema: Any) -> str:
    """A JSON Schema in words."""
    if "enum" in schema:
        choices = [f"`{word}`" for word in schema["enum"]]
        return f"one of {', '.join(choices)}" if len(choices) < 20 else f"{choices[0]}, or another word of the schema"
    if "anyOf" in schema:
        return ", or ".join(_kind(each) for each in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        return f"a list, each {_kind(schema['items'])}"
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    words = {"string": "a string", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
    word = words.get(str(kind), "a table")
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if most is None:
        return word
    return f"{word} {'above' if 'exclusiveMinimum' in schema else 'from'} {least:,} to {most:,}"


def _defaults(settings: type) -> Mapping[str, object]:
    return {field.name: field.default for field in fields(settings)}


def _default(value: object) -> str:
    match value:
        case bool():
            return f"Default: `{str(value).lower()}`."
        case str():
            return f'Default: `"{value}"`.'
        case int() | float():
            return f"Default: `{value:g}`." if isinstance(value, float) else f"Default: `{value}`."
        case _:
            return ""


# errors, exit codes, report -------------------------------------------------------------------------------------------


def render_errors() -> str:
    """Every problem with what, why and next, under an anchor of its code."""
    explained = [explain(kind) for kind in kinds()]
    parts = [
        "# Errors",
        (
            "Each has a code that stays. What is printed is one line with what and where, and one with the next "
            "command for your case; here stands what is behind it. `python -m connect_tasks --explain CT402` prints "
            "the same without a network."
        ),
    ]
    for area, members in groupby(explained, key=lambda each: each.area):
        parts.append(f"## {area}")
        parts += [part for each in members for part in _error(each)]
    return _page(*parts)


def _error(each: Explanation) -> Iterator[str]:
    yield f"### {each.code} {each.name} {{ #{each.code} }}"
    yield each.what
    yield f"**Why:** {_capital(each.why)}"
    yield f"**Next:** {_capital(each.next)}"
    yield f"Exit code {each.exit_code}."


def render_exit_codes() -> str:
    """The exit codes, and which problems end with them."""
    by_code: dict[int, list[str]] = {}
    for kind in kinds():
        by_code.setdefault(kind.exit_code, []).append(kind.code)
    rows = []
    for code, meaning in EXIT_CODES.items():
        codes = by_code.get(code, [])
        listed = ", ".join(f"[{each}](errors.md#{each})" for each in codes) if len(codes) < 20 else "all others"
        rows.append(f"| {code} | {_cell(meaning)} | {listed} |")
    return _page(
        "# Exit codes",
        "Of `python -m connect_tasks VERB`. Under nox every failure is 1, and what stands here is said in the message.",
        "\n".join(("| exit code | meaning | errors |", "|---|---|---|", *rows)),
    )


def render_report() -> str:
    """The report's schema as tables."""
    schema = json.loads(REPORT_SCHEMA.read_text(encoding="utf-8"))
    parts = [
        "# The report",
        (
            f"`--json FILE` writes it, `--json -` to standard output, and all else then goes to standard error. "
            f"{schema['description']} The schema itself is `connect_tasks/report.schema.json`."
        ),
    ]
    for name, definition in schema["definitions"].items():
        if "properties" not in definition:
            continue
        rows = (
            f"| `{key}` | {_cell(value['description'])} | {'yes' if key in definition['required'] else 'not always'} |"
            for key, value in definition["properties"].items()
        )
        parts += [
            f"## {name}",
            definition["description"],
            "\n".join(("| key | meaning | there |", "|---|---|---|", *rows)),
        ]
    return _page(*parts)


PAGES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "reference/verbs.md": ("Sessions and verbs", render_verbs),
    "reference/configuration.md": ("Configuration", render_configuration),
    "reference/errors.md": ("Errors", render_errors),
    "reference/exit-codes.md": ("Exit codes", render_exit_codes),
    "reference/report.md": ("The report", render_report),
}


# the hook -------------------------------------------------------------------------------------------------------------


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages into the navigation."""
    there = {title: name for title, name in MORE.items() if Path(config.docs_dir, name).is_file()}
    nav = list(config.nav or ())
    nav.append({"Reference": [{title: name} for name, (title, _) in PAGES.items()]})
    if there:
        nav.append({"Evidence": [{title: name} for title, name in there.items()]})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    for name, (_, render) in PAGES.items():
        files.append(File.generated(config, name, content=render()))
    return files


def _page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
