"""The environment in which git runs for us: no prompt, no pager, no editor, messages in English, and nothing of a hook
that we may run inside."""

from __future__ import annotations

from collections.abc import Mapping

from ..process import child_environment

#: What git sets for its hooks, and what would make our calls speak of another repository, index or object store (`git
#: rev-parse --local-env-vars`, without the configuration given by environment: that one is the user's, and CI systems
#: authenticate through it).
LOCATING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
)
#: What would change how paths are read or how differences are shown.
_BENDING = (
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_ASK_YESNO",
)


def git_environment(environ: Mapping[str, str], config: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a git of ours, with `config` added: an argument list is public, the environment is not."""
    env = child_environment(environ, **dict.fromkeys((*LOCATING, *_BENDING)))
    # LC_ALL would take hooks out of the user's encoding; only the language of the messages has to be ours, since we
    # read a few of them.
    spoken = env.pop("LC_ALL", None)
    if spoken:
        env["LANG"] = env["LC_CTYPE"] = spoken
    env |= {
        "LC_MESSAGES": "C",
        "LANGUAGE": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": ":",
        "GIT_SEQUENCE_EDITOR": ":",
        "GIT_MERGE_AUTOEDIT": "no",
    }
    return with_config(env, config)


def with_config(env: Mapping[str, str], config: Mapping[str, str]) -> dict[str, str]:
    """`env` with these settings added, behind those that the user gives by environment.

    As git itself hands `-c` settings to its children: GIT_CONFIG_COUNT, the documented way, is unknown to git 2.30.
    """
    given = [env["GIT_CONFIG_PARAMETERS"]] if env.get("GIT_CONFIG_PARAMETERS") else []
    added = [_quoted(f"{name}={value}") for name, value in config.items()]
    return {**env, "GIT_CONFIG_PARAMETERS": " ".join([*given, *added])} if added else dict(env)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''").replace("!", "'\\!'") + "'"


def without_a_terminal(env: Mapping[str, str], *, own_ssh_command: bool) -> dict[str, str]:
    """`env` for a call that talks to a remote: ssh fails at once instead of asking, unless the user gave it a command
    or a way to ask."""
    if own_ssh_command or any(env.get(name) for name in ("GIT_SSH", "GIT_SSH_COMMAND", "SSH_ASKPASS")):
        return dict(env)
    return {**env, "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
