"""What a repository may have besides: the pre-commit hook, a workflow of its CI. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

PRE_COMMIT = ".pre-commit-config.yaml"
HOOK = "connect-check"
_HOOK_LINES = (
    "- repo: local",
    "  hooks:",
    f"    - id: {HOOK}",
    "      name: requirements and manifest describe what is committed",
    "      entry: connect-tasks check --staged",
    "      language: python",
    "      additional_dependencies: [connect-tasks]",
    "      pass_filenames: false",
)
#: The address and key of the server come from the CI system's own store of variables.
_GITHUB = """\
# Made by connect_tasks init. The repository's settings need the variable CONNECT_SERVER and the secret CONNECT_API_KEY.
name: connect
on:
  push:
    branches: ["{branch}"]
  pull_request:
concurrency:
  group: connect-${{{{ github.ref }}}}
jobs:
  rehearse:
    if: github.event_name == 'pull_request'
    runs-on: ubuntu-latest
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "{python}"
      - run: pip install "connect-tasks[emulator]"
{rehearse}
  release:
    if: github.event_name == 'push'
    runs-on: ubuntu-latest
    permissions:
      contents: write # the generated files are committed and pushed; such a push starts no workflow
    steps:
      - uses: actions/checkout@v4
        with:
          ref: "{branch}"
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "{python}"
      - run: pip install connect-tasks
      - run: |
          git config user.name "github-actions[bot]"
          git config user.email "41898282+github-actions[bot]@users.noreply.github.com"
      - run: connect-tasks release
        env:
          CONNECT_SERVER: ${{{{ vars.CONNECT_SERVER }}}}
          CONNECT_API_KEY: ${{{{ secrets.CONNECT_API_KEY }}}}
"""
_GITLAB = """\
# Made by connect_tasks init. Set CONNECT_SERVER, CONNECT_API_KEY and CONNECT_PUSH_TOKEN (a project access token that
# may write to the repository) under Settings > CI/CD > Variables, masked and protected.
connect-rehearse:
  image: python:{python}
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"
  script:
    - pip install "connect-tasks[emulator]"
{rehearse}

connect-release:
  image: python:{python}
  rules:
    - if: $CI_COMMIT_BRANCH == "{branch}" && $CI_PIPELINE_SOURCE != "schedule"
  resource_group: connect
  variables:
    GIT_DEPTH: "0"
  script:
    - pip install connect-tasks
    - git config user.name "$GITLAB_USER_NAME"
    - git config user.email "$GITLAB_USER_EMAIL"
    # the token stays in the environment: git asks this helper for it
    - git config credential.helper '!f() {{ echo username=oauth2; echo "password=$CONNECT_PUSH_TOKEN"; }}; f'
    - git remote set-url origin "$CI_PROJECT_URL.git"
    - connect-tasks release
"""


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A CI system's file: its path, and the text for a branch of people, a Python that runs us, and the apps."""

    path: str
    text: str


def workflow(system: str, *, branch: str, python: str, apps: tuple[str, ...]) -> Workflow:
    """`system`: github or gitlab. A pull request rehearses each of the apps; a push to the branch releases them."""
    commands = [f"connect-tasks rehearse --app {app}" for app in apps] if len(apps) > 1 else ["connect-tasks rehearse"]
    path, template, start = {
        "github": (".github/workflows/connect.yml", _GITHUB, "      - run: "),
        "gitlab": (".gitlab-ci.yml", _GITLAB, "    - "),
    }[system]
    rehearse = "\n".join(start + command for command in commands)
    return Workflow(path=path, text=template.format(branch=branch, python=python, rehearse=rehearse))


def with_hook(text: str | None) -> str | None:
    """The pre-commit configuration with our hook; None where it is written in a way that nothing can be added to.

    The text around it stays byte for byte: a parser says where the list of repositories ends, and nothing is dumped.
    """
    import yaml

    if text is None or not text.strip():
        return "repos:\n" + "".join(f"  {line}\n" for line in _HOOK_LINES)
    try:
        before = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    if not isinstance(before, dict) or not isinstance(root, yaml.MappingNode):
        return None
    if any(hook.get("id") == HOOK for repo in before.get("repos") or () for hook in repo.get("hooks") or ()):
        return text
    found = next((value for key, value in root.value if key.value == "repos"), None)
    if not isinstance(found, yaml.SequenceNode) or not found.value or found.flow_style:
        return None
    lines = text.splitlines(keepends=True)
    at = _last_line(found) + 1
    end = "\r\n" if "\r\n" in text else "\n"
    head = lines[:at]
    if not head[-1].endswith(("\n", "\r")):
        head[-1] += end
    indent = " " * found.start_mark.column
    whole = "".join([*head, *(f"{indent}{line}{end}" for line in _HOOK_LINES), *lines[at:]])
    after = yaml.safe_load(whole)
    added = yaml.safe_load("\n".join(_HOOK_LINES))
    return whole if after == {**before, "repos": [*before["repos"], *added]} else None


def _last_line(node: yaml.Node) -> int:
    """The last line that holds something of a node: the end mark of a block stands behind what follows it."""
    pairs = node.value if isinstance(node.value, list) else []
    children = [part for pair in pairs for part in (pair if isinstance(pair, tuple) else (pair,))]
    if children:
        return max(_last_line(child) for child in children)
    line: int = node.end_mark.line
    return line - (node.end_mark.column == 0 and line > node.start_mark.line)
