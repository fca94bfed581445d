"""TSR, and TST of the authors' code: pitch moves by 1 / rate, times stay."""

import librosa
import numpy as np
import pytest
import torch
from sounds import TIME, cents, mel_difference, peak_hz, sung
from torch import Tensor

from clar_sweeps.augment import stretch_resample, vocoder
from clar_sweeps.augment.stretch_resample import apply_stretch_resample
from clar_sweeps.augment.vocoder import frame_length

CPU = torch.device("cpu")
RATES = [0.5, 0.64, 0.75, 0.9, 1.0, 1.25, 1.37, 1.5]


def reference(waveform: Tensor, rate: float, *, n_fft: int = 2048) -> np.ndarray:
    """By librosa, as the authors' code calls it; its frames of 128 ms."""
    stretched = librosa.effects.time_stretch(waveform.numpy(), rate=rate, n_fft=n_fft)
    scale = len(stretched) / len(waveform)
    resampled = librosa.resample(stretched, orig_sr=round(16_000 * scale), target_sr=16_000)
    resampled = resampled[: len(waveform)]
    return np.pad(resampled, (0, len(waveform) - len(resampled)))


def tone(hz: float) -> Tensor:
    """(1, TIME), amplitude 0.5."""
    return 0.5 * torch.sin(2 * torch.pi * hz * torch.arange(TIME).double() / 16_000).float()[None]


@pytest.mark.parametrize("rate", RATES)
def test_pitch_moves_by_the_inverse_of_the_rate(rate: float, tone_440: Tensor) -> None:
    changed = apply_stretch_resample(tone_440, torch.tensor([rate]))[0]
    assert abs(cents(peak_hz(changed), 440 / rate)) < 1.0
    level = changed[2000:-2000].square().mean().sqrt() * 2**0.5
    assert level == pytest.approx(0.5, rel=0.02)
    theirs = torch.from_numpy(reference(tone_440[0], rate))
    assert abs(cents(peak_hz(theirs), peak_hz(changed))) < 1.0


@pytest.mark.parametrize("rate", RATES)
def test_an_impulse_stays_in_time(rate: float) -> None:
    impulse = torch.zeros(1, TIME)
    impulse[0, 6000] = 1.0
    energy = apply_stretch_resample(impulse, torch.tensor([rate]))[0].square()
    centre = (energy * torch.arange(TIME)).sum() / energy.sum()
    assert float(centre) == pytest.approx(6000, abs=frame_length(16_000) / 2)


@pytest.mark.parametrize("rate", RATES)
def test_sound_lasts_to_the_end(rate: float, tone_440: Tensor) -> None:
    end = apply_stretch_resample(tone_440, torch.tensor([rate]))[0, -600:-100]
    assert end.square().mean().sqrt() * 2**0.5 == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize("hz", [4200, 6000, 7900])
def test_what_would_rise_above_nyquist_is_cut_and_does_not_fold_over(hz: float) -> None:
    # 4.2 kHz would rise to 8.4 kHz and fold to 7.6 kHz.
    changed = apply_stretch_resample(tone(hz), torch.tensor([0.5]))
    assert changed[:, 2000:-2000].abs().max() < 1.5e-3  # -50 dB of its amplitude


def test_what_stays_below_nyquist_is_kept() -> None:
    changed = apply_stretch_resample(tone(3800), torch.tensor([0.5]))
    assert changed[:, 2000:-2000].square().mean().sqrt() * 2**0.5 == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize(("hz", "rate"), [(7000, 1.5), (3500, 0.5), (7900, 1.0), (6000, 0.8)])
def test_a_tone_is_read_without_images(hz: float, rate: float) -> None:
    changed = apply_stretch_resample(tone(hz), torch.tensor([rate]))[0, 2000:14_000]
    spectrum = torch.fft.rfft(changed * torch.blackman_window(12_000)).abs()
    peak = round(hz / rate * 12_000 / 16_000)
    others = spectrum.clone()
    others[peak - 40 : peak + 40] = 0
    assert others.max() < 10 ** (-60 / 20) * spectrum[peak - 2 : peak + 3].max()


