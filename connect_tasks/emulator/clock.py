"""Time as Connect writes it."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    return stamp(datetime.now(timezone.utc))


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: `2024-12-02T18:41:14Z`."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
