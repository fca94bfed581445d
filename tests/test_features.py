import subprocess
import sys
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from nnAudio.features import STFT, MelSpectrogram
from oracles.features import frame_spectrum, mel_powers
from torch import Tensor

from clar_sweeps.features import RawWaveform, SpectralFeatures

PAPER: dict[str, int] = {}
SMALL = {"num_bands": 32, "n_fft": 512, "window_length": 256, "hop_length": 128}
WIDE = {"num_bands": 32, "n_fft": 512, "window_length": 512, "hop_length": 256}


@pytest.fixture(scope="module")
def waveforms() -> Tensor:
    """Noise whose level rises from -60 to 0 dB, three clips of a second."""
    noise = torch.randn(3, 16000, generator=torch.Generator().manual_seed(0))
    return 0.2 * noise * torch.logspace(-3, 0, 16000)


def _clear(magnitude: Tensor) -> Tensor:
    """Where float32 leaves magnitude and phase: not near a zero of the frame's spectrum."""
    clear = magnitude > 1e-2 * magnitude.amax(dim=1, keepdim=True)
    assert clear.float().mean() > 0.9
    return clear


def _assert_same_phase(phase: Tensor, expected: Tensor, where: Tensor) -> None:
    """Compare as unit phasors: pi and -pi are one phase."""
    distance = 2 * torch.sin((phase - expected) / 2).abs()
    assert distance[where].max() < 1e-3


def test_raw_waveform_adds_a_channel() -> None:
    waveforms = torch.arange(6.0).view(2, 3)
    assert torch.equal(RawWaveform()(waveforms), waveforms.view(2, 1, 3))


@pytest.mark.parametrize("options", [PAPER, SMALL, WIDE])
def test_gpus_compute_what_a_cpu_computes(waveforms: Tensor, options: dict[str, int]) -> None:
    features = SpectralFeatures(**options)
    compiled, by_torch = features._compiled(waveforms), features._by_torch(waveforms)
    for channel in (0, 2):
        torch.testing.assert_close(compiled[:, channel], by_torch[:, channel], rtol=0, atol=1e-3)
    clear = _clear(10 ** (by_torch[:, 0] / 20))
    _assert_same_phase(compiled[:, 1], by_torch[:, 1], clear)


