"""The garbage collector kept away from what thousands of trials are made of.

Configs, records and rows have no cycles, so they go without it; left to itself it walks them all
again each time that their number has grown by a quarter.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Hold the collector back while many objects are made, none of them in a cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def frozen() -> Iterator[None]:
    """Let the collector see only what is made from here on, such as figures, which have cycles."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
