"""4xx and 5xx: manifest, entrypoint and files of the app, and its tests."""

from __future__ import annotations

from .problem import Problem


class ModeUnknown(Problem):
    """The app mode can't be detected or is not one that Connect knows.

    Why: Connect starts a Flask app in another way than a Dash app, and the manifest must say which.

    Next: set `mode = "flask"` (or another) in `[tool.connect-tasks]`.
    """

    code = "CT400"


class EntrypointWrong(Problem):
    """The entrypoint can't be imported, or is not an app of the declared mode.

    Why: it was imported as Connect does it, with the frozen packages and the files of the commit alone. An untracked
    module or an undeclared package fails here, before it fails on the server.

    Next: mend the import error that is shown, or set `entrypoint = "module:object"`.
    """

    code = "CT401"


class ManifestStale(Problem):
    """manifest.json does not describe the files beside it.

    Why: Connect would install or start something else than the commit holds.

    Next: `nox -s manifest`, then `nox -s commit`.
    """

    code = "CT402"


class ManifestRefused(Problem):
    """rsconnect-python would not write a manifest; its own words are in the message.

    Why: the app mode needs a file that is not there, or a tool (Quarto) is not installed.

    Next: supply what it asks for, then `nox -s manifest`.
    """

    code = "CT403"


class ManifestInvalid(Problem):
    """manifest.json is not a manifest: merge markers, broken JSON, keys that nobody knows.

    Why: Connect refuses it, or reads it otherwise than you do.

    Next: `nox -s manifest` writes it anew; resolve merges of it by doing that, never by hand.
    """

    code = "CT404"


class ContentRefused(Problem):
    """A file of the app that must not be shipped: a secret, a pointer to content elsewhere, one over the size limit.

    Why: whatever is in the bundle can be downloaded by every collaborator, and stays in git for good.

    Next: remove it from git, list it in `exclude`, or in `allow` where it is meant to ship.
    """

    code = "CT405"


class Drift(Problem):
    """`check` found differences between the committed files and their commit.

    Why: somebody changed the app or its dependencies, and not the files that describe them to Connect.

    Next: `nox -s freeze manifest commit`.
    """

    code = "CT490"
    exit_code = 2


class TestsFailed(Problem):
    """The app's own tests failed.

    Why: they ran on an export of the commit with the frozen packages: a file that is not in git, or a package that is
    not declared, is missing there as it would be on the server.

    Next: mend the app or its tests, commit, and run the same command again.
    """

    __test__ = False  # the name is the field's; pytest must not collect it
    code = "CT500"


class TestPathMissing(Problem):
    """A declared test path does not exist in the commit.

    Why: tests that are not there would pass by not being run.

    Next: `git add PATH && git commit`, or correct `test.paths`.
    """

    __test__ = False  # the name is the field's; pytest must not collect it
    code = "CT501"
