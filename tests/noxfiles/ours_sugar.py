"""The short spelling."""

from connect_tasks import manifest, release  # noqa: F401
