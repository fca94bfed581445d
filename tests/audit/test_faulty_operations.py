"""Faults of operations, those of the authors' code among them, put in and found by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.augment import OPERATIONS
from clar_sweeps.augment.noise import WhiteNoiseParameters
from clar_sweeps.errors import AuditError

Refuse = Callable[..., list[str]]
Sample = Callable[..., tuple[Tensor, ...]]
Apply = Callable[..., Tensor]

sample_noise: Sample = OPERATIONS["WN"].sample
add_noise: Apply = OPERATIONS["WN"].apply
mix_noise: Apply = OPERATIONS["MN"].apply


@pytest.fixture
def put_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace `sample` or `apply` of an operation."""

    def replace(name: str, **parts: Any) -> None:
        monkeypatch.setitem(OPERATIONS, name, OPERATIONS[name]._replace(**parts))

    return replace


def clipped_below_zero(waveforms: Tensor, *parameters: Tensor) -> Tensor:
    """The authors' mixed noise: `np.clip(..., 0, 1)`."""
    return mix_noise(waveforms, *parameters).clamp(0, 1)


def masked_in_place(waveforms: Tensor, starts: Tensor, widths: Tensor, fill: Tensor) -> Tensor:
    """The authors' time mask: writes into the array that it is given."""
    for row, (start, width) in enumerate(zip(starts.tolist(), widths.tolist(), strict=True)):
        waveforms[row, start : start + width] = fill[row, :width]
    return waveforms


def test_the_authors_mixed_noise_is_refused_as_rectified(
    refused: Refuse, put_in: Callable[..., None]
) -> None:
    put_in("MN", apply=clipped_below_zero)
    (line,) = refused(["MN"], ["MN", "FD"], ["FD", "PS"])
    assert line == (
        "operation MN of spoken-digits clean (in MN, MN-FD): rectified waveform: 100 % of the "
        "clips keep samples of one sign only (at most 25 %); half of every oscillation is lost; "
        "clip to [-1, 1], not to [0, 1]"
    )


def test_the_authors_time_mask_is_refused_as_writing_into_its_input(
    refused: Refuse, put_in: Callable[..., None]
) -> None:
    put_in("TM", apply=masked_in_place)
    (line,) = refused(["TM"], ["TM", "FD"], ["PS", "TM"], ["FD", "TM"])
    assert line.startswith(
        "operation TM of spoken-digits clean (in TM, TM-FD, PS-TM and 1 more chain): "
        "writes into its input: 100 % of its input clips are not as before; "
    )


