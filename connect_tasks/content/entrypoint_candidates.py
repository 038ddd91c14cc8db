"""Which mode and entrypoint an app may have, read from its sources without running them (pure)."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ..configuration import app_mode
from ..configuration.app_mode import AppMode

#: The names that rsconnect-python and Connect try, in their order.
FILES = ("app", "application", "main", "api")
OBJECTS, FACTORIES = ("app", "application"), ("create_app", "make_app")
DEFAULT_NAMES = (*OBJECTS, *FACTORIES)

#: Class or function of a framework -> the mode of what it makes.
_MAKERS = {
    "flask.Flask": app_mode.FLASK,
    "fastapi.FastAPI": app_mode.FASTAPI,
    "starlette.applications.Starlette": app_mode.FASTAPI,
    "quart.Quart": app_mode.FASTAPI,
    "litestar.Litestar": app_mode.FASTAPI,
    "falcon.App": app_mode.FLASK,
    "falcon.asgi.App": app_mode.FASTAPI,
    "bottle.Bottle": app_mode.FLASK,
    "django.core.wsgi.get_wsgi_application": app_mode.FLASK,
    "django.core.asgi.get_asgi_application": app_mode.FASTAPI,
    "dash.Dash": app_mode.DASH,
    "shiny.App": app_mode.SHINY,
    "gradio.Blocks": app_mode.GRADIO,
    "gradio.Interface": app_mode.GRADIO,
    "gradio.ChatInterface": app_mode.GRADIO,
    "gradio.TabbedInterface": app_mode.GRADIO,
}
#: Packages whose import makes a script of theirs, the more telling first: panel scripts import bokeh too.
_SCRIPTS = (("streamlit", app_mode.STREAMLIT), ("panel", app_mode.PANEL), ("bokeh", app_mode.BOKEH))
#: Ranks from here on belong to files that rsconnect-python would not take by itself.
_OTHER_FILES = 10 * len(FILES)
#: Directories and files that hold other things than the app.
_ASIDE = re.compile(
    r"(^|/)(tests?|docs?|examples?|scripts|migrations|node_modules|\..*)/|(^|/)(test_.*|.*_test|conftest|setup|noxfile|tasks|fabfile)\.py$"
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An entrypoint that the sources speak of. `rank`: smaller is likelier; equal ranks can't be told apart."""

    mode: AppMode
    entrypoint: str
    rank: int


def find_candidates(sources: Mapping[str, str | bytes]) -> tuple[Candidate, ...]:
    """Every app that the files of a directory (POSIX path -> content) define, the likeliest first.

    Files that do not parse define none.
    """
    python = {path: content for path, content in sources.items() if path.endswith(".py") and not _ASIDE.search(path)}
    single = sum(1 for path in python if "/" not in path) == 1
    found = [candidate for path, content in python.items() for candidate in _of_file(path, content, single=single)]
    if not found:
        found = list(_content(sources))
    return tuple(sorted(found, key=lambda candidate: (candidate.rank, candidate.entrypoint)))


def likeliest(candidates: Iterable[Candidate], mode: AppMode | None = None) -> tuple[Candidate, ...]:
    """The candidates of the best rank: one where the sources are unambiguous. `mode`: only those of that mode.

    Beyond the names that rsconnect-python would try, a guess between two kinds of app is nobody's wish: both are named.
    """
    fitting = [candidate for candidate in candidates if mode in (None, candidate.mode)]
    if fitting and fitting[0].rank >= _OTHER_FILES:
        firsts = {candidate.mode: candidate for candidate in reversed(fitting)}
        if len(firsts) > 1:
            return tuple(reversed(firsts.values()))
    return tuple(candidate for candidate in fitting if candidate.rank == fitting[0].rank)


def module_name(path: str) -> str:
    """`pkg/web.py` -> `pkg.web`, `pkg/__init__.py` -> `pkg`."""
    name = path.removesuffix(".py").removesuffix("/__init__")
    return name.replace("/", ".")


def module_file(entrypoint: str, paths: Container[str]) -> str | None:
    """The file among `paths` that holds an entrypoint's module, `pkg.web:app`; scripts are spelled `app.py` too."""
    module = entrypoint.partition(":")[0]
    script = module.removesuffix(".py")
    # `web.py` is a script, or else the module `py` of a package `web`.
    stems = (script,) if "/" in module else (script.replace(".", "/"), module.replace(".", "/"))
    named = (path for stem in stems if stem for path in (f"{stem}.py", f"{stem}/__init__.py"))
    return next((path for path in named if path in paths), None)


def express_entrypoint(entrypoint: str, sources: Mapping[str, str | bytes]) -> str | None:
    """How Connect starts a Shiny Express file, which holds no app object: `app` -> `shiny.express.app:app_2e_py`.

    None for anything else. It is what rsconnect-python records; it looks at files beside the manifest only.
    """
    path = entrypoint.removesuffix(".py") + ".py"
    content = sources.get(path)
    if content is None or "/" in path or not any(each.entrypoint == path[:-3] for each in _of_file(path, content)):
        return None
    escaped = re.sub(r"^[0-9]|[^a-zA-Z0-9]", lambda match: f"_{ord(match[0]):x}_", path)
    return f"shiny.express.app:{escaped}"


