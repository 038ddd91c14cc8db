"""Python's look for garbage in cycles, which a short run can do without."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects that come to be before Python looks for garbage: to look through hundreds of modules again and again, as they
#: are imported, took a tenth of a run's processor time.
SELDOM = 200_000


@contextmanager
def seldom_collected() -> Iterator[None]:
    """What the block leaves is not looked through when the process ends either, which took 50 ms: it is in use, and its
    memory goes with the process."""
    usual = gc.get_threshold()
    gc.set_threshold(SELDOM)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*usual)
