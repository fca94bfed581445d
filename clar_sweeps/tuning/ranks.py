"""The other ranks of a trial: actors of Ray's in the trial's own placement group.

Rank 0 is the trial itself, in the process that Tune knows. The others live and die with it: Ray
ends an actor whose owner has ended, in whichever way.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clar_sweeps import records
from clar_sweeps.errors import ConfigError, RankLostError, UsageError
from clar_sweeps.tuning.nodes import refuse_unless_agreed
from clar_sweeps.tuning.trainable import Order, occupy

if TYPE_CHECKING:
    from clar_sweeps.trainer.ranks import Ranks

logger = logging.getLogger(__name__)

# After which a rank that lost another has told why.
_SECONDS_TO_TELL = 10.0
# A GPU waits for a lost rank without end, where a socket would tell of it at once.
_SECONDS_TO_NOTICE = 30.0


@contextmanager
def ranks_of(order: dict[str, Any]) -> Iterator["Ranks"]:
    """Be rank 0 of an order's ranks; the others are started here and ended whatever happens.

    Raises:
        ConfigError: The machine of one of them would not train the same.
        RankLostError: One ended before all were there.
    """
    import ray

    from clar_sweeps.trainer.ranks import ALONE
    from clar_sweeps.trainer.rendezvous import Host

    what = Order(**order)
    if what.ranks == 1:
        yield ALONE
        return
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # as Ray has it
    actors = [_start(what, rank) for rank in range(1, what.ranks)]
    try:
        _raise_refusal(actors, order)
        host = Host(what.ranks, host=address, patience_seconds=what.patience_seconds)
        calls = [
            actor.follow.remote(order, rank, tuple(host.meeting))
            for rank, actor in enumerate(actors, start=1)
        ]
        others = _Others(calls)
        # Watched from before: whoever joins waits for one that died meanwhile, too.
        with (
            others.watched(what),
            host.joined(why_lost=others.why_ended, is_lost=others.is_lost) as ranks,
        ):
            yield ranks
    finally:
        for actor in actors:
            ray.kill(actor)


def _start(what: Order, rank: int) -> Any:
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    group = ray.util.get_current_placement_group()
    assert group is not None
    own = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
    share = {"num_cpus": what.cpus / what.ranks, "num_gpus": what.gpus / what.ranks}
    actor: Any = ray.remote(_Rank)
    return actor.options(**share, scheduling_strategy=own).remote(what.trial.name, rank)


def _raise_refusal(actors: Sequence[Any], order: dict[str, Any]) -> None:
    import ray

    for rank, answer in enumerate([actor.refusal.remote(order) for actor in actors], start=1):
        try:
            refusal = ray.get(answer)
        except ray.exceptions.RayError as error:
            raise RankLostError(f"rank {rank}: {_words_of(error)}") from error
        if refusal:
            raise ConfigError(refusal)


class _Rank:
    """A process that takes part in a trial."""

    def __init__(self, trial: str, rank: int) -> None:
        self._name = f"{trial} rank {rank}"

    def __repr__(self) -> str:
        """Under which name Ray's dashboard lists it."""
        return self._name

    def refusal(self, order: dict[str, Any]) -> str | None:
        """Why this machine would not train the same; None where it would."""
        what = Order(**order)
        if what.expected is None:
            return None
        try:
            refuse_unless_agreed(what.expected, Path(what.run))
        except UsageError as error:
            return str(error)
        return None

    def follow(self, order: dict[str, Any], rank: int, meeting: tuple[Any, ...]) -> str | None:
        """Take part until rank 0 ends it.

        Returns:
            What another end was of; empty where another rank is to blame, and tells why.
        """
        what = Order(**order)
        what.set_up(Path(what.run))
        try:
            occupy(cpus=what.cpus / what.ranks, gpus=what.gpus / what.ranks)
            from clar_sweeps.trainer.following import follow
            from clar_sweeps.trainer.rendezvous import Meeting, joined

            with joined(Meeting(*meeting), rank=rank) as ranks:
                follow(what.trial.config, ranks)
        except RankLostError as error:
            logger.info("%s: %s", self._name, error)
            return ""
        except Exception as error:
            logger.exception("%s failed", self._name)
            return f"{type(error).__name__}: {error}"
        return None


class _Others:
    """The calls that the other ranks work on, from rank 1 on."""

    def __init__(self, calls: Sequence[Any]) -> None:
        self._calls = list(calls)

    def is_lost(self) -> bool:
        """Whether one of them has ended, and rank 0 has not dismissed it."""
        import ray

        ended, _ = ray.wait(self._calls, num_returns=len(self._calls), timeout=0)
        return any(_reason(call) is not None for call in ended)

    def why_ended(self) -> str:
        """What they ended of, as far as they tell within some seconds."""
        import ray

        ended, _ = ray.wait(self._calls, num_returns=len(self._calls), timeout=_SECONDS_TO_TELL)
        reasons = []
        for rank, call in enumerate(self._calls, start=1):
            if call in ended and (reason := _reason(call)):
                reasons.append(f"rank {rank}: {reason}")
        return "; ".join(reasons)

    @contextmanager
    def watched(self, what: Order) -> Iterator[None]:
        """End this process where it does not notice, inside the context, that one has ended."""
        is_over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(what, is_over), daemon=True)
        watch.start()
        try:
            yield
        finally:
            is_over.set()

    def _watch(self, what: Order, is_over: threading.Event) -> None:
        while not is_over.wait(1.0):
            if self.is_lost():
                break
        if is_over.wait(_SECONDS_TO_NOTICE):
            return
        from clar_sweeps.trainer.failing import keep_failure

        run = Path(what.run)
        error = RankLostError(self.why_ended() or "a rank has ended")
        logger.error("%s: %s", what.trial.name, error)
        keep_failure(records.trial_folder(run, what.trial), run, error)
        os._exit(1)


def _reason(call: Any) -> str | None:
    import ray

    try:
        reason: str | None = ray.get(call)
    except ray.exceptions.RayError as error:
        return _words_of(error)
    return reason


def _words_of(error: Exception) -> str:
    """What Ray says of a call that came to nothing."""
    from ray.exceptions import RayActorError

    if isinstance(error, RayActorError):
        return "its process died, often for want of memory"
    return str(error).strip().splitlines()[-1]
