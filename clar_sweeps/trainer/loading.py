"""Waveforms where the training runs: resident if they fit, else read ahead from the disk."""

import os
import resource
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from clar_sweeps.data.waveforms import Waveforms
from clar_sweeps.errors import DataError
from clar_sweeps.trainer.ranks import Ranks

_INT16_SCALE = 1 / 32768
# Batches that wait read while one is trained on.
_AHEAD = 2
# Of the memory that a dataset may fill; the rest is for activations and the system.
_SHARE = 0.5
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class WaveformLoader:
    """Batches of a dataset's waveforms on a device.

    A dataset that fits lies there as int16: on a CPU it is the memory map itself, which all trials
    of a machine share. A larger one, such as NSynth's 39 GB, is read batch by batch from the same
    file by a thread that is two batches ahead, into pinned memory where a GPU waits for it. Both
    ways give the same numbers.
    """

    def __init__(self, waveforms: Waveforms, device: torch.device) -> None:
        self.waveforms = waveforms
        self.device = device
        self.is_resident = waveforms.samples.nbytes <= _SHARE * memory_bytes(device)
        self._samples = _as_tensor(waveforms).to(device) if self.is_resident else None

    def batches(self, clips: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the waveforms of each batch of clips: (batch, time) float32 in [-1, 1).

        Args:
            clips: (batch,) int64 on the CPU, each.
        """
        for samples in self._resident(clips) if self.is_resident else self._read_ahead(clips):
            yield samples.to(torch.float32).mul_(_INT16_SCALE)

    def _resident(self, clips: Iterable[Tensor]) -> Iterator[Tensor]:
        assert self._samples is not None
        for batch in clips:
            yield self._samples[batch.to(self.device, non_blocking=True)]

    def _read_ahead(self, clips: Iterable[Tensor]) -> Iterator[Tensor]:
        batches = iter(clips)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="waveforms") as reader:
            waiting: deque[Future[Tensor]] = deque()
            for batch in batches:
                waiting.append(reader.submit(self._read, batch))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result().to(self.device, non_blocking=True)
            while waiting:
                yield waiting.popleft().result().to(self.device, non_blocking=True)

    def _read(self, clips: Tensor) -> Tensor:
        samples = torch.from_numpy(self.waveforms.read(clips.numpy()))
        return samples.pin_memory() if self.device.type == "cuda" else samples


def _as_tensor(waveforms: Waveforms) -> Tensor:
    with warnings.catch_warnings():
        # torch warns that a tensor over a map that is read only must not be written to: it is not.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(waveforms.samples)


def memory_bytes(device: torch.device) -> int:
    """Memory that this process may use: what is free on a GPU, the machine's or a limit on a CPU.

    The share of a GPU that this process is held to, the limits of a container (cgroup) and those
    of `ulimit -d` and `-v` count as well.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return min(free, int(total * torch.cuda.get_per_process_memory_fraction(device)))
    bounds = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _CGROUP_LIMITS:
        if path.exists() and (text := path.read_text().strip()).isdigit():
            bounds.append(int(text))
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        bound = resource.getrlimit(limit)[0]
        if bound != resource.RLIM_INFINITY:
            bounds.append(bound)
    return min(bounds)


def refuse_other_clips(waveforms: Waveforms, ranks: Ranks) -> None:
    """Make sure that all ranks of a trial train on the same clips.

    Raises:
        DataError: A rank has others than rank 0; raised on every rank.
    """
    digest = ranks.value_from_leader(waveforms.digest)
    if others := ranks.which(waveforms.digest != digest):
        raise DataError(
            f"rank {others[0]} of {ranks.size}: has other clips than rank 0 (digest "
            f"{digest[:12]}); prepare the same dataset on every machine"
        )
