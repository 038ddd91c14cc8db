"""What `init` would write, as a value: from what was found and what was asked for. Pure."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from .app_search import FoundApp
from .habit_files import PRE_COMMIT, with_hook, workflow
from .noxfile_text import NOXFILE, in_script_mode, parses, with_sessions
from .table_text import FILE, Shared, with_table
from .work_files import GITIGNORE

#: The Python that runs us in CI: any that we support will do, the app's own is found or installed beside it.
CI_PYTHON = "3.12"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was asked for besides: `ci` is github or gitlab."""

    pre_commit: bool = False
    ci: str | None = None


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the plan depends on: the apps, the repository, the texts that are there (by path; absent: no such file).

    `configured`: the table is there already, so the apps are not looked at. `python`: the minor to declare, where the
    app's directory (or one above it) declares none; `python_ignored`: `.python-version` is there and git ignores it.
    `nox_lacks_us`: the nox on PATH can't import connect_tasks.
    """

    apps: tuple[FoundApp, ...]
    texts: dict[str, str]
    has_repository: bool
    configured: bool = False
    shared: Shared
    branch: str = "main"
    python: dict[str, str]
    python_ignored: bool = False
    nox_lacks_us: bool = False


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One file: `old` None where there is none yet."""

    path: str
    old: str | None
    new: str

    def diff(self) -> Iterator[str]:
        """As `git diff` shows it, without the index line."""
        before = [] if self.old is None else self.old.splitlines()
        name = "/dev/null" if self.old is None else f"a/{self.path}"
        yield from difflib.unified_diff(before, self.new.splitlines(), name, f"b/{self.path}", lineterm="")


@dataclass(frozen=True, kw_only=True)
class InitPlan:
    """`git_init` comes first, then the files in their order; `notes` is what people should know or do by hand."""

    git_init: bool
    files: tuple[FileChange, ...]
    notes: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not self.git_init and not self.files


def plan_init(there: Surroundings, wishes: Wishes) -> InitPlan:
    """The files that differ from what they ought to be; none when all is there already."""
    notes: list[str] = [note for app in there.apps for note in app.notes]
    wanted = {**_table(there, notes), **_requirements(there, notes), **_pythons(there)}
    wanted |= {**_noxfile(there, notes), **_gitignore(there)}
    wanted |= {**_hook(there, wishes, notes), **_workflow(there, wishes, notes)}
    files = tuple(
        FileChange(path=path, old=there.texts.get(path), new=text)
        for path, text in wanted.items()
        if there.texts.get(path) != text
    )
    return InitPlan(git_init=not there.has_repository, files=files, notes=tuple(dict.fromkeys(notes)))


def _table(there: Surroundings, notes: list[str]) -> dict[str, str]:
    if there.configured:
        return {}
    untested = [app.name for app in there.apps if app.has_python and not app.tests]
    notes += [f"{name}: no tests found; the import of its entrypoint is all that is tested" for name in untested]
    ignored = next(iter(there.python.values()), None) if there.python_ignored else None
    return {FILE: with_table(there.texts.get(FILE, ""), there.apps, there.shared, ignored)}


def _requirements(there: Surroundings, notes: list[str]) -> dict[str, str]:
    """requirements.in of what is imported, for an app that declares nothing."""
    wanted = {}
    for app in there.apps:
        if app.declared is not None or not app.has_python:
            continue
        path = posixpath.normpath(posixpath.join(app.path, "requirements.in"))
        wanted[path] = "".join(f"{name}\n" for name in app.imported.packages)
        if app.imported.declared_in:
            notes.append(f"{path} is what {app.imported.declared_in} declares: Connect looks into {app.path} only")
        else:
            notes.append(f"{path} is what the app imports, since nothing declared it: look it through")
        if app.imported.unknown:
            names = ", ".join(app.imported.unknown)
            notes.append(f"imported, and not known which package brings it: {names}; add it to {path}")
    return wanted


def _pythons(there: Surroundings) -> dict[str, str]:
    return {} if there.python_ignored else {path: f"{minor}\n" for path, minor in there.python.items()}


def _noxfile(there: Surroundings, notes: list[str]) -> dict[str, str]:
    text = there.texts.get(NOXFILE)
    if text is not None and not parses(text):
        notes.append(
            f"{NOXFILE} does not parse and is left as it is; add: import connect_tasks; connect_tasks.register()"
        )
        return {}
    if there.nox_lacks_us and not in_script_mode(with_sessions(text)):
        notes.append("the nox on PATH can't import connect_tasks yet: pipx inject nox connect-tasks")
    return {NOXFILE: with_sessions(text)}


def _gitignore(there: Surroundings) -> dict[str, str]:
    return {} if there.has_repository or ".gitignore" in there.texts else {".gitignore": GITIGNORE}


def _hook(there: Surroundings, wishes: Wishes, notes: list[str]) -> dict[str, str]:
    if not wishes.pre_commit:
        return {}
    text = with_hook(there.texts.get(PRE_COMMIT))
    if text is None:
        notes.append(
            f"{PRE_COMMIT} has no plain list of repos and is left as it is; add the hook connect-check by hand"
        )
        return {}
    return {PRE_COMMIT: text}


def _workflow(there: Surroundings, wishes: Wishes, notes: list[str]) -> dict[str, str]:
    if wishes.ci is None:
        return {}
    made = workflow(wishes.ci, branch=there.branch, python=CI_PYTHON, apps=tuple(app.name for app in there.apps))
    there_already = there.texts.get(made.path)
    if there_already is None:
        return {made.path: made.text}
    if "connect-tasks" in there_already:
        return {}
    beside = "connect.gitlab-ci.yml"
    notes.append(f"{made.path} is left as it is; add to it: include: {{ local: {beside} }}")
    return {beside: made.text}
