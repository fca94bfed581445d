import librosa
import numpy as np
import pytest
import torch
from oracles.vocoder import vocode as oracle
from sounds import cents, mel_difference, peak_hz, sung
from torch import Tensor

from clar_sweeps import compiled
from clar_sweeps.augment import vocoder
from clar_sweeps.augment.pitch_shift import apply_pitch_shift
from clar_sweeps.augment.time_stretch import apply_time_stretch
from clar_sweeps.augment.vocoder import frame_length, shift_lengths
from clar_sweeps.augment.vocoder_torch import vocode_by_torch

TIME = 16_000  # one second at 16 kHz


@pytest.fixture(params=["compiled", "torch"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a CPU runs, and what a GPU runs."""
    if request.param == "torch":
        monkeypatch.setattr(vocoder, "_vocode_compiled", vocode_by_torch)


RATES = [0.5, 0.64, 0.9, 1.0, 1.1, 1.37, 1.5]
SHIFTS = [-15, -12, -7, -1, 1, 4, 12, 15]


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("rate", RATES)
def test_stretch_agrees_with_the_textbook(rate: float, generator: torch.Generator) -> None:
    waveforms = 0.1 * torch.randn(1, 6000, generator=generator)
    length = frame_length(16_000)
    end = min(6000, round(6000 / rate))
    expected = oracle(
        waveforms[0].double().numpy(),
        analysis=length,
        synthesis=length,
        rate=float(np.float32(rate)),
        num_samples=end,
    )
    actual = apply_time_stretch(waveforms, torch.tensor([rate]))[0]
    np.testing.assert_allclose(actual[:end], expected, atol=2e-4)
    assert not actual[end:].any()


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("semitones", SHIFTS)
def test_shift_agrees_with_the_textbook(semitones: int, generator: torch.Generator) -> None:
    waveforms = 0.1 * torch.randn(1, 6000, generator=generator)
    lengths = shift_lengths(semitones, 16_000)
    expected = oracle(
        waveforms[0].double().numpy(),
        analysis=lengths.analysis,
        synthesis=lengths.synthesis,
        rate=lengths.synthesis / lengths.analysis,
        num_samples=6000,
    )
    actual = apply_pitch_shift(waveforms, torch.tensor([semitones]))[0]
    np.testing.assert_allclose(actual, expected, atol=2e-4)


@pytest.mark.parametrize("rate", RATES)
def test_stretch_keeps_the_pitch_and_level_of_a_tone(rate: float, tone_440: Tensor) -> None:
    stretched = apply_time_stretch(tone_440, torch.tensor([rate]))[0]
    heard = stretched[: round(TIME / max(rate, 1.0))]
    assert abs(cents(peak_hz(heard), 440)) < 1.0
    level = heard[2000:-2000].square().mean().sqrt() * 2**0.5
    assert level == pytest.approx(0.5, rel=0.02)
    reference = librosa.effects.time_stretch(tone_440[0].numpy(), rate=rate)[: len(heard)]
    assert abs(cents(peak_hz(torch.from_numpy(reference)), peak_hz(heard))) < 1.0


@pytest.mark.parametrize("semitones", SHIFTS)
def test_shift_moves_a_tone_by_semitones(semitones: int, tone_440: Tensor) -> None:
    shifted = apply_pitch_shift(tone_440, torch.tensor([semitones]))[0]
    assert cents(peak_hz(shifted), 440) == pytest.approx(100 * semitones, abs=2.1)
    level = shifted[2000:-2000].square().mean().sqrt() * 2**0.5
    assert level == pytest.approx(0.5, rel=0.03)
    reference = librosa.effects.pitch_shift(tone_440[0].numpy(), sr=16_000, n_steps=semitones)
    assert abs(cents(peak_hz(torch.from_numpy(reference)), peak_hz(shifted))) < 3.0


def test_every_shift_is_exact_to_2_cents_at_16_khz() -> None:
    for semitones in range(-24, 25):
        analysis, synthesis = shift_lengths(semitones, 16_000)
        assert cents(analysis / synthesis, 2 ** (semitones / 12)) == pytest.approx(0, abs=2.0)


def test_shift_up_leaves_nothing_that_folds_over() -> None:
    # 6 kHz would rise to 14.3 kHz and fold to 1.7 kHz.
    tone = torch.sin(2 * torch.pi * 6000 * torch.arange(TIME) / 16_000)[None]
    shifted = apply_pitch_shift(tone, torch.tensor([15]))
    assert shifted[:, 2000:-2000].abs().max() < 3e-3  # -50 dB


@pytest.mark.parametrize("rate", [0.5, 0.7, 0.9, 1.2, 1.5])
def test_stretch_of_a_sung_voice_is_nearer_to_the_truth_than_librosas(rate: float) -> None:
    source, truth = sung(), sung(rate=rate)
    ours = mel_difference(apply_time_stretch(source[None], torch.tensor([rate]))[0], truth)
    theirs = np.zeros(TIME, dtype=np.float32)
    reference = librosa.effects.time_stretch(source.numpy(), rate=rate)[:TIME]
    theirs[: len(reference)] = reference
    assert ours < 1.5  # dB
    assert ours < 0.6 * mel_difference(theirs, truth)


@pytest.mark.parametrize("semitones", [-15, -7, -2, 3, 9, 15])
def test_shift_of_a_sung_voice_is_nearer_to_the_truth_than_librosas(semitones: int) -> None:
    source, truth = sung(), sung(ratio=2 ** (semitones / 12))
    ours = mel_difference(apply_pitch_shift(source[None], torch.tensor([semitones]))[0], truth)
    theirs = librosa.effects.pitch_shift(source.numpy(), sr=16_000, n_steps=semitones)
    assert ours < 1.5  # dB
    assert ours < 0.6 * mel_difference(theirs, truth)


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.25, 1.5])
def test_stretched_speech_has_the_spectrum_of_librosas(rate: float, speech: Tensor) -> None:
    stretched = apply_time_stretch(speech, torch.full((len(speech),), rate))
    end = min(TIME, round(TIME / rate))
    differences = []
    for ours, source in zip(stretched, speech, strict=True):
        theirs = librosa.effects.time_stretch(source.numpy(), rate=rate, n_fft=640)[:end]
        differences.append(mel_difference(ours[:end], theirs))
    assert np.mean(differences) < 4.0  # dB


@pytest.mark.parametrize("semitones", [-15, -5, 5, 15])
def test_shifted_speech_has_the_spectrum_of_librosas(semitones: int, speech: Tensor) -> None:
    shifted = apply_pitch_shift(speech, torch.full((len(speech),), semitones))
    differences = []
    for ours, source in zip(shifted, speech, strict=True):
        theirs = librosa.effects.pitch_shift(
            source.numpy(), sr=16_000, n_steps=semitones, n_fft=640
        )
        differences.append(mel_difference(ours, theirs))
    assert np.mean(differences) < 4.0  # dB


@pytest.mark.parametrize("rate", [0.5, 0.75, 1.0, 1.25, 1.5])
def test_an_impulse_at_t_moves_to_t_over_rate(rate: float) -> None:
    impulse = torch.zeros(1, TIME)
    impulse[0, 6000] = 1.0
    energy = apply_time_stretch(impulse, torch.tensor([rate]))[0].square()
    centre = (energy * torch.arange(TIME)).sum() / energy.sum()
    assert float(centre) == pytest.approx(6000 / rate, abs=frame_length(16_000) / 2)


@pytest.mark.parametrize("semitones", SHIFTS)
def test_an_impulse_stays_in_time_under_shift(semitones: int) -> None:
    impulse = torch.zeros(1, TIME)
    impulse[0, 6000] = 1.0
    energy = apply_pitch_shift(impulse, torch.tensor([semitones]))[0].square()
    centre = (energy * torch.arange(TIME)).sum() / energy.sum()
    assert float(centre) == pytest.approx(6000, abs=max(shift_lengths(semitones, 16_000)) / 2)


@pytest.mark.parametrize("time", [1000, 8000, 7919, 80_000])
def test_rate_1_gives_the_input_back(time: int, generator: torch.Generator) -> None:
    waveforms = 0.1 * torch.randn(3, time, generator=generator)
    torch.testing.assert_close(
        apply_time_stretch(waveforms, torch.ones(3)), waveforms, rtol=0, atol=1e-6
    )


def test_0_semitones_copy_the_input(generator: torch.Generator) -> None:
    waveforms = torch.randn(3, 4000, generator=generator)
    shifted = apply_pitch_shift(waveforms, torch.zeros(3, dtype=torch.int64))
    assert torch.equal(shifted, waveforms)
    assert shifted.data_ptr() != waveforms.data_ptr()


def test_what_gpus_run_agrees_with_what_a_cpu_runs_over_5_seconds(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveforms = 0.1 * torch.randn(3, 80_000, generator=generator)
    waveforms[2, 20_000:50_000] = 0.0
    rates, semitones = torch.tensor([0.5, 0.93, 1.41]), torch.tensor([-15, 4, 11])
    compiled = apply_time_stretch(waveforms, rates), apply_pitch_shift(waveforms, semitones)
    monkeypatch.setattr(vocoder, "_vocode_compiled", vocode_by_torch)
    by_torch = apply_time_stretch(waveforms, rates), apply_pitch_shift(waveforms, semitones)
    for actual, expected in zip(compiled, by_torch, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=5e-4)


def test_threads_change_no_bit(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_WORTH_A_THREAD", 0)
    waveforms = 0.1 * torch.randn(7, 6000, generator=generator)
    rates = torch.linspace(0.6, 1.4, 7)
    num_threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found.append(apply_time_stretch(waveforms, rates))
    finally:
        torch.set_num_threads(num_threads)
    assert torch.equal(*found)


def test_silence_stays_silent_and_after_it_sound_goes_on(tone_440: Tensor) -> None:
    waveforms = torch.cat([torch.zeros_like(tone_440), tone_440])
    waveforms[1, 4000:8000] = 0.0
    for changed in (
        apply_time_stretch(waveforms, torch.tensor([0.9, 0.9])),
        apply_pitch_shift(waveforms, torch.tensor([4, 4])),
    ):
        assert changed[0].abs().max() < 1e-9
        assert changed[1, 12_000:].square().mean().sqrt() * 2**0.5 == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("scale", [1e-7, 1e-4, 3e4])
def test_levels_scale_through(scale: float, generator: torch.Generator) -> None:
    waveforms = torch.randn(1, 4000, generator=generator)
    rates = torch.tensor([0.8])
    loud = apply_time_stretch(scale * waveforms, rates) / scale
    assert loud.isfinite().all()
    expected = float(apply_time_stretch(waveforms, rates).std())
    assert float(loud.std()) == pytest.approx(expected, rel=0.1)


def test_results_do_not_depend_on_the_batch(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveforms = 0.1 * torch.randn(12, 5000, generator=generator)
    rates = torch.linspace(0.5, 1.5, 12)
    semitones = torch.arange(12) % 5 - 2
    stretched = apply_time_stretch(waveforms, rates)
    shifted = apply_pitch_shift(waveforms, semitones)
    monkeypatch.setattr(vocoder, "_CHUNK_SAMPLES", 1)  # a row at a time
    torch.testing.assert_close(apply_time_stretch(waveforms, rates), stretched, rtol=0, atol=1e-6)
    torch.testing.assert_close(apply_pitch_shift(waveforms, semitones), shifted, rtol=0, atol=1e-6)


def test_rows_keep_their_place_in_the_batch(tone_440: Tensor) -> None:
    semitones = torch.tensor([7, -3, 0, 12, -3])
    shifted = apply_pitch_shift(tone_440.expand(5, -1), semitones)
    moved = [round(cents(peak_hz(row), 440) / 100) for row in shifted]
    assert moved == semitones.tolist()


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 22_050, 44_100])
def test_shift_serves_other_sample_rates(sample_rate: int) -> None:
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(sample_rate) / sample_rate)[None]
    shifted = apply_pitch_shift(tone, torch.tensor([12]), sample_rate=sample_rate)[0]
    assert cents(peak_hz(shifted) * sample_rate / 16_000, 880) == pytest.approx(0, abs=4.0)


def test_wrong_parameters_are_refused() -> None:
    waveforms = torch.zeros(2, 1000)
    with pytest.raises(ValueError, match=r"rates: .* do not all lie in \[0.1, 10\]"):
        apply_time_stretch(waveforms, torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"rates: .* do not all lie in \[0.1, 10\]"):
        apply_time_stretch(waveforms, torch.tensor([1.0, torch.nan]))
    with pytest.raises(ValueError, match=r"semitones: .* not all integers in \[-24, 24\]"):
        apply_pitch_shift(waveforms, torch.tensor([0.5, 1.0]))
    with pytest.raises(ValueError, match=r"semitones: .* not all integers in \[-24, 24\]"):
        apply_pitch_shift(waveforms, torch.tensor([0, 25]))
    with pytest.raises(ValueError, match=r"semitones: shape is .* one entry for each of 2"):
        apply_pitch_shift(waveforms, torch.tensor([0, 1, 2]))
