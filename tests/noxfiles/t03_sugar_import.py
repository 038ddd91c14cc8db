"""T3: to a linter, the import that registers sessions is unused, and `ruff check --fix` deletes it."""

from connect_tasks import deploy, freeze