@pytest.mark.parametrize("options", [PAPER, SMALL, WIDE])
def test_features_equal_nnaudios(waveforms: Tensor, options: dict[str, int]) -> None:
    lengths: dict[str, Any] = {
        "win_length": options.get("window_length", 256),
        "hop_length": options.get("hop_length", 128),
        "n_fft": options.get("n_fft", 2048),
    }
    num_bands = options.get("num_bands", 128)
    mel = MelSpectrogram(sr=16000, n_mels=num_bands, fmin=0.0, verbose=False, **lengths)(waveforms)
    stft = STFT(sr=16000, verbose=False, **lengths)(waveforms)
    rows = slice(0, lengths["n_fft"] // 2, lengths["n_fft"] // (2 * num_bands))
    magnitude = torch.linalg.vector_norm(stft, dim=-1)[:, rows]
    features = SpectralFeatures(**options)(waveforms)
    clear = _clear(magnitude)
    decibels = 20 * magnitude.log10()
    torch.testing.assert_close(features[:, 0][clear], decibels[clear], rtol=0, atol=1e-3)
    torch.testing.assert_close(features[:, 2], 10 * mel.log10(), rtol=0, atol=1e-3)


def test_stft_channels_equal_nnaudios_plain_stft_of_one_window(waveforms: Tensor) -> None:
    stft = STFT(n_fft=256, hop_length=128, sr=16000, verbose=False)
    magnitude = stft(waveforms, output_format="Magnitude")[:, :128]
    phase = stft(waveforms, output_format="Phase")[:, :128]
    features = SpectralFeatures()(waveforms)
    clear = _clear(magnitude)
    decibels = 20 * magnitude.log10()
    torch.testing.assert_close(features[:, 0][clear], decibels[clear], rtol=0, atol=1e-3)
    _assert_same_phase(features[:, 1], phase, clear)


@pytest.mark.parametrize("frame", [0, 1, 40, 125])
def test_one_frame_equals_explicit_fourier_sums(waveforms: Tensor, frame: int) -> None:
    features = SpectralFeatures(**SMALL)(waveforms[:1])[0, :, :, frame].double().numpy()
    spectrum = frame_spectrum(
        waveforms[0].double().numpy(), centre=128 * frame, window_length=256, n_fft=512
    )
    rows = np.array(spectrum)[0:256:8]
    np.testing.assert_allclose(features[0], 20 * np.log10(np.abs(rows)), atol=1e-3)
    np.testing.assert_allclose(np.exp(1j * features[1]), rows / np.abs(rows), atol=1e-3)
    mel = mel_powers(spectrum, sample_rate=16000, num_bands=32)
    np.testing.assert_allclose(features[2], 10 * np.log10(mel), atol=1e-3)


@pytest.mark.parametrize("options", [PAPER, SMALL])
def test_tone_peaks_at_its_frequency(options: dict[str, int]) -> None:
    num_bands = options.get("num_bands", 128)
    row = num_bands // 4  # 2000 Hz
    tone = torch.sin(2 * torch.pi * 2000 * torch.arange(16000.0).double() / 16000)
    features = SpectralFeatures(**options)(tone[None])[0, :, :, 2:-2]
    assert (features[0].argmax(dim=0) == row).all()
    # A sine of amplitude 1 under a Hann window: half of the window's sum, 64.
    np.testing.assert_allclose(features[0, row], 20 * np.log10(64), atol=1e-4)
    # Slaney's scale puts 2000 Hz at 25.08 of 45.25 mel.
    assert (features[2].argmax(dim=0) - 25.08 / 45.25 * (num_bands + 1) + 1).abs().max() < 1


@pytest.mark.parametrize("window_length", [2048, 256])
@pytest.mark.parametrize("num_bands", [128, 32])
def test_released_features_equal_nnaudios(
    waveforms: Tensor, num_bands: int, window_length: int
) -> None:
    lengths = {"n_fft": 2048, "win_length": window_length, "hop_length": 128, "sr": 16000}
    log_spaced = {"freq_bins": num_bands, "freq_scale": "log", "fmin": 40, "fmax": 8000}
    stft = STFT(verbose=False, **lengths, **log_spaced)
    magnitude = (stft(waveforms, output_format="Magnitude").square() + 1e-8).sqrt()
    phase = stft(waveforms, output_format="Phase")
    mel = MelSpectrogram(n_mels=num_bands, fmin=40, fmax=8000, norm=None, verbose=False, **lengths)
    mel.mel_basis /= mel.mel_basis.sum(1, keepdim=True)

    features = SpectralFeatures(
        definition="released", num_bands=num_bands, window_length=window_length
    )(waveforms)
    clear = _clear(magnitude)
    decibels = 20 * magnitude.clamp_min(1e-5).log10() - 20
    torch.testing.assert_close(features[:, 0][clear], decibels[clear], rtol=0, atol=1e-3)
    _assert_same_phase(features[:, 1], phase, clear)
    decibels = 10 * mel(waveforms).clamp_min(1e-5).log10() - 10
    torch.testing.assert_close(features[:, 2], decibels, rtol=0, atol=1e-3)


def test_released_mel_filters_add_up_to_1_as_librosas_of_norm_1() -> None:
    filters = SpectralFeatures(definition="released", window_length=2048).mel_filters
    torch.testing.assert_close(filters.sum(1), torch.ones(128))
    expected = librosa.filters.mel(sr=16000, n_fft=2048, n_mels=128, fmin=40, fmax=8000, norm=1)
    np.testing.assert_allclose(filters, expected, atol=1e-6)


@pytest.mark.parametrize("row", [30, 64, 120])
def test_released_rows_are_log_spaced_from_40_hz(row: int) -> None:
    frequency = 40 * 200 ** (row / 128)
    tone = torch.sin(2 * torch.pi * frequency * torch.arange(16000.0).double() / 16000).float()
    extract = SpectralFeatures(definition="released", window_length=2048)
    features = extract(tone[None])[0, :, :, 12:-12]
    assert (features[0].argmax(dim=0) - row).abs().max() <= 1
    # A sine of amplitude 1 under a Hann window: half of the window's sum, 512; and 20 less.
    np.testing.assert_allclose(features[0, row], 20 * np.log10(512) - 20, atol=0.02)


def test_released_floors_of_silence() -> None:
    features = SpectralFeatures(definition="released", window_length=2048)(torch.zeros(1, 4000))
    for channel, value in enumerate((-100.0, 0.0, -60.0)):
        torch.testing.assert_close(features[:, channel], torch.full((1, 128, 32), value))


def test_an_unknown_definition_is_named() -> None:
    with pytest.raises(ValueError, match="definition: 'code' is not one of 'paper', 'released'"):
        SpectralFeatures(definition="code")  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "num_frames"), [(1, 126), (4, 501), (5, 626)])
