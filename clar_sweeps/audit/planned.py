"""Which chains a sweep trains with, and on which clips."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clar_sweeps.augment import DEFINITIONS, Backend, Chain, Operation, build_chain
from clar_sweeps.config import SAMPLE_RATE, ClipsOf, Definition, Trial, TrialConfig


class PlannedChain(NamedTuple):
    """A chain as a config asks for it; trials that differ in nothing of this share it."""

    clips: ClipsOf
    operations: tuple[str, ...]
    probabilities: tuple[float, ...]
    definition: Definition = "paper"
    backend: Backend = "torch"
    is_contrastive: bool = True  # NT-Xent takes two views; cross-entropy alone takes one

    @property
    def title(self) -> str:
        """Its operations, and what is not the default."""
        return ", ".join(["-".join(self.operations), *self._marks()])

    def _marks(self) -> list[str]:
        chances = list(dict.fromkeys(self.probabilities))
        marks = [] if chances == [1.0] else ["p " + "/".join(f"{each:g}" for each in chances)]
        marks += ["authors' code"] if self.definition == "released" else []
        marks += ["audiomentations"] if self.backend == "audiomentations" else []
        return marks if self.is_contrastive else [*marks, "one view"]

    def build(self) -> Chain:
        """The chain, as a trainer builds it."""
        return build_chain(
            self.operations,
            probabilities=self.probabilities,
            backend=self.backend,
            sample_rate=SAMPLE_RATE,
            definition=self.definition,
        )

    def without_operations(self) -> Chain:
        """A chain of the same backend, that applies one operation at a time."""
        return self._replace(operations=(), probabilities=()).build()

    def parts(self) -> tuple[Operation, ...]:
        """Its operations in their order, by name: not asked of the chain, which is to be judged."""
        return tuple(DEFINITIONS[self.definition][name] for name in self.operations)


class PlannedOperation(NamedTuple):
    """One operation of planned chains, by itself."""

    clips: ClipsOf
    name: str
    definition: Definition
    backend: Backend

    @property
    def title(self) -> str:
        return self.alone.title

    @property
    def alone(self) -> PlannedChain:
        """The chain of nothing else."""
        return PlannedChain(self.clips, (self.name,), (1.0,), self.definition, self.backend)

    def is_part_of(self, chain: PlannedChain) -> bool:
        """Whether a chain has this operation."""
        mine = (self.clips, self.definition, self.backend)
        return mine == (chain.clips, chain.definition, chain.backend) and (
            self.name in chain.operations
        )


def planned_chains(trials: Iterable[Trial]) -> dict[PlannedChain, int]:
    """Distinct chains of trials, those of one dataset together, and how many trials have each.

    Untrained encoders have none.
    """
    counts: dict[PlannedChain, int] = {}
    for trial in trials:
        if trial.config.epochs:
            chain = _chain_of(trial.config)
            counts[chain] = counts.get(chain, 0) + 1
    datasets = list(dict.fromkeys(chain.clips for chain in counts))
    return dict(sorted(counts.items(), key=lambda item: datasets.index(item[0].clips)))


def _chain_of(config: TrialConfig) -> PlannedChain:
    assert isinstance(config.augment_probability, tuple)
    return PlannedChain(
        config.clips,
        config.augment,
        config.augment_probability,
        config.augment_definition,
        config.augment_backend,
        is_contrastive=config.method != "supervised",
    )


def planned_operations(chains: Sequence[PlannedChain]) -> list[PlannedOperation]:
    """Distinct operations of chains, in the order in which they appear."""
    return list(
        dict.fromkeys(
            PlannedOperation(chain.clips, name, chain.definition, chain.backend)
            for chain in chains
            for name in chain.operations
        )
    )
