"""Clips a second of every operation, ours against the libraries, on one thread.

    python -m benchmarks.augment --out benchmarks/results/augment.json

Each draws its own parameters for each clip, over the ranges of the paper. Ours and
torch-audiomentations are given a batch, the others a clip at a time, as they are used. The clips
are spoken digits of one second at 16 kHz. What a library does not have is left empty: torchaudio's
fade and its vocoder take one parameter a call, and nobody has the authors' TSR. Needs the extra
`benchmarks`.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import audiomentations
import librosa
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measuring import (
    Contender,
    Rate,
    machine,
    number,
    side_by_side,
    table_of,
    write_result,
)
from clar_sweeps import data
from clar_sweeps.augment import build_chain

SAMPLE_RATE = 16_000
BATCH = 128
ONE_BY_ONE = 16  # clips a round of those that take one at a time
# torchaudio resamples by kernels as long as the fraction that a semitone is close to: seconds.
SLOWEST = {("torchaudio", "PS"): 1}
CHAINS = (("PS",), ("TST",), ("PS", "TST"), ("FD",), ("WN",), ("MN",), ("TM",), ("TS",))
PACKAGES = (
    "clar-sweeps",
    "torch",
    "torchaudio",
    "audiomentations",
    "torch-audiomentations",
    "librosa",
    "numpy",
    "numba",
)

Waveform = NDArray[np.float32]
OnClip = Callable[[Waveform], Any]
OnBatch = Callable[[Tensor], Tensor]


def main() -> None:
    """Measure, print, and write the numbers where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="JSON file; the table goes beside it as .md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # the libraries'
    clips = data.prepare("spoken-digits", condition="medium").read(np.arange(BATCH))
    waveforms = torch.from_numpy(clips).float() / 2**15
    found: dict[str, dict[str, Rate]] = {}
    for chain in CHAINS:
        name = "+".join(chain)
        found[name] = side_by_side(list(contenders(chain, waveforms)), rounds=options.rounds)
        print(name, *(f"{who} {rate}" for who, rate in found[name].items()), sep="\n  ", flush=True)
    table = table_of(rows_of(found))
    print(table)
    if options.out:
        write_result(
            options.out,
            {
                "machine": machine(PACKAGES),
                "threads": 1,
                "rounds": options.rounds,
                "clips_per_second": {
                    name: {who: rate._asdict() for who, rate in rates.items()}
                    for name, rates in found.items()
                },
            },
            title="Augmentations",
            told=(
                "One-second clips a second on one thread: median (lowest-highest) of "
                f"{options.rounds} interleaved rounds. "
                + ", ".join(f"{key} {value}" for key, value in machine(PACKAGES).items())
                + "."
            ),
            table=table,
        )


def rows_of(found: dict[str, dict[str, Rate]]) -> list[list[str]]:
    """Table rows: ours, the best other, how many times ours is that, and all others."""
    rows = [["operation", "ours", "best library", "ratio", "others"]]
    for name, rates in found.items():
        (_, ours), *others = rates.items()
        others.sort(key=lambda other: -other[1].median)
        best, rate = others[0]
        rest = "; ".join(f"{who} {number(found.median)}" for who, found in others[1:])
        ratio = f"{ours.median / rate.median:.1f}"
        rows.append([name, str(ours), f"{best} {rate}", ratio, rest])
    return rows


def contenders(chain: tuple[str, ...], waveforms: Tensor) -> Iterator[Contender]:
    """All who can do a chain; ours first."""
    ours, draws = build_chain(chain), torch.Generator().manual_seed(0)

    def run_ours() -> int:
        ours(waveforms, draws)
        return len(waveforms)

    yield Contender("ours", run_ours)
    for library, operations in ON_CLIP.items():
        if all(name in operations for name in chain):
            steps = [operations[name] for name in chain]
            num_clips = min(SLOWEST.get((library, name), ONE_BY_ONE) for name in chain)
            yield Contender(library, _one_by_one(steps, waveforms.numpy()[:num_clips]))
    if all(name in ON_BATCH for name in chain):
        yield Contender("torch-audiomentations", _batched(chain, waveforms[:ONE_BY_ONE]))


def _one_by_one(steps: list[OnClip], clips: Waveform) -> Callable[[], int]:
    def run() -> int:
        for clip in clips:
            for step in steps:
                clip = step(clip)
        return len(clips)

    return run


def _batched(chain: tuple[str, ...], waveforms: Tensor) -> Callable[[], int]:
    steps = [ON_BATCH[name]() for name in chain]

    def run() -> int:
        batch = waveforms
        for step in steps:
            batch = step(batch)
        return len(waveforms)

    return run


DRAWS = np.random.default_rng(0)


def seed_draws(seed: int) -> None:
    """Begin the draws anew, as each process does that shall not draw what another draws."""
    DRAWS.bit_generator.state = np.random.default_rng(seed).bit_generator.state


def _by_audiomentations(name: str, **parameters: Any) -> OnClip:
    transform = getattr(audiomentations, name)(p=1.0, **parameters)
    return lambda clip: transform(samples=clip, sample_rate=SAMPLE_RATE)


def _semitones() -> int:
    return int(DRAWS.integers(-15, 16))


