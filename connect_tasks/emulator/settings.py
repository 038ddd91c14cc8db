"""The writable content fields that this server only stores and hands back, with their types and ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connect_tasks.emulator.problems import Problem

THIRTY_DAYS: Final = 2_592_000  # seconds


@dataclass(frozen=True)
class Option:
    """A field: its JSON type, its default, its range, the code that refuses another value."""

    kind: type
    default: Any = None
    most: float | None = None
    problem: int = 25

    def checked(self, name: str, value: Any) -> Any:
        given = value  # isinstance() would narrow what is Any
        if value is None:
            return self.default
        if isinstance(value, bool) is not (self.kind is bool) or not isinstance(value, self._accepted):
            raise Problem(self.problem, f"The field {name} is not a {self.kind.__name__}.")
        if self.most is not None and not 0 <= given <= self.most:
            raise Problem(self.problem, f"The field {name} is not between 0 and {self.most:g}.")
        if isinstance(value, str) and len(value) > 4096:
            raise Problem(self.problem, f"The field {name} is too long.")
        return value

    @property
    def _accepted(self) -> tuple[type, ...]:
        return (int, float) if self.kind is float else (self.kind,)


_TIMEOUT: Final = Option(int, most=THIRTY_DAYS, problem=151)
_COUNT: Final = Option(int, most=1_000_000, problem=13)
_AMOUNT: Final = Option(float, most=2**53, problem=13)
_TEXT: Final = Option(str)
_FLAG: Final = Option(bool)

OPTIONS: Final[Mapping[str, Option]] = {
    "locked": Option(bool, default=False),
    "locked_message": Option(str, default=""),
    **dict.fromkeys(("connection_timeout", "read_timeout", "init_timeout", "idle_timeout"), _TIMEOUT),
    **dict.fromkeys(("max_processes", "min_processes", "max_conns_per_process"), _COUNT),
    "load_factor": Option(float, most=1, problem=150),
    **dict.fromkeys(("memory_request", "memory_limit", "cpu_request", "cpu_limit"), _AMOUNT),
    **dict.fromkeys(("amd_gpu_limit", "nvidia_gpu_limit"), _COUNT),
    **dict.fromkeys(("service_account_name", "default_image_name", "default_environment_guid"), _TEXT),
    **dict.fromkeys(("default_r_environment_management", "default_py_environment_management"), _FLAG),
    "run_as": _TEXT,
    "run_as_current_user": Option(bool, default=False),
    "metrics_collection_enabled": _FLAG,
    "draft_marker_enabled": _FLAG,
}


def checked_options(body: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the body; null resets one to its default. Raises Problem."""
    return {name: option.checked(name, body[name]) for name, option in OPTIONS.items() if name in body}


def all_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: stored.get(name, option.default) for name, option in OPTIONS.items()}
