"""The audit of a sweep: every operation and every chain on some clips of its dataset."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clar_sweeps import data, rng
from clar_sweeps.audit.examining import (
    ChainFacts,
    OperationFacts,
    examine_chain,
    examine_operation,
)
from clar_sweeps.audit.levels import coarse_features
from clar_sweeps.audit.planned import (
    PlannedChain,
    PlannedOperation,
    planned_chains,
    planned_operations,
)
from clar_sweeps.audit.rules import Rule, Subject, broken
from clar_sweeps.config import SAMPLE_RATE, ClipsOf, Trial
from clar_sweeps.data import Waveforms
from clar_sweeps.features import SpectralFeatures

# Clips of a batch: enough for every rule, whose thresholds are far from what chance does; fewer
# where clips are long, which costs time and tells no more.
_BATCH, _SMALLEST_BATCH = 32, 8
_BATCH_SAMPLES = _BATCH * SAMPLE_RATE
_INT16_SCALE = 1 / 32768

Progress = Callable[[int, int], None]
Planned = TypeVar("Planned", PlannedOperation, PlannedChain)
Facts = TypeVar("Facts", OperationFacts, ChainFacts)


class Audited(NamedTuple, Generic[Planned, Facts]):
    """An operation or a chain, what it does, and what is to be said of it.

    Attributes:
        planned: Which one.
        num_trials: How many trials have it.
        facts: What it does.
        refused: The rules that it breaks, the most telling first: no trial is run with it.
        notable: The rules that it breaks and may.
    """

    planned: Planned
    num_trials: int
    facts: Facts
    refused: tuple[Rule, ...]
    notable: tuple[Rule, ...]

    @property
    def title(self) -> str:
        return self.planned.title


class Audit(NamedTuple):
    """All that was found.

    Attributes:
        seed: Of the draws.
        num_clips: Of each dataset, by its title.
        operations: By themselves, at probability 1.
        chains: As the sweep has them.
        seconds: What it took.
    """

    seed: int
    num_clips: dict[str, int]
    operations: tuple[Audited[PlannedOperation, OperationFacts], ...]
    chains: tuple[Audited[PlannedChain, ChainFacts], ...]
    seconds: float


def audit_chains(
    trials: Iterable[Trial],
    *,
    num_clips: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Audit:
    """Draw clips of each dataset through all operations and chains of trials, on the CPU.

    By the code that trains, on the clips with which the first epoch of the first trial's seed
    begins, and from that epoch's random streams.

    Args:
        trials: Their datasets are prepared.
        num_clips: Of each dataset, or all that it trains on; None takes one batch and leaves out
            what no rule asks for.
        progress: Told how many operations and chains are done, and of how many.

    Raises:
        AuditError: Results are not shaped as the clips.
        DataError: A dataset is not prepared, or damaged.
        DependencyError: A backend is not installed.
    """
    started = time.perf_counter()
    trials = [trial for trial in trials if trial.config.epochs]
    seed = trials[0].config.seed if trials else 0
    planned = planned_chains(trials)
    total = len(planned) + len(planned_operations(list(planned)))
    coarse = None if num_clips is None else coarse_features()
    counts: dict[str, int] = {}
    found: list[Audited[Any, Any]] = []
    for clips, chains in groupby(planned, key=lambda chain: chain.clips):
        batches = _batches(clips, seed=seed, num_clips=num_clips)
        counts[clips.title] = sum(map(len, batches))
        # Of a clip shorter than a window there is no spectrum.
        is_long = coarse is not None and batches[0].shape[1] > coarse.window_length
        features = coarse if is_long else None
        with _one_thread():
            for audited in _audit(list(chains), planned, batches, seed=seed, features=features):
                found.append(audited)
                progress(len(found), total)
    return Audit(
        seed,
        counts,
        tuple(each for each in found if isinstance(each.facts, OperationFacts)),
        tuple(each for each in found if isinstance(each.facts, ChainFacts)),
        time.perf_counter() - started,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Batches are small: on a busy machine several threads would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _audit(
    chains: list[PlannedChain],
    num_trials: dict[PlannedChain, int],
    batches: list[Tensor],
    *,
    seed: int,
    features: SpectralFeatures | None,
) -> Iterator[Audited[Any, Any]]:
    """Audit chains of one dataset, after their operations."""
    for operation in planned_operations(chains):
        facts = examine_operation(operation, batches, seed=seed, with_spreads=features is not None)
        users = [chain for chain in chains if operation.is_part_of(chain)]
        yield Audited(operation, sum(num_trials[chain] for chain in users), facts, *_judged(facts))
    for chain in chains:
        seen = examine_chain(chain, chain.build(), batches, seed=seed, features=features)
        yield Audited(chain, num_trials[chain], seen, *_judged(seen))


def _judged(facts: OperationFacts | ChainFacts) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules that are broken: those that refuse, and the others."""
    of: Subject = "operation" if isinstance(facts, OperationFacts) else "chain"
    return broken(of, facts, refuses=True), broken(of, facts, refuses=False)


def _batches(clips: ClipsOf, *, seed: int, num_clips: int | None) -> list[Tensor]:
    """The clips with which a first epoch begins: (batch, time) float32 in [-1, 1) each."""
    waveforms = data.load(*clips)
    length = waveforms.samples.shape[1]
    batch = min(_BATCH, max(_SMALLEST_BATCH, _BATCH_SAMPLES // length))
    order = _first_order(waveforms, seed)[: num_clips or batch]
    return [
        torch.from_numpy(waveforms.read(rows)).float().mul_(_INT16_SCALE)
        for rows in (order[first : first + batch] for first in range(0, len(order), batch))
    ]


def _first_order(waveforms: Waveforms, seed: int) -> NDArray[np.int64]:
    """Training clips as the seed's first epoch takes them."""
    train = waveforms.indices("train")
    order = torch.randperm(len(train), generator=rng.generator(seed, "order", 0))
    return np.take(train, order.numpy())
