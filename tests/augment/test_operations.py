"""What holds for every operation, and the known answers of those without a vocoder."""

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from clar_sweeps.augment import DEFINITIONS, OPERATIONS, build_chain, fade, time_mask, time_shift
from clar_sweeps.augment.fade import FADE_SHAPES, apply_fade, sample_fade
from clar_sweeps.augment.noise import (
    NOISE_COLOURS,
    apply_mixed_noise,
    apply_noise,
    colour_noise,
    sample_mixed_noise,
    sample_white_noise,
)
from clar_sweeps.augment.parameters import host_generator
from clar_sweeps.augment.pitch_shift import sample_pitch_shift
from clar_sweeps.augment.time_mask import apply_time_mask, sample_time_mask
from clar_sweeps.augment.time_shift import apply_time_shift, sample_time_shift
from clar_sweeps.augment.time_stretch import sample_time_stretch
from clar_sweeps.config import Definition

TIME = 16_000  # one second at 16 kHz


every_operation = pytest.mark.parametrize("name", list(OPERATIONS))


def snr_db(waveforms: Tensor, noisy: Tensor) -> Tensor:
    noise = noisy - waveforms
    return 10 * torch.log10(waveforms.square().sum(1) / noise.square().sum(1))


@every_operation
@pytest.mark.parametrize("time", [1000, 8000, 7919, 80_000])
def test_operation_returns_a_finite_buffer_of_its_own(
    name: str, time: int, generator: torch.Generator
) -> None:
    operation = OPERATIONS[name]
    waveforms = 0.1 * torch.randn(3, time, generator=generator)
    before = waveforms.clone()
    parameters = operation.sample(batch=3, time=time, generator=generator)
    kept = [values.clone() for values in parameters]
    changed = operation.apply(waveforms, *parameters)
    assert changed.shape == waveforms.shape
    assert changed.dtype == torch.float32
    assert changed.isfinite().all()
    assert changed.untyped_storage().data_ptr() != waveforms.untyped_storage().data_ptr()
    assert torch.equal(waveforms, before)
    assert all(torch.equal(now, then) for now, then in zip(parameters, kept, strict=True))
    assert not torch.equal(changed, waveforms)


@every_operation
def test_operation_does_the_same_with_the_same_parameters(
    name: str, generator: torch.Generator
) -> None:
    operation = OPERATIONS[name]
    waveforms = torch.randn(4, 2000, generator=generator)
    state = generator.get_state()
    parameters = operation.sample(batch=4, time=2000, generator=generator)
    again = operation.sample(batch=4, time=2000, generator=generator.set_state(state))
    assert all(torch.equal(a, b) for a, b in zip(parameters, again, strict=True))
    changed = operation.apply(waveforms, *parameters)
    assert torch.equal(changed, operation.apply(waveforms, *parameters))


@every_operation
def test_a_row_does_not_depend_on_the_others(name: str, generator: torch.Generator) -> None:
    operation = OPERATIONS[name]
    waveforms = torch.randn(4, 2000, generator=generator)
    parameters = operation.sample(batch=4, time=2000, generator=generator)
    changed = operation.apply(waveforms, *parameters)
    rows = [
        operation.apply(waveforms[i : i + 1], *[p[i : i + 1] for p in parameters]) for i in range(4)
    ]
    torch.testing.assert_close(torch.cat(rows), changed, rtol=0, atol=1e-5)


@every_operation
def test_every_example_has_parameters_of_its_own(name: str, generator: torch.Generator) -> None:
    parameters = OPERATIONS[name].sample(batch=64, time=2000, generator=generator)
    assert type(parameters)._fields  # type: ignore[attr-defined]  # a NamedTuple
    for values in parameters:
        assert len(values) == 64
        assert len(values.unique(dim=0)) >= 3


@every_operation
def test_silence_stays_finite(name: str, generator: torch.Generator) -> None:
    operation = OPERATIONS[name]
    parameters = operation.sample(batch=8, time=4000, generator=generator)
    changed = operation.apply(torch.zeros(8, 4000), *parameters)
    assert changed.isfinite().all()
    if name != "TM":  # which may fill with noise
        assert changed.abs().max() < 1e-9


