"""Ctrl-C and SIGTERM: once to end well, twice to end now."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from clar_sweeps.tuning.schedule import Schedule

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@contextmanager
def stopping_by_signal(schedule: Schedule) -> Iterator[None]:
    """Let the first signal stop the schedule after the epochs under way.

    The second one does at once what it did before. Enter it after Ray has started, which sets
    handlers of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        if schedule.signal is None:
            schedule.signal = signum
            name = _NAMES[signal.Signals(signum)]
            schedule.stop()  # first: what follows writes to a terminal, which may block
            schedule.note(f"{name}: {schedule.describe_rest()}; once more to leave now")
        elif callable(earlier := before[signal.Signals(signum)]):
            earlier(signum, frame)
        else:
            raise KeyboardInterrupt

    before = {each: signal.signal(each, handle) for each in _NAMES}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
