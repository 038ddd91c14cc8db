"""1xx: usage and configuration."""

from __future__ import annotations

from .problem import Problem


class UsageWrong(Problem):
    """An argument that the verb does not know, or one without its value.

    Why: a misspelt `--target` that was passed over would release to the wrong place; so nothing is passed over.

    Next: `python -m connect_tasks VERB --help` lists what the verb knows; under nox arguments stand after `--`.
    """

    code = "CT100"
    exit_code = 4


class ConfigurationMissing(Problem):
    """No `[tool.connect-tasks]` table, and no `--path`.

    Why: without a table nobody has said that this repository holds an app that is meant for Connect.

    Next: add the line `[tool.connect-tasks]` to pyproject.toml; every key below it has a default or is found.
    """

    code = "CT101"
    exit_code = 4


class ConfigurationInvalid(Problem):
    """A value of the wrong kind, an unknown key, a path that leaves the repository.

    Why: a key that is read past is a setting that you believe in and that does not hold. Everything that is wrong is
    said at once, each with its line.

    Next: correct the line that is named; the configuration reference has an example for each key.
    """

    code = "CT102"
    exit_code = 4


class AppUnknown(Problem):
    """`--app NAME` names no app, or several apps exist and none was named.

    Why: the verb moves one app at a time, and a guess could move the wrong one.

    Next: `--app NAME` with one of the names that the message lists.
    """

    code = "CT103"
    exit_code = 4


class TargetUnknown(Problem):
    """`--target NAME` names no target.

    Why: where targets are declared, what differs between them (server, branch) is only known for those.

    Next: `--target NAME` with a declared one, or add a table `[tool.connect-tasks.targets.NAME]`.
    """

    code = "CT104"
    exit_code = 4


class SessionNameTaken(Problem):
    """A session asked for by name exists in the noxfile already.

    Why: nox keeps the last session of a name, so that ours would silently replace yours, or yours ours.

    Next: `connect_tasks.register("NAME", prefix="connect_")`, or `register()` without names, which yields.
    """

    code = "CT105"
    exit_code = 4