@every_operation
def test_operation_refuses_what_is_not_a_batch_of_float32(
    name: str, generator: torch.Generator
) -> None:
    operation = OPERATIONS[name]
    parameters = operation.sample(batch=2, time=1000, generator=generator)
    with pytest.raises(ValueError, match=r"shape is \(1000,\), expected \(batch, time\)"):
        operation.apply(torch.zeros(1000), *parameters)
    with pytest.raises(ValueError, match=r"dtype is torch\.int16, expected torch\.float32"):
        operation.apply(torch.zeros(2, 1000, dtype=torch.int16), *parameters)
    with pytest.raises(ValueError, match="expected one entry for each of 3 waveforms"):
        operation.apply(torch.zeros(3, 1000), *parameters)


def test_shift_draws_every_semitone_from_minus_15_to_15(generator: torch.Generator) -> None:
    (semitones,) = sample_pitch_shift(batch=31_000, time=1, generator=generator)
    counts = torch.bincount(semitones + 15, minlength=31)
    assert semitones.min() == -15
    assert semitones.max() == 15
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_stretch_draws_rates_from_a_half_to_one_and_a_half(generator: torch.Generator) -> None:
    (rates,) = sample_time_stretch(batch=20_000, time=1, generator=generator)
    assert scipy.stats.kstest(rates.numpy(), "uniform", (0.5, 1.0)).pvalue > 1e-3


def test_fade_draws_sizes_below_half_and_three_shapes(generator: torch.Generator) -> None:
    parameters = sample_fade(batch=30_000, time=20, generator=generator)
    for sizes in (parameters.in_sizes, parameters.out_sizes):
        assert sizes.unique().tolist() == list(range(10))
    assert not torch.equal(parameters.in_sizes, parameters.out_sizes)
    counts = torch.bincount(parameters.shapes, minlength=3)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("shape", range(3))
def test_fade_has_the_gains_of_the_reference(shape: int) -> None:
    def reference(fade: np.ndarray) -> np.ndarray:
        return {
            "linear": fade,
            "logarithmic": np.clip(np.log10(0.1 + fade) + 1, 0, 1),
            "exponential": 2 ** (fade - 1) * fade,
        }[FADE_SHAPES[shape]]

    expected = np.ones((4, 9))
    in_sizes, out_sizes = [4, 0, 1, 2], [3, 2, 0, 4]
    for row, (size_in, size_out) in enumerate(zip(in_sizes, out_sizes, strict=True)):
        expected[row, :size_in] = reference(np.linspace(0, 1, size_in))
        expected[row, 9 - size_out :] = reference(np.linspace(0, 1, size_out))[::-1]
    faded = apply_fade(
        torch.ones(4, 9), torch.tensor(in_sizes), torch.tensor(out_sizes), torch.full((4,), shape)
    )
    np.testing.assert_allclose(faded, expected, atol=1e-6)


def test_noise_draws_whole_decibels_from_0_to_19(generator: torch.Generator) -> None:
    white = sample_white_noise(batch=4000, time=1, generator=generator)
    assert white.snr_db.unique().tolist() == list(range(20))
    mixed = sample_mixed_noise(batch=30_000, time=1, generator=generator)
    assert mixed.snr_db.unique().tolist() == list(range(20))
    counts = torch.bincount(mixed.colours, minlength=3)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_noise_has_its_ratio_in_decibels(tone_440: Tensor, generator: torch.Generator) -> None:
    waveforms = tone_440.expand(60, -1) * torch.logspace(-3, 0, 60)[:, None]
    white = sample_white_noise(batch=60, time=TIME, generator=generator)
    measured = snr_db(waveforms, apply_noise(waveforms, *white))
    torch.testing.assert_close(measured, white.snr_db.float(), rtol=0, atol=0.01)
    mixed = sample_mixed_noise(batch=60, time=TIME, generator=generator)
    measured = snr_db(waveforms, apply_mixed_noise(waveforms, *mixed))
    torch.testing.assert_close(measured, mixed.snr_db.float(), rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("colour", "slope_db"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)]
)
@pytest.mark.parametrize("time", [16_000, 15_999])
def test_noise_falls_by_its_slope(
    colour: str, slope_db: float, time: int, generator: torch.Generator
) -> None:
    noise = torch.randn(40, time, generator=generator)
    colours = torch.full((40,), [*NOISE_COLOURS].index(colour))
    coloured = colour_noise(noise, colours)
    frequencies, power = scipy.signal.welch(coloured.numpy(), fs=16_000, nperseg=2048)
    heard = (frequencies >= 60) & (frequencies <= 7000)
    fit = np.polyfit(np.log2(frequencies[heard]), 10 * np.log10(power.mean(0)[heard]), 1)
    assert fit[0] == pytest.approx(slope_db, abs=0.1)