def test_shape_at_the_datasets_lengths(seconds: int, num_frames: int) -> None:
    waveforms = torch.randn(2, 16000 * seconds, generator=torch.Generator().manual_seed(0))
    assert SpectralFeatures()(waveforms).shape == (2, 3, 128, num_frames)


def test_silence_is_the_floor_with_phase_zero() -> None:
    features = SpectralFeatures(**SMALL)(torch.zeros(2, 4000))
    assert torch.equal(features[:, [0, 2]], torch.full((2, 2, 32, 32), -100.0))
    assert torch.equal(features[:, 1], torch.zeros(2, 32, 32))


def test_features_leave_their_input_unchanged(waveforms: Tensor) -> None:
    copy = waveforms.clone()
    SpectralFeatures(**SMALL)(waveforms)
    assert torch.equal(waveforms, copy)


def test_features_of_a_clip_do_not_depend_on_its_batch() -> None:
    """More clips than one chunk holds."""
    waveforms = torch.randn(40, 16000, generator=torch.Generator().manual_seed(0))
    extract = SpectralFeatures(**WIDE)
    batch, alone = extract(waveforms), torch.cat([extract(row[None]) for row in waveforms])
    torch.testing.assert_close(batch[:, [0, 2]], alone[:, [0, 2]], rtol=0, atol=1e-3)


def test_features_are_float32_under_autocast(waveforms: Tensor) -> None:
    extract = SpectralFeatures(**SMALL)
    expected = extract(waveforms)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(extract(waveforms), expected)


def test_features_have_no_state() -> None:
    assert SpectralFeatures(**SMALL).state_dict() == {}
    assert SpectralFeatures(**SMALL, definition="released").state_dict() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"num_bands": 40, "n_fft": 512},
            r"n_fft is 512, expected a multiple of 2 \* num_bands = 80",
        ),
        (
            {"num_bands": 32, "n_fft": 256, "window_length": 512},
            "window_length is 512, expected at most n_fft = 256",
        ),
        (
            {"num_bands": 128, "n_fft": 256},
            "13 of 128 mel filters have no frequency bin at n_fft 256; "
            "raise n_fft or lower num_bands",
        ),
    ],
)
def test_a_bad_length_is_named(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpectralFeatures(**options)


@pytest.mark.parametrize("shape", [(16000,), (1, 2, 16000), (2, 128)])
def test_a_bad_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(batch, time\) with time above half of"):
        SpectralFeatures()(torch.zeros(shape))


def test_construction_prints_nothing() -> None:
    """In a fresh process: a module warns at its first import only."""
    code = "from clar_sweeps.features import SpectralFeatures; SpectralFeatures()"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout + run.stderr == ""
