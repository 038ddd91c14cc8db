"""3xx: Python and dependencies."""

from __future__ import annotations

from .problem import Problem


class PythonMissing(Problem):
    """No interpreter on this computer satisfies the app's Python, or the app does not say which it needs.

    Why: pins of Python 3.11 are not those of 3.12; tests under another Python prove nothing about the server's.

    Next: install the version that is named (`uv python install 3.12`, pyenv), or write it into `.python-version`.
    """

    code = "CT300"


class DependenciesMissing(Problem):
    """The app's directory holds no dependency declaration that we know, or one that can't be read.

    Why: what is installed on your computer says nothing about what the app needs.

    Next: list what the app imports in `requirements.in`, then `git add requirements.in`.
    """

    code = "CT301"


class ResolutionFailed(Problem):
    """uv could not resolve or install the dependencies.

    Why: an index out of reach, a package without a wheel for the server's platform, a build that fails. uv's own words
    are in the message.

    Next: correct what it names; `platform` in the configuration says which wheels are wanted.
    """

    code = "CT302"


class RequirementRefused(Problem):
    """A line of a requirements file that must not be shipped (credentials, editable, local path).

    Why: the file is committed for everybody to read, and the server has no such path.

    Next: replace the line that is named by a plain requirement; indexes belong into pip's or uv's configuration.
    """

    code = "CT303"


class RequirementsConflict(ResolutionFailed):
    """The index was read, and no set of releases satisfies what is required.

    Why: two requirements exclude each other, or a pin that is kept excludes a new requirement.

    Next: loosen one of those that are named, or let pins move with `nox -s freeze -- --upgrade NAME`.
    """

    code = "CT304"


class RequirementsMissing(Problem):
    """There is no requirements.txt to describe or to install.

    Why: the manifest names it, and the tests run in an environment made from it.

    Next: `nox -s freeze`.
    """

    code = "CT305"