def test_time_mask_draws_every_width_up_to_an_eighth(generator: torch.Generator) -> None:
    starts, widths, fill = sample_time_mask(batch=20_000, time=64, generator=generator)
    assert widths.unique().tolist() == list(range(1, 9))
    assert starts.min() == 0
    assert (starts + widths).max() == 64
    assert fill.shape == (20_000, 8)
    constant = (fill == 0).all(1)
    assert float(constant.float().mean()) == pytest.approx(0.5, abs=0.02)
    assert float(fill[~constant].std()) == pytest.approx(0.01, rel=0.02)


def test_time_mask_replaces_its_span_and_nothing_else(generator: torch.Generator) -> None:
    waveforms = torch.ones(3, 16)
    starts, widths = torch.tensor([0, 12, 14]), torch.tensor([3, 4, 0])
    fill = 2 + torch.rand(3, 4, generator=generator)
    masked = apply_time_mask(waveforms, starts, widths, fill)
    expected = waveforms.clone()
    expected[0, :3] = fill[0, :3]
    expected[1, 12:] = fill[1]
    assert torch.equal(masked, expected)
    passing_the_end = torch.tensor([0, 14, 15]), torch.tensor([3, 4, 2]), fill
    by_torch = time_mask._replace_by_torch(waveforms, *passing_the_end)
    assert torch.equal(apply_time_mask(waveforms, *passing_the_end), by_torch)
    assert torch.equal(by_torch[1, [14, 15, 0, 1]], fill[1])
    with pytest.raises(ValueError, match="fill: 17 samples, longer than the waveforms' 16"):
        apply_time_mask(waveforms, starts, widths, torch.zeros(3, 17))


def test_time_shift_draws_up_to_half_either_way(generator: torch.Generator) -> None:
    for time in (10, 11):
        (shifts,) = sample_time_shift(batch=2000, time=time, generator=generator)
        assert shifts.unique().tolist() == list(range(-5, 6))


def test_time_shift_is_a_roll(generator: torch.Generator) -> None:
    waveforms = torch.randn(5, 11, generator=generator)
    shifts = torch.tensor([-5, -1, 0, 3, 5])
    expected = torch.stack([row.roll(int(n)) for row, n in zip(waveforms, shifts, strict=True)])
    assert torch.equal(apply_time_shift(waveforms, shifts), expected)
    assert torch.equal(time_shift._roll_by_torch(waveforms, shifts % 11), expected)


def test_gpus_bend_fades_as_a_cpu_does() -> None:
    rise, shapes = torch.linspace(0, 1, 9).expand(7, 9), torch.tensor([0, 1, 2, 3, 4, 2, 0])
    expected = fade._bend_by_shape(rise.clone(), shapes)
    torch.testing.assert_close(fade._bend_all(rise, shapes), expected)


@pytest.mark.parametrize("name", ["TS", "TM", "FD"])
def test_operation_equals_audiomentations(name: str, generator: torch.Generator) -> None:
    waveforms = torch.randn(8, 4000, generator=generator)
    state = generator.get_state()
    ours = build_chain([name])(waveforms, generator)
    theirs = build_chain([name], backend="audiomentations")(waveforms, generator.set_state(state))
    assert torch.equal(ours, theirs)


def test_host_generator_of_a_cpu_generator_is_itself(generator: torch.Generator) -> None:
    assert host_generator(generator) is generator


@pytest.mark.gpu
@every_operation
def test_operation_gives_the_same_on_a_gpu(name: str, generator: torch.Generator) -> None:
    operation = OPERATIONS[name]
    waveforms = 0.1 * torch.randn(8, TIME, generator=generator)
    parameters = operation.sample(batch=8, time=TIME, generator=generator)
    on_cpu = operation.apply(waveforms, *parameters)
    on_gpu = operation.apply(waveforms.cuda(), *[values.cuda() for values in parameters])
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=2e-3)


@pytest.mark.gpu
@every_operation
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_operation_waits_for_no_gpu(name: str, definition: Definition) -> None:
    generator = torch.Generator("cuda").manual_seed(0)
    waveforms = torch.zeros(8, TIME, device="cuda")
    chain = build_chain([name], probabilities=0.5, definition=definition)
    chain(waveforms, generator)  # fills the caches of windows
    torch.cuda.set_sync_debug_mode("error")
    try:
        chain(waveforms, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
