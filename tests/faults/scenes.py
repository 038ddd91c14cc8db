"""The kinds of runs that are disturbed: what stands in the repository, and what is typed."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ..pipeline.conftest import BARE_APP, BARE_TEST

PAGE = '[tool.connect-tasks]\npath = "app"\ncontent_name = "NAME"\nmode = "html"\nentrypoint = "index.html"\n'
WSGI = '[tool.connect-tasks]\npath = "app"\ncontent_name = "NAME"\nmode = "flask"\nentrypoint = "app:app"\n'
VERIFY = 'verify = { contains = "version" }\n'
TARGETS = "".join(f'[tool.connect-tasks.targets.{name}]\nserver = "{name.upper()}"\n' for name in ("here", "there"))
PAIR = ("one", "two")
SEVERAL = (
    '[tool.connect-tasks]\nmode = "html"\nentrypoint = "index.html"\n'
    + VERIFY
    + "MORE"
    + "".join(f'[tool.connect-tasks.apps.{name}]\npath = "{name}"\ncontent_name = "NAME-{name}"\n' for name in PAIR)
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A kind of run. `new`: each run is the first of a new item; else versions A and B take turns."""

    name: str
    table: str
    apps: tuple[str, ...] = ("app",)  # directories
    run: tuple[str, ...] = ("release",)  # what is disturbed
    first: tuple[str, ...] = ()  # what goes before it, undisturbed
    new: bool = False
    polled: bool = False  # somebody switches polling on before each run
    raced: bool = False  # somebody pushes another app's file before each run
    settles: bool = True  # the run puts a version live
    back: bool = False  # both versions are released, and the runs go from one to the other

    @property
    def elsewhere(self) -> bool:
        """It goes live on a second server."""
        return bool(self.first)

    def content_name(self, app: str, shop: str) -> str:
        return shop if len(self.apps) == 1 else f"{shop}-{app}"


SCENES = {
    scene.name: scene
    for scene in (
        Scene(name="release, update", table=PAGE + VERIFY),
        Scene(
            name="release, first",
            table=PAGE + VERIFY + 'vanity = "/NAME/"\ntitle = "A title"\nenv = ["SECRET_VALUE"]\n',
            new=True,
        ),
        Scene(name="release, deploy branch", table=PAGE + VERIFY + 'deploy_branch = "deploy/page"\n'),
        Scene(name="release, tag", table=PAGE + VERIFY + 'tag = "page-v{number}"\n'),
        Scene(name="release, polled", table=PAGE + VERIFY, polled=True),
        Scene(name="release, lost race", table=PAGE + VERIFY, raced=True),
        Scene(name="release, python", table=WSGI + VERIFY),
        Scene(name="release, pull request", table=PAGE + VERIFY, run=("release", "--pull-request"), settles=False),
        Scene(name="release of two apps", table=SEVERAL.replace("MORE", ""), apps=PAIR),
        Scene(
            name="release of two apps, a commit each",
            table=SEVERAL.replace("MORE", 'commits = "each"\n'),
            apps=PAIR,
            run=("release", "--jobs", "2"),
        ),
        Scene(name="rollback", table=PAGE + VERIFY, run=("rollback",), back=True),
        Scene(
            name="promote",
            table=PAGE + VERIFY + TARGETS,
            run=("promote", "--from", "here", "--to", "there"),
            first=("release", "--target", "here"),
        ),
    )
}


def files_of(scene: Scene, letter: str) -> dict[str, str]:
    """Path -> text: a version of the scene's apps."""
    if '"flask"' not in scene.table:
        return {f"{app}/index.html": f"version {letter}" for app in scene.apps}
    return {
        "app/app.py": BARE_APP.replace("version 1", f"version {letter}"),
        "app/test_app.py": BARE_TEST.replace("version 1", f"version {letter}"),
        "app/requirements.in": "",
        "app/.python-version": f"{sys.version_info.major}.{sys.version_info.minor}\n",
    }