@pytest.mark.parametrize("rate", [0.5, 0.7, 0.9, 1.2, 1.5])
def test_a_sung_voice_is_nearer_to_the_truth_than_librosas(rate: float) -> None:
    source, truth = sung(), sung(ratio=1 / rate)
    ours = mel_difference(apply_stretch_resample(source[None], torch.tensor([rate]))[0], truth)
    assert ours < 1.5  # dB
    assert ours < 0.6 * mel_difference(reference(source, rate), truth)


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.25, 1.5])
def test_speech_has_the_spectrum_of_librosas(rate: float, speech: Tensor) -> None:
    changed = apply_stretch_resample(speech, torch.full((len(speech),), rate))
    differences = [
        mel_difference(ours, reference(source, rate, n_fft=640))  # frames as long as ours
        for ours, source in zip(changed, speech, strict=True)
    ]
    assert np.mean(differences) < 4.0  # dB


@pytest.mark.parametrize("time", [1000, 7919, 80_000])
def test_rate_1_gives_the_input_back(time: int, generator: torch.Generator) -> None:
    noise = 0.1 * torch.randn(3, time, generator=generator)
    spectrum = torch.fft.rfft(noise)
    spectrum[:, int(0.98 * spectrum.shape[1]) :] = 0  # the last bin of a frame is cut
    waveforms = torch.fft.irfft(spectrum, n=time)
    changed = apply_stretch_resample(waveforms, torch.ones(3))
    error = (changed - waveforms)[:, 400:-400].abs().max()
    assert error < 4e-3
    torch.testing.assert_close(changed[:, :400], waveforms[:, :400], rtol=0, atol=0.05)


def test_results_do_not_depend_on_the_batch(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveforms = 0.1 * torch.randn(12, 5000, generator=generator)
    rates = torch.linspace(1.5, 0.5, 12)
    together = apply_stretch_resample(waveforms, rates)
    monkeypatch.setattr(vocoder, "_CHUNK_SAMPLES", 1)  # a row at a time
    torch.testing.assert_close(
        apply_stretch_resample(waveforms, rates), together, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_100])
def test_other_sample_rates_are_served(sample_rate: int) -> None:
    waveform = torch.sin(2 * torch.pi * 440 * torch.arange(sample_rate) / sample_rate)[None]
    changed = apply_stretch_resample(waveform, torch.tensor([0.5]), sample_rate=sample_rate)[0]
    assert abs(cents(peak_hz(changed) * sample_rate / 16_000, 880)) < 1.0


def test_a_kernel_at_a_sample_is_that_sample() -> None:
    kernels = stretch_resample._kernels(CPU)
    torch.testing.assert_close(kernels[0], torch.eye(8)[3], rtol=0, atol=1e-6)
    torch.testing.assert_close(kernels[-1], torch.eye(8)[4], rtol=0, atol=1e-6)
    torch.testing.assert_close(kernels, kernels.flip(0, 1), rtol=0, atol=1e-6)


def test_gpus_read_between_samples_what_a_cpu_reads(generator: torch.Generator) -> None:
    waveforms = torch.randn(3, 500, generator=generator)
    steps = torch.tensor([0.7, 1.0, 1.63], dtype=torch.float64)
    padded, kernels = torch.nn.functional.pad(waveforms, (3, 0)), stretch_resample._kernels(CPU)
    expected = stretch_resample._read_by_torch(padded, steps, kernels, 300)
    actual = stretch_resample._read(waveforms, steps, 300)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_wrong_rates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rates: .* do not all lie in \[0.1, 10\]"):
        apply_stretch_resample(torch.zeros(2, 1000), torch.tensor([1.0, 0.05]))
    with pytest.raises(ValueError, match=r"rates: shape is .* one entry for each of 2"):
        apply_stretch_resample(torch.zeros(2, 1000), torch.tensor([1.0]))