def one_for_all(*, batch: int, time: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    one = sample_noise(batch=1, time=time, generator=generator)
    return WhiteNoiseParameters(*(each.expand(batch, *each.shape[1:]) for each in one))


def one_noise_for_all(*, batch: int, time: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    noise, snr_db = sample_noise(batch=batch, time=time, generator=generator)
    return WhiteNoiseParameters(noise[:1].expand(batch, -1), snr_db)


def of_cloned_workers(*, batch: int, time: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """NumPy's generator as torch 1.6 gave it to 32 workers: each draws the same."""
    shared = sample_noise(batch=batch // 32 or 1, time=time, generator=generator)
    return WhiteNoiseParameters(*(torch.cat([each] * 33)[:batch] for each in shared))


def of_one_seed(*, batch: int, time: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Of a generator of its own, seeded anew at each call."""
    numpy = np.random.default_rng(0)
    noise = torch.from_numpy(numpy.standard_normal((batch, time), dtype=np.float32))
    return WhiteNoiseParameters(noise, torch.from_numpy(numpy.integers(0, 20, batch)))


def of_the_generators_start(
    *, batch: int, time: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """The first draws of the epoch at each call."""
    again = torch.Generator().manual_seed(generator.initial_seed())
    return sample_noise(batch=batch, time=time, generator=again)


def of_the_global_generator(
    *, batch: int, time: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    return sample_noise(batch=batch, time=time, generator=torch.default_generator)


@pytest.mark.parametrize(
    ("sample", "rule"),
    [
        (one_for_all, "repeated for all clips: 100 % of the clips of a batch"),
        (one_noise_for_all, "repeated for all clips: 100 % of the clips of a batch"),
        (of_cloned_workers, "repeated in a batch: beyond chance 4"),
        (of_one_seed, "repeated between views: beyond chance 100 %"),
        (of_the_generators_start, "repeated between views: beyond chance 100 %"),
        (of_the_global_generator, "not repeatable: 100 % of the parameters"),
    ],
)
def test_repeated_and_lost_draws_are_refused(
    sample: Sample, rule: str, refused: Refuse, put_in: Callable[..., None]
) -> None:
    put_in("WN", sample=sample)
    (line,) = refused(["WN"])
    assert f"operation WN of spoken-digits clean (in WN): {rule}" in line


def test_repeated_whole_semitones_are_told_from_chance(
    refused: Refuse, put_in: Callable[..., None]
) -> None:
    sample = OPERATIONS["PS"].sample

    def of_eight_workers(*, batch: int, time: int, generator: torch.Generator) -> Any:
        (semitones,) = sample(batch=max(1, batch // 8), time=time, generator=generator)
        return type(sample(batch=1, time=time, generator=generator))(
            semitones.repeat(9)[:batch],
        )

    put_in("PS", sample=of_eight_workers)
    (line,) = refused(["PS"])
    assert ": repeated in a batch: beyond chance " in line


@pytest.mark.parametrize(
    ("forgets", "rule"),
    [("epoch", "repeated over epochs: "), ("seed", "repeated over seeds: ")],
)
def test_generators_that_forget_are_refused(
    forgets: str, rule: str, refused: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = rng.generator

    def forgetful(seed: int, stream: str, *indices: int, **device: Any) -> torch.Generator:
        if forgets == "seed":
            return generator(0, stream, *indices, **device)
        return generator(seed, stream, **device)

    monkeypatch.setattr(rng, "generator", forgetful)
    lines = refused(["WN"], ["TS"])
    assert [rule in line for line in lines] == [True, True]


def divided(waveforms: Tensor, *parameters: Tensor) -> Tensor:
    return waveforms / torch.zeros_like(waveforms)


def copied(waveforms: Tensor, *parameters: Tensor) -> Tensor:
    return waveforms.clone()


def handed_back(waveforms: Tensor, *parameters: Tensor) -> Tensor:
    return waveforms


def with_noise_of_its_own(waveforms: Tensor, *parameters: Tensor) -> Tensor:
    return add_noise(waveforms, *parameters) + 0.01 * torch.randn_like(waveforms)


def silenced(waveforms: Tensor, *parameters: Tensor) -> Tensor:
    return torch.zeros_like(waveforms)


def offset(waveforms: Tensor, *parameters: Tensor) -> Tensor:
    rms = waveforms.square().mean(1, keepdim=True).sqrt()
    return add_noise(waveforms, *parameters) + rms / 2


@pytest.mark.parametrize(
    ("apply", "rule"),
    [
        (divided, "not finite: 100 % of the clips"),
        (copied, "does nothing: it leaves 100 % of the clips"),
        (handed_back, "returns its input: "),
        (with_noise_of_its_own, "not deterministic: 100 % of the clips"),
        (silenced, "silent: 100 % of the clips"),
        (offset, "DC offset: its mean moves by 0.4"),
    ],
)
def test_faulty_results_are_refused(
    apply: Apply, rule: str, refused: Refuse, put_in: Callable[..., None]
) -> None:
    put_in("WN", apply=apply)
    (line,) = refused(["WN"])
    assert f"(in WN): {rule}" in line


def test_results_of_another_shape_are_refused(refused: Refuse, put_in: Callable[..., None]) -> None:
    put_in("WN", apply=lambda waveforms, *parameters: waveforms[:, 1:].clone())
    with pytest.raises(AuditError, match=r"operation WN: gives \(32, 15999\) .* for \(32, 16000\)"):
        refused(["WN"])
