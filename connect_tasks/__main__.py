"""`python -m connect_tasks VERB`, and the command `connect-tasks`."""

import sys

from .garbage import seldom_collected


def main() -> int:
    """Run the verb of the command line -> its exit code."""
    with seldom_collected():
        from .cli import main as run

        return run()


if __name__ == "__main__":
    sys.exit(main())