def _of_file(path: str, content: str | bytes, *, single: bool = False) -> Iterable[Candidate]:
    try:
        module = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    names = _imports(module)
    place = _place(path, single=single)
    if any(name == "shiny.express" or name.startswith("shiny.express.") for name in names.values()):
        yield Candidate(mode=app_mode.SHINY, entrypoint=module_name(path), rank=place)
        return
    made = list(_made(module, names))
    for name, mode in made:
        yield Candidate(
            mode=mode,
            entrypoint=f"{module_name(path)}:{name}",
            rank=place + (0 if name in OBJECTS else 1 if name in FACTORIES else 2),
        )
    used = {name.partition(".")[0] for name in names.values()}
    for package, mode in _SCRIPTS if not made else ():
        if package in used and "/" not in path:
            yield Candidate(mode=mode, entrypoint=module_name(path), rank=place)
            return


def _place(path: str, *, single: bool) -> int:
    """Files that rsconnect-python would take by itself come first, then the directory's own, then packages by depth."""
    stem = module_name(path).rpartition(".")[2]
    if "/" not in path:
        if stem in FILES:
            return 10 * FILES.index(stem)
        likely = single or re.fullmatch(r"app[-_].*|.*[-_]app|wsgi|asgi", stem)
        return _OTHER_FILES if likely else _OTHER_FILES + 10
    depth = path.count("/") - path.endswith("/__init__.py")
    within = 0 if path.endswith("/__init__.py") else 5 if stem in FILES else 7
    return _OTHER_FILES + 10 + 10 * depth + within


def _imports(module: ast.Module) -> dict[str, str]:
    """Local name -> what it stands for, of every import in the file."""
    names = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                if alias.name == "shiny.express":
                    names["shiny.express"] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _made(module: ast.Module, names: dict[str, str]) -> Iterable[tuple[str, AppMode]]:
    """(name, mode) of every app object bound at the top of a module, also under `with` and `if`, and every factory."""
    for node in _top_level(module.body):
        if isinstance(node, ast.ClassDef):
            bases = (_full_name(base, names) for base in node.bases)
            if app := next((full for full in bases if full and _mode_of(full)), None):
                names[node.name] = app
        elif isinstance(node, ast.FunctionDef) and _is_factory(node):
            calls = (part for part in ast.walk(node) if isinstance(part, ast.Call))
            made = {mode for call in calls if (mode := _maker(call, names))}
            if len(made) == 1:
                yield node.name, made.pop()
        for target, value in _bindings(node):
            if isinstance(value, ast.Call) and (mode := _maker(value, names)):
                yield target, mode


def _top_level(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.With | ast.Try):
            yield from _top_level(node.body)
            yield from _top_level(getattr(node, "orelse", []))


def _bindings(node: ast.stmt) -> Iterable[tuple[str, ast.expr | None]]:
    if isinstance(node, ast.Assign):
        yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, node.value
    elif isinstance(node, ast.With):
        yield from (
            (item.optional_vars.id, item.context_expr)
            for item in node.items
            if isinstance(item.optional_vars, ast.Name)
        )


def _is_factory(node: ast.FunctionDef) -> bool:
    required = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
    keywords = sum(default is None for default in node.args.kw_defaults)
    return node.name in FACTORIES and required + keywords == 0


def _maker(call: ast.Call, names: Mapping[str, str]) -> AppMode | None:
    full = _full_name(call.func, names)
    return _mode_of(full) if full else None


def _full_name(expression: ast.expr, names: Mapping[str, str]) -> str | None:
    """`flask.Flask` for whatever the file calls it."""
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.insert(0, expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name) or expression.id not in names:
        return None
    return ".".join([names[expression.id], *parts])


def _mode_of(full: str) -> AppMode | None:
    """Also for `flask.app.Flask`: the same class by its longer way."""
    return _MAKERS.get(full) or _MAKERS.get(f"{full.partition('.')[0]}.{full.rpartition('.')[2]}")


def documents(mode: AppMode, sources: Iterable[str]) -> tuple[Candidate, ...]:
    """The documents at the top of the directory that a mode of notebooks or pages could show."""
    suffix = {"notebook": ".ipynb", "static": ".html", "quarto": ".qmd"}.get(mode.kind)
    top = sorted(path for path in sources if "/" not in path and suffix and path.endswith(suffix))
    if "index.html" in top:
        top = ["index.html"]
    found = tuple(Candidate(mode=mode, entrypoint=path, rank=0) for path in top)
    if mode is app_mode.VOILA and len(found) > 1:
        return (Candidate(mode=mode, entrypoint="", rank=0),)  # a gallery of notebooks
    return found


def _content(sources: Iterable[str]) -> Iterable[Candidate]:
    """What a directory without Python apps may be: Quarto, notebooks, a saved model, pages."""
    names = set(sources)
    if names & {"_quarto.yml", "_quarto.yaml"}:
        yield Candidate(mode=app_mode.QUARTO, entrypoint="", rank=0)
    for rank, mode in enumerate((app_mode.NOTEBOOK, app_mode.QUARTO, app_mode.HTML), 1):
        yield from (replace(candidate, rank=rank) for candidate in documents(mode, names))
    if any(PurePosixPath(path).name == "saved_model.pb" for path in names):
        yield Candidate(mode=app_mode.TENSORFLOW, entrypoint="", rank=0)
