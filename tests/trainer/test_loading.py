import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tiny import tiny_config

from clar_sweeps.data import Waveforms
from clar_sweeps.trainer import Trainer
from clar_sweeps.trainer.loading import WaveformLoader, memory_bytes

CPU = torch.device("cpu")


def test_waveforms_are_int16_scaled_to_one(digits: Waveforms) -> None:
    clips = torch.tensor([5, 3, 5])
    (batch,) = WaveformLoader(digits, CPU).batches([clips])
    assert batch.dtype == torch.float32
    assert np.array_equal(batch.numpy(), digits.samples[[5, 3, 5]] / np.float32(32768))


def read_ahead(loader: WaveformLoader) -> WaveformLoader:
    loader.is_resident = False
    return loader


def test_reading_ahead_gives_the_same_batches_in_the_same_order(digits: Waveforms) -> None:
    order = torch.randperm(240, generator=torch.Generator().manual_seed(0))
    batches = list(torch.split(order, 7))
    resident, ahead = WaveformLoader(digits, CPU), read_ahead(WaveformLoader(digits, CPU))
    pairs = list(zip(resident.batches(batches), ahead.batches(batches), strict=True))
    assert len(pairs) == len(batches)
    for one, other in pairs:
        assert torch.equal(one, other)


def test_reading_ahead_stays_a_few_batches_ahead(digits: Waveforms) -> None:
    asked = []

    def batches() -> Iterator[torch.Tensor]:
        for number in range(20):
            asked.append(number)
            yield torch.tensor([number])

    stream = read_ahead(WaveformLoader(digits, CPU)).batches(batches())
    next(stream)
    assert len(asked) == 3
    stream.close()
    assert len(asked) == 3


def test_training_from_the_disk_is_training_from_memory(digits: Waveforms) -> None:
    trainers = [Trainer(tiny_config(), digits) for _ in range(2)]
    read_ahead(trainers[1].loader)
    losses = [[trainer.train_epoch().losses for _ in range(2)] for trainer in trainers]
    assert losses[0] == losses[1]
    assert trainers[0].evaluate() == trainers[1].evaluate()


def test_a_limit_on_memory_counts() -> None:
    code = """
import resource, torch
from collections.abc import Iterator
from pathlib import Path
from clar_sweeps.trainer.loading import memory_bytes
cpu = torch.device("cpu")
free = memory_bytes(cpu)
resource.setrlimit(resource.RLIMIT_DATA, (3 * 2**30, 3 * 2**30))
print(free > 0, memory_bytes(cpu) == min(free, 3 * 2**30))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.split() == ["True", "True"], answer.stderr
    assert memory_bytes(CPU) > 2**30


# A dataset of 1 GiB (most of it holes in a file) and a process that may take 0.5 GiB more than
# what torch's libraries hold at the start.
TRAIN_BOUNDED = """
import resource, sys
from collections.abc import Iterator
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from clar_sweeps.config import TrialConfig
from clar_sweeps.data.waveforms import Waveforms
from clar_sweeps.trainer import Trainer

path, config = Path(sys.argv[1]), TrialConfig.model_validate_json(sys.argv[2])
samples = np.load(path, mmap_mode="r")
count = len(samples)
splits = ("train",) * (count - 40) + ("valid",) * 20 + ("test",) * 20
names = tuple(map(str, range(count)))
waveforms = Waveforms(
    samples=samples, labels=np.arange(count) % 4, splits=splits, speakers=names, clip_names=names,
    class_names=tuple("abcd"), sample_rate=16000, digest="d", samples_path=path,
)
def status(name):
    rows = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(row.split()[1]) for row in rows if row.startswith(name))

limit = status("VmData") + 2**29
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
before = status("VmRSS")
trainer = Trainer(config, waveforms)
epoch = trainer.train_epoch()
print(trainer.loader.is_resident, epoch.step, status("VmHWM") - before)
"""


def test_a_dataset_larger_than_memory_is_trained_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "waveforms.npy"
    samples = np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=(8_400, 64_000))
    noise = np.random.default_rng(0).integers(-9000, 9000, 64_000, dtype=np.int16)
    samples[::97] = noise
    samples.flush()
    assert samples.nbytes > 2**30
    config = tiny_config(
        features={"num_bands": 16, "window_length": 512, "hop_length": 4000, "n_fft": 512},
        epochs=1,
        batch_size=64,
        augment=["TS"],
        precision="float32",
    )
    answer = subprocess.run(
        [sys.executable, "-c", TRAIN_BOUNDED, str(path), config.model_dump_json()],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    is_resident, steps, grown = answer.stdout.split()
    assert is_resident == "False"
    assert int(steps) == 8_360 // 64
    # All pages of a map that was gone through would count here.
    assert int(grown) < 0.75 * 2**30
