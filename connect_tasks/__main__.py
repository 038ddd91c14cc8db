"""`python -m connect_tasks VERB`, and the command `connect-tasks`."""

import gc
import sys

#: Objects that come to be before Python looks for garbage in cycles: a run is short, and to look through hundreds of
#: modules again and again, as they are imported, took a tenth of its processor time.
SELDOM = 200_000


def main() -> int:
    """Run the verb of the command line -> its exit code."""
    gc.set_threshold(SELDOM)
    from .cli import main as run

    try:
        return run()
    finally:
        gc.freeze()  # nor once more when it ends, through all of them: that took 50 ms


if __name__ == "__main__":
    sys.exit(main())
