"""Nox sessions that release a Python app to Posit Connect by the git-backed route.

In a noxfile::

    import connect_tasks

    connect_tasks.register()

Importing this package costs next to nothing: nothing is registered and no library is loaded before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .verbs import NAMES as _VERBS

if TYPE_CHECKING:
    from .sessions import register as register

__all__ = ["register"]


def __getattr__(name: str) -> Any:
    """`from connect_tasks import manifest, release` registers those sessions, as `register("manifest", "release")`."""
    if name == "register":
        from .sessions import register

        return register
    if name in _VERBS:
        from .sessions import register_one

        return register_one(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_VERBS])
