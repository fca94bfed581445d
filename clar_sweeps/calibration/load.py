"""How busy others keep a machine while something is timed on it."""

import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

_STAT = Path("/proc/stat")  # Linux only
_IDLE = (3, 4)  # idle, and waiting for a disk


class Reading(NamedTuple):
    """Clocks of a machine and of this process with its ended children, in seconds."""

    wall: float
    busy: float  # all CPUs together; what a hypervisor gives to others included
    own: float


def read_clocks() -> Reading | None:
    """The clocks now; None where the system does not tell."""
    try:
        line = _STAT.read_text(encoding="ascii").splitlines()[0]
        ticks = [int(word) for word in line.split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    busy = sum(ticks) - sum(ticks[place] for place in _IDLE)
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return Reading(time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), own)


def others_share(before: Reading | None, after: Reading | None, *, num_cpus: int) -> float:
    """Share of all CPUs that processes of others used between two readings, 0 if not known."""
    if before is None or after is None or after.wall <= before.wall:
        return 0.0
    others = (after.busy - before.busy) - (after.own - before.own)
    return min(1.0, max(0.0, others / (num_cpus * (after.wall - before.wall))))