def _rate() -> float:
    return float(DRAWS.uniform(0.5, 1.5))


def _fixed(clip: Waveform) -> Waveform:
    return librosa.util.fix_length(clip, size=SAMPLE_RATE)


def torchaudio_stretch(waveform: Tensor) -> Tensor:
    """Time stretch by a rate that is drawn: (time,) -> (time,), on any device."""
    n_fft, hop_length = 512, 128
    window = torch.hann_window(n_fft, device=waveform.device)
    spectrum = torch.stft(waveform, n_fft, hop_length, window=window, return_complex=True)
    advance = torch.linspace(0, torch.pi * hop_length, n_fft // 2 + 1, device=waveform.device)
    changed = torchaudio.functional.phase_vocoder(spectrum, _rate(), advance[:, None])
    stretched = torch.istft(changed, n_fft, hop_length, window=window)
    return F.pad(stretched, (0, len(waveform) - len(stretched)))


def torchaudio_fade(waveform: Tensor) -> Tensor:
    """Fade in and out with lengths and a shape that are drawn: (time,), on any device."""
    shape = ("linear", "logarithmic", "exponential")[DRAWS.integers(3)]
    lengths = DRAWS.integers(0, SAMPLE_RATE // 2, size=2).tolist()
    faded: Tensor = torchaudio.transforms.Fade(*lengths, fade_shape=shape)(waveform)
    return faded


def _torchaudio_noise(waveform: Tensor) -> Tensor:
    snr_db = torch.tensor(float(DRAWS.integers(0, 20)))
    noisy: Tensor = torchaudio.functional.add_noise(waveform, torch.randn_like(waveform), snr_db)
    return noisy


def _by_torch(operation: Callable[[Tensor], Tensor]) -> OnClip:
    return lambda clip: operation(torch.from_numpy(clip)).numpy()


# By library, then by operation.
ON_CLIP: dict[str, dict[str, OnClip]] = {
    "audiomentations": {
        "PS": _by_audiomentations(
            "PitchShift", min_semitones=-15, max_semitones=15, method="librosa_phase_vocoder"
        ),
        "TST": _by_audiomentations(
            "TimeStretch", min_rate=0.5, max_rate=1.5, method="librosa_phase_vocoder"
        ),
        "WN": _by_audiomentations("AddGaussianSNR", min_snr_db=0.0, max_snr_db=19.0),
        "MN": _by_audiomentations("AddColorNoise", min_snr_db=0.0, max_snr_db=19.0),
        "TM": _by_audiomentations(
            "TimeMask", min_band_part=0.0, max_band_part=1 / 8, fade_duration=0.0
        ),
        "TS": _by_audiomentations("Shift", min_shift=-0.5, max_shift=0.5, fade_duration=0.0),
    },
    "audiomentations (signalsmith)": {
        "PS": _by_audiomentations(
            "PitchShift", min_semitones=-15, max_semitones=15, method="signalsmith_stretch"
        ),
        "TST": _by_audiomentations(
            "TimeStretch", min_rate=0.5, max_rate=1.5, method="signalsmith_stretch"
        ),
    },
    "librosa": {
        "PS": lambda clip: librosa.effects.pitch_shift(clip, sr=SAMPLE_RATE, n_steps=_semitones()),
        "TST": lambda clip: _fixed(librosa.effects.time_stretch(clip, rate=_rate())),
    },
    "torchaudio": {
        "PS": _by_torch(
            lambda waveform: torchaudio.functional.pitch_shift(waveform, SAMPLE_RATE, _semitones())
        ),
        "TST": _by_torch(torchaudio_stretch),
        "FD": _by_torch(torchaudio_fade),
        "WN": _by_torch(_torchaudio_noise),
    },
    # Plain NumPy is what one writes where no library has it.
    "NumPy": {
        "TS": lambda clip: np.roll(clip, DRAWS.integers(-SAMPLE_RATE // 2, SAMPLE_RATE // 2)),
    },
}


def _torch_audiomentations(name: str, **parameters: Any) -> Callable[[], OnBatch]:
    def build() -> OnBatch:
        import torch_audiomentations  # Here, not above: of the extra `benchmarks` alone.

        transform = getattr(torch_audiomentations, name)(
            p=1.0, mode="per_example", sample_rate=SAMPLE_RATE, output_type="tensor", **parameters
        )
        return lambda batch: transform(samples=batch[:, None], sample_rate=SAMPLE_RATE)[:, 0]

    return build


# Of torch-audiomentations; each builds (batch, time) -> (batch, time).
ON_BATCH: dict[str, Callable[[], OnBatch]] = {
    "PS": _torch_audiomentations(
        "PitchShift", min_transpose_semitones=-15, max_transpose_semitones=15
    ),
    "WN": _torch_audiomentations(
        "AddColoredNoise",
        min_snr_in_db=0,
        max_snr_in_db=19,
        min_f_decay=0.0,
        max_f_decay=0.0,
    ),
    "MN": _torch_audiomentations("AddColoredNoise", min_snr_in_db=0, max_snr_in_db=19),
    "TS": _torch_audiomentations("Shift", min_shift=-0.5, max_shift=0.5),
}


if __name__ == "__main__":
    main()
