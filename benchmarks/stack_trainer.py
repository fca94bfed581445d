"""Trainers whose clips, views and features come from a stack of libraries.

All read the same int16 array in memory and train by `Trainer`'s loop, with its encoder, loss and
optimizer.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.augment import OnBatch, OnClip, seed_draws
from benchmarks.stacks import Chain, Stack, change_batch, change_clip
from clar_sweeps.config import TrialConfig
from clar_sweeps.data import Waveforms
from clar_sweeps.trainer import Trainer

_INT16_SCALE = np.float32(1 / 2**15)


class InTurn:
    """Chains that take turns: the n-th batch is changed by the n-th, then they begin again."""

    def __init__(self, chains: Sequence[Any]) -> None:
        self._chains = chains
        self._turn = 0

    def two_views(self, *arguments: Any) -> Sequence[Tensor]:
        chain = self._chains[self._turn % len(self._chains)]
        self._turn += 1
        views: Sequence[Tensor] = chain.two_views(*arguments)
        return views


class StackTrainer(Trainer):
    """Trains as `Trainer` does; clips, views and features come from a stack."""

    def __init__(
        self,
        config: TrialConfig,
        waveforms: Waveforms,
        *,
        stack: Stack,
        chains: Sequence[Chain],
        workers: int,
    ) -> None:
        """Build the trainer, then put the stack in its place.

        Args:
            config: The trial; its own chain is not looked at.
            waveforms: The clips.
            stack: Who does what.
            chains: They take turns, a batch each.
            workers: Processes of the DataLoader, kept from epoch to epoch; none of them reads
                ahead of an epoch. 0 reads in this process.
        """
        super().__init__(config, waveforms)
        on_clip = [] if stack.on_batch else [change_clip(stack, chain) for chain in chains]
        clips = _Clips(waveforms.samples, on_clip)
        self.loader = _Loader(clips, workers, self.device)  # type: ignore[assignment]  # has what the trainer calls
        on_batch = [_OnBatch(change_batch(stack, chain)) for chain in chains if stack.on_batch]
        self.chain = InTurn(on_batch or [_ByWorkers()])  # type: ignore[assignment]  # has what the trainer calls
        if config.features is not None:
            self.features = stack.features(config.features).to(self.device)


class _Clips(Dataset[Tensor]):
    """Two views of a clip, (2, time), or, without chains, the clip itself, (time,)."""

    def __init__(self, samples: NDArray[np.int16], chains: Sequence[OnClip]) -> None:
        self.samples = samples
        self.chains = chains

    def __getitem__(self, place: tuple[int, int]) -> Tensor:
        batch, clip = place
        waveform = self.samples[clip] * _INT16_SCALE
        if not self.chains:
            return torch.from_numpy(waveform)
        change = self.chains[batch % len(self.chains)]
        return torch.from_numpy(np.stack([change(waveform), change(waveform)]))


class _Loader:
    """In the place of `WaveformLoader`: batches of a DataLoader."""

    def __init__(self, clips: _Clips, workers: int, device: torch.device) -> None:
        self.device = device
        self._places: list[list[tuple[int, int]]] = []  # of an epoch: (batch, clip)
        self._loader = DataLoader(
            clips,
            batch_sampler=self._places,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=_seed_worker,
        )

    def batches(self, clips: Iterable[Tensor]) -> Iterator[Tensor]:
        self._places[:] = [
            [(number, clip) for clip in batch.tolist()] for number, batch in enumerate(clips)
        ]
        for batch in self._loader:
            yield batch.to(self.device, non_blocking=True)


def _seed_worker(worker: int) -> None:
    # torch itself seeds the global generators, which libraries draw from.
    seed_draws(torch.initial_seed())


class _ByWorkers:
    """In the place of a chain: views that the workers made, (batch, 2, time)."""

    def two_views(self, views: Tensor, *_: Any) -> Sequence[Tensor]:
        return views.unbind(1)


class _OnBatch:
    """In the place of a chain: two views of a batch, (batch, time) each."""

    def __init__(self, change: OnBatch) -> None:
        self._change = change

    def two_views(self, waveforms: Tensor, *_: Any) -> Sequence[Tensor]:
        return self._change(waveforms), self._change(waveforms)
