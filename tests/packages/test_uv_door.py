"""How uv is asked, and how its failures read."""

from __future__ import annotations

import pytest

from connect_tasks.packages.uv_door import reasons, uv_environment

OLD = """  × No solution found when resolving dependencies:
  ╰─▶ Because only web==1.0 is available and you require web>=1.1, we can
      conclude that your requirements are unsatisfiable.

      hint: `web` was found, but
      not that version
"""
NEW = """warning: the cache is cold
error: No solution found when resolving dependencies
  cause: Because only web==1.0 is available and you require web>=1.1, we can conclude that your requirements are \
unsatisfiable.

hint: `web` was found, but not that version
"""


@pytest.mark.parametrize("text", [OLD, NEW.replace("\\\n", "")])
def test_both_forms_of_uvs_reasons_are_one_line(text: str) -> None:
    causes, hints = reasons(text)
    assert ": ".join(causes) == (
        "No solution found when resolving dependencies: Because only web==1.0 is available and you require web>=1.1, "
        "we can conclude that your requirements are unsatisfiable"
    )
    assert hints == ["`web` was found, but not that version"]


def test_a_chain_of_causes() -> None:
    text = "error: Failed to fetch: `http://host.example/`\n  Caused by: error sending request\n  Caused by: refused\n"
    assert reasons(text) == (["Failed to fetch: `http://host.example/`", "error sending request", "refused"], [])


def test_silence() -> None:
    assert reasons("") == ([], [])


def test_the_environment_of_a_child() -> None:
    env = uv_environment(
        {
            "PATH": "/bin",
            "UV_CACHE_DIR": "/c",
            "UV_INDEX_OURS_PASSWORD": "p",
            "UV_RESOLUTION": "lowest",
            "UV_PROJECT": "/x",
            "VIRTUAL_ENV": "/v",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": "/p",
            "UV_PYTHON": "3.8",
        },
        {"UV_DEFAULT_INDEX": "https://host.example/"},
    )
    assert {name for name in env if not name.startswith(("UV_NO_", "NO_"))} == {
        "PATH",
        "UV_CACHE_DIR",
        "UV_INDEX_OURS_PASSWORD",
        "UV_DEFAULT_INDEX",
        "UV_PYTHON_DOWNLOADS",
    }
