"""The slots of a cluster, counted anew as its machines come and go."""

import time
from collections.abc import Callable, Sequence

from clar_sweeps.errors import ConfigError
from clar_sweeps.sweep import Resources
from clar_sweeps.tuning.schedule import Schedule
from clar_sweeps.tuning.slots import Machine, Slots, one_fewer_per_gpu, share_out_cluster

_SECONDS_BETWEEN = 10.0


class Recount:
    """Gives a schedule its slots at the start, and other ones where the machines are others."""

    def __init__(
        self,
        schedule: Schedule,
        resources: Resources,
        count: Callable[[], Sequence[Machine]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count for the first time.

        Args:
            schedule: Of the run; what waits in it by now tells what is trained.
            resources: What a trial asks for.
            count: Gives what each machine has that may train.
            clock: Seconds, from any origin.

        Raises:
            ConfigError: A trial asks for more than any machine has.
        """
        self._schedule = schedule
        self._trials = schedule.waiting
        self._count = count
        self._clock = clock
        self._counted = clock()
        slots = share_out_cluster(count(), resources, self._trials)
        # Settled now: a GPU that comes later must not make trials of another kind.
        self._resources = resources.model_copy(update={"gpus_per_trial": slots.gpus})
        self._take(slots)

    def __call__(self) -> None:
        """Count again, if it is some seconds ago; call it often."""
        if self._clock() - self._counted < _SECONDS_BETWEEN:
            return
        self._counted = self._clock()
        try:
            slots = share_out_cluster(self._count(), self._resources, self._trials)
        except ConfigError:  # no machine with room is left: what was handed out waits for one
            return
        slots = self._packed_as_now(slots)
        if slots.num != self._schedule.slots.num:
            self._take(slots)

    def _packed_as_now(self, slots: Slots) -> Slots:
        """With as few trials on each GPU as there are since one ran out of memory."""
        while slots.gpus < self._schedule.slots.gpus:
            fewer = one_fewer_per_gpu(slots)
            if fewer is None:
                break
            slots = fewer
        return slots

    def _take(self, slots: Slots) -> None:
        self._schedule.take_slots(slots)
        self._schedule.note(f"on the cluster: {slots.describe()}")
