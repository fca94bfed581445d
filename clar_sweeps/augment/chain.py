"""Operations in order, each on some of the examples, and two views of a batch."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from clar_sweeps.augment.operations import DEFINITIONS, Operation
from clar_sweeps.augment.parameters import check_waveforms
from clar_sweeps.config import Definition

Backend = Literal["torch", "audiomentations"]


class Part(NamedTuple):
    """Rows `first` to `stop` of a batch of which this process has no others."""

    first: int
    stop: int
    batch: int


class Chain:
    """Applies operations in their order, each example kept or changed by a coin of its own.

    For each operation the parameters of the whole batch are drawn, then a coin for each example,
    whatever the probability is: so chains that differ in probabilities alone draw the same
    parameters, and the same example that is changed at 0.5 is changed at 1.

    Args:
        operations: Names in OPERATIONS; the first acts first, a name may come twice.
        probabilities: One for all operations, or one each, in [0, 1].
        sample_rate: Hz.
        definition: Whose parameters operations have, the paper's or those of the authors' code.

    Raises:
        ValueError: an unknown name, a probability outside [0, 1], or not one for each operation.
    """

    def __init__(
        self,
        operations: Sequence[str],
        probabilities: Sequence[float] | float = 1.0,
        *,
        sample_rate: int = 16_000,
        definition: Definition = "paper",
    ) -> None:
        if definition not in DEFINITIONS:
            raise ValueError(f"definition: {definition!r} is not one of {', '.join(DEFINITIONS)}")
        defined = DEFINITIONS[definition]
        names = [operations] if isinstance(operations, str) else list(operations)
        for name in names:
            if name not in defined:
                raise ValueError(f"operations: {name!r} is not one of {', '.join(defined)}")
        if isinstance(probabilities, int | float):
            probabilities = [probabilities] * len(names)
        if len(probabilities) != len(names):
            raise ValueError(
                f"probabilities: {len(probabilities)} given for {len(names)} operations"
            )
        for probability in probabilities:
            if not 0.0 <= probability <= 1.0:
                raise ValueError(f"probabilities: {probability} is not in [0, 1]")
        if sample_rate <= 0:
            raise ValueError(f"sample_rate: {sample_rate} Hz is not positive")
        self.operations = tuple(defined[name] for name in names)
        self.probabilities = tuple(float(probability) for probability in probabilities)
        self.sample_rate = sample_rate

    def __call__(
        self, waveforms: Tensor, generator: torch.Generator, part: Part | None = None
    ) -> Tensor:
        """Draw and apply one view.

        Args:
            waveforms: (batch, time) float32, amplitude in [-1, 1]; left unchanged.
            generator: All draws come from it. Best on the waveforms' device, for noise is drawn
                where the generator is.
            part: Which rows of a larger batch the waveforms are. The draws are those of the whole
                batch, so that each clip is changed as it would be there.

        Returns:
            (batch, time), in a buffer of its own, also where no operation changes it.
        """
        check_waveforms(waveforms)
        batch, time = waveforms.shape
        if part is not None:
            batch = part.batch
        view = waveforms
        for operation, probability in zip(self.operations, self.probabilities, strict=True):
            parameters = operation.sample(batch=batch, time=time, generator=generator)
            coins = torch.rand(batch, generator=generator, device=generator.device)
            if probability == 0.0:
                continue
            if part is not None:
                coins = coins[part.first : part.stop]
                parameters = tuple(values[part.first : part.stop] for values in parameters)
            changed = self.apply_operation(operation, view, parameters)
            if probability < 1.0:
                heads = (coins < probability).to(view.device, non_blocking=True)
                changed = torch.where(heads[:, None], changed, view)
            view = changed
        return waveforms.clone() if view is waveforms else view

    def two_views(
        self, waveforms: Tensor, generator: torch.Generator, part: Part | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw and apply two independent views.

        Args:
            waveforms: (batch, time) float32, amplitude in [-1, 1]; left unchanged.
            generator: The first view's draws come before the second's.
            part: As for one view.

        Returns:
            Two (batch, time), which share no memory with each other or with waveforms.
        """
        return self(waveforms, generator, part), self(waveforms, generator, part)

    def apply_operation(
        self, operation: Operation, waveforms: Tensor, parameters: tuple[Tensor, ...]
    ) -> Tensor:
        """Apply one operation to all waveforms, with parameters that its `sample` gave.

        Args:
            operation: Any, also one that is not of this chain.
            waveforms: (batch, time) float32, amplitude in [-1, 1]; left unchanged.
            parameters: One entry a waveform.

        Returns:
            (batch, time).
        """
        if operation.is_vocoder:
            return operation.apply(waveforms, *parameters, sample_rate=self.sample_rate)
        device = waveforms.device
        return operation.apply(
            waveforms, *(values.to(device, non_blocking=True) for values in parameters)
        )


def build_chain(
    operations: Sequence[str],
    *,
    probabilities: Sequence[float] | float = 1.0,
    backend: Backend = "torch",
    sample_rate: int = 16_000,
    definition: Definition = "paper",
) -> Chain:
    """Build a chain on a backend.

    Args:
        operations: Names in OPERATIONS, in the order in which they act.
        probabilities: One for all operations, or one each, in [0, 1].
        backend: `torch`, a batch at a time on any device, or `audiomentations`, the library of
            that name, clip by clip on the CPU, for comparison. Both draw the same parameters.
        sample_rate: Hz.
        definition: Whose parameters operations have, the paper's or those of the authors' code.

    Raises:
        ValueError: as for Chain, or an unknown backend.
        DependencyError: the backend's package is not installed.
    """
    if backend == "torch":
        return Chain(operations, probabilities, sample_rate=sample_rate, definition=definition)
    if backend == "audiomentations":
        # Here, not above: it imports librosa, which takes seconds.
        from clar_sweeps.augment.audiomentations_backend import AudiomentationsChain

        return AudiomentationsChain(
            operations, probabilities, sample_rate=sample_rate, definition=definition
        )
    raise ValueError(f"backend: {backend!r} is not one of 'torch', 'audiomentations'")
