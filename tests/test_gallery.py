"""The gallery's numbers: what a caption says is what was done to the clip."""

import io
import re
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from clar_sweeps import rng
from clar_sweeps.augment import DEFINITIONS, OPERATIONS
from clar_sweeps.augment.fade import FADE_SHAPES, FadeParameters
from clar_sweeps.augment.noise import MixedNoiseParameters, WhiteNoiseParameters
from clar_sweeps.augment.pitch_shift import PitchShiftParameters
from clar_sweeps.augment.time_mask import TimeMaskParameters
from clar_sweeps.augment.time_shift import TimeShiftParameters
from clar_sweeps.augment.time_stretch import TimeStretchParameters
from clar_sweeps.config import Definition
from clar_sweeps.data import Split, Waveforms
from clar_sweeps.data.waveforms import samples_sha256
from clar_sweeps.errors import DataError
from clar_sweeps.gallery import (
    Example,
    Gallery,
    choose_clip,
    describe,
    find_clip,
    make_gallery,
    sounds,
)

RATE = 16_000
ALL = list(OPERATIONS)


def dataset(folder: Path, clips: list[NDArray[np.float64]], splits: list[Split]) -> Waveforms:
    """A dataset of one class from amplitudes in [-1, 1]."""
    path = folder / "samples.npy"
    np.save(path, np.rint(32767 * np.stack(clips)).astype(np.int16))
    return Waveforms(
        samples=np.load(path, mmap_mode="c"),
        labels=np.zeros(len(clips), dtype=np.int64),
        splits=tuple(splits),
        speakers=("someone",) * len(clips),
        clip_names=tuple(f"clip_{number}.wav" for number in range(len(clips))),
        class_names=("sound",),
        sample_rate=RATE,
        digest="",
        samples_path=path,
    )


def tone(hertz: float, amplitude: float = 0.5) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)


def one(gallery: Gallery, name: str) -> Example:
    (found,) = [example for example in gallery.examples if example.name == name]
    return found


def numbers(caption: str) -> list[float]:
    return [float(text) for text in re.findall(r"-?\d+\.?\d*", caption.replace("−", "-"))]


def test_the_clip_itself_comes_first_and_then_the_operations_as_asked(digits: Waveforms) -> None:
    gallery = make_gallery(digits, ["TS", "FD"], clip=7, seed=0)
    assert [example.name for example in gallery.examples] == ["clean", "TS", "FD"]
    assert gallery.clip_name == digits.clip_names[7]
    clean = gallery.examples[0]
    assert clean.caption == f"labelled “{digits.clip_names[7].split('/')[0]}”"
    np.testing.assert_array_equal(clean.waveform, digits.samples[7] / np.float32(32768))


def test_mel_is_in_decibels_at_the_band_of_the_tone(tmp_path: Path) -> None:
    waveforms = dataset(tmp_path, [tone(1000, 0.5), tone(1000, 0.05)], ["test", "test"])
    loud, quiet = (make_gallery(waveforms, ["TS"], clip=clip, seed=0) for clip in (0, 1))
    mel = loud.examples[0].mel[:, 10:-10].mean(axis=1)
    assert loud.band_centres[mel.argmax()] == pytest.approx(1000, abs=25)
    fainter = quiet.examples[0].mel[:, 10:-10].mean(axis=1)
    assert mel.max() - fainter.max() == pytest.approx(20, abs=0.1)
    assert (np.diff(loud.band_centres) > 0).all()
    frames = loud.examples[0].mel.shape[1]
    assert frames == RATE // loud.hop_length + 1


@pytest.mark.parametrize(
    ("name", "parameters", "caption"),
    [
        ("PS", PitchShiftParameters(torch.tensor([7])), "+7 semitones"),
        ("PS", PitchShiftParameters(torch.tensor([-1])), "−1 semitone"),
        ("PS", PitchShiftParameters(torch.tensor([0])), "0 semitones"),
        ("TST", TimeStretchParameters(torch.tensor([0.72])), "rate 0.72, slower"),
        ("TST", TimeStretchParameters(torch.tensor([1.25])), "rate 1.25, faster"),
        ("TSR", TimeStretchParameters(torch.tensor([0.5])), "rate 0.50, pitch × 2.00"),
        ("WN", WhiteNoiseParameters(torch.ones(1, 4), torch.tensor([0])), "SNR 0 dB"),
        (
            "MN",
            MixedNoiseParameters(torch.ones(1, 4), torch.tensor([9]), torch.tensor([2])),
            "SNR 9 dB, pink",
        ),
        (
            "TM",
            TimeMaskParameters(torch.tensor([4960]), torch.tensor([1760]), torch.ones(1, 2000)),
            "masked 0.31–0.42 s with noise",
        ),
        (
            "TM",
            TimeMaskParameters(torch.tensor([4960]), torch.tensor([48]), torch.zeros(1, 2000)),
            "masked 0.310–0.313 s with silence",
        ),
        (
            "TM",
            TimeMaskParameters(torch.tensor([9]), torch.tensor([0]), torch.ones(1, 2000)),
            "left unmasked by its coin",
        ),
        (
            "FD",
            FadeParameters(torch.tensor([3200]), torch.tensor([6560]), torch.tensor([1])),
            "fade in 0.20 s, out 0.41 s, logarithmic",
        ),
        (
            "FD",
            FadeParameters(torch.tensor([0]), torch.tensor([160]), torch.tensor([3])),
            "fade in 0.00 s, out 0.01 s, quarter sine",
        ),
        ("TS", TimeShiftParameters(torch.tensor([-3840])), "shifted by −0.24 s"),
        ("TS", TimeShiftParameters(torch.tensor([7680])), "shifted by +0.48 s"),
    ],
)
def test_parameters_are_told_in_words_with_units(
    name: str, parameters: tuple[torch.Tensor, ...], caption: str
) -> None:
    assert describe(OPERATIONS[name], parameters, sample_rate=RATE) == caption


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_operation_of_every_definition_has_words(definition: Definition, seed: int) -> None:
    for operation in DEFINITIONS[definition].values():
        generator = rng.generator(seed, "test")
        parameters = operation.sample(batch=1, time=RATE, generator=generator)
        assert describe(operation, parameters, sample_rate=RATE)


def test_an_operation_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="tuple has no words; add them"):
        describe(OPERATIONS["PS"], (torch.zeros(1),), sample_rate=RATE)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
class TestCaptionsAgreeWithTheWaveforms:
    def gallery(self, digits: Waveforms, seed: int, *names: str) -> Gallery:
        return make_gallery(digits, names, clip=choose_clip(digits), seed=seed)

    def test_noise(self, digits: Waveforms, seed: int) -> None:
        gallery = self.gallery(digits, seed, "WN", "MN")
        clean = gallery.examples[0].waveform
        slopes = {"white": 0, "pink": -3, "brown": -6}
        noises = []
        for name in ("WN", "MN"):
            example = one(gallery, name)
            noise = example.waveform.astype(np.float64) - clean
            snr = 10 * np.log10(np.square(clean, dtype=np.float64).sum() / np.square(noise).sum())
            assert numbers(example.caption) == [pytest.approx(snr, abs=0.01)]
            power = np.square(np.abs(np.fft.rfft(noise)))
            # Two bands of one octave each, two octaves apart: 500 Hz to 1 kHz, 2 to 4 kHz.
            slope = 10 * np.log10(power[2000:4000].mean() / power[500:1000].mean()) / 2
            colour = example.caption.partition(", ")[2] or "white"
            assert slope == pytest.approx(slopes[colour], abs=0.5)
            noises.append(noise)
        assert abs(np.corrcoef(*noises)[0, 1]) < 0.1  # each operation has its own stream

    def test_time_shift(self, digits: Waveforms, seed: int) -> None:
        gallery = self.gallery(digits, seed, "TS")
        clean, shifted = (np.fft.rfft(example.waveform) for example in gallery.examples)
        lag = int(np.fft.irfft(shifted * clean.conj()).argmax())
        seconds = (lag - RATE if lag > RATE // 2 else lag) / RATE
        assert numbers(gallery.examples[1].caption) == [pytest.approx(seconds, abs=0.005)]

    def test_time_mask(self, digits: Waveforms, seed: int) -> None:
        gallery = self.gallery(digits, seed, "TM")
        clean, masked = (example.waveform for example in gallery.examples)
        changed = np.flatnonzero(clean != masked)
        ends = [changed[0] / RATE, (changed[-1] + 1) / RATE]
        assert numbers(gallery.examples[1].caption) == pytest.approx(ends, abs=0.0051)
        assert ("silence" in gallery.examples[1].caption) == (not masked[changed].any())

    def test_fade(self, tmp_path: Path, seed: int) -> None:
        constant = dataset(tmp_path, [np.full(RATE, 0.5)], ["test"])
        gallery = make_gallery(constant, ["FD"], clip=0, seed=seed)
        clean, faded = (example.waveform for example in gallery.examples)
        fade = gallery.examples[1]
        below = faded < clean * 0.9999
        shape = fade.caption.split(", ")[-1]
        rise = 0.9 if shape == "logarithmic" else 1.0  # share of the fade until its gain is 1
        fade_in, fade_out = (half.sum() / RATE / rise for half in np.split(below, 2))
        assert numbers(fade.caption) == pytest.approx([fade_in, fade_out], abs=0.0055)
        halfway = faded[int(fade_in * RATE) // 2] / clean[0]
        shapes = {"linear": 0.5, "logarithmic": 0.778, "exponential": 0.354}
        assert halfway == pytest.approx(shapes[shape], abs=0.01)
        assert set(shapes) == set(FADE_SHAPES[:3])

    def test_pitch_and_rate(self, tmp_path: Path, seed: int) -> None:
        waveforms = dataset(tmp_path, [tone(1000)], ["test"])
        gallery = make_gallery(waveforms, ["PS", "TST", "TSR"], clip=0, seed=seed)

        def pitch(name: str) -> float:
            window = np.hanning(RATE // 2)
            spectrum = np.abs(np.fft.rfft(one(gallery, name).waveform[2000:10_000] * window))
            return float(spectrum.argmax()) * 2

        (semitones,) = numbers(one(gallery, "PS").caption)
        assert pitch("PS") == pytest.approx(1000 * 2 ** (semitones / 12), abs=6)
        (rate,) = numbers(one(gallery, "TST").caption)
        sounding = np.flatnonzero(one(gallery, "TST").waveform)[-1] + 1
        assert sounding / RATE == pytest.approx(min(1.0, 1 / rate), abs=0.01)
        assert pitch("TST") == pytest.approx(1000, abs=3)
        _, factor = numbers(one(gallery, "TSR").caption)
        assert pitch("TSR") == pytest.approx(1000 * factor, abs=8)


def test_a_draw_depends_on_the_seed_and_not_on_what_else_is_shown(digits: Waveforms) -> None:
    first = make_gallery(digits, ALL, clip=3, seed=5)
    again = make_gallery(digits, ALL[::-1], clip=3, seed=5)
    other = make_gallery(digits, ALL, clip=3, seed=6)
    for name in ALL:
        np.testing.assert_array_equal(one(first, name).waveform, one(again, name).waveform)
        np.testing.assert_array_equal(one(first, name).mel, one(again, name).mel)
        assert one(first, name).caption == one(again, name).caption
        assert (one(first, name).waveform != one(other, name).waveform).any()


def test_definitions_draw_their_own_parameters(digits: Waveforms) -> None:
    gallery = make_gallery(digits, ["TST"], clip=3, seed=5, definition="released")
    assert "pitch ×" in one(gallery, "TST").caption


def test_the_dataset_and_the_clip_are_left_unchanged(digits: Waveforms) -> None:
    before = samples_sha256(digits.samples)
    gallery = make_gallery(digits, ALL, clip=choose_clip(digits), seed=0)
    assert samples_sha256(digits.samples) == before
    clip = digits.clip_names.index(gallery.clip_name)
    clean = gallery.examples[0].waveform
    np.testing.assert_array_equal(clean, digits.samples[clip] / np.float32(32768))


def test_the_chosen_clip_is_a_test_clip_of_median_loudness(digits: Waveforms) -> None:
    clip = choose_clip(digits)
    tests = digits.indices("test")
    assert clip in tests
    loudness = 10 * np.log10(np.square(digits.samples.astype(float)).mean(axis=1))
    distances = np.abs(loudness - np.median(loudness[tests]))
    assert distances[clip] <= max(1.0, distances[tests].min()) + 1e-6


def test_the_chosen_clip_stands_out_from_its_background(tmp_path: Path) -> None:
    long, short = np.zeros(RATE), np.zeros(RATE)
    long[4000:12_000], short[6000:8000] = 0.1, 0.2  # equally loud as a whole
    steady = np.full(RATE, 0.0707)
    clips = [long, np.zeros(RATE), short, steady, long, np.full(RATE, 0.9)]
    waveforms = dataset(tmp_path, clips, ["train", "test", "test", "test", "test", "test"])
    assert choose_clip(waveforms) == 4


def test_silence_can_be_shown(tmp_path: Path) -> None:
    waveforms = dataset(tmp_path, [np.zeros(RATE)], ["train"])
    gallery = make_gallery(waveforms, ALL, clip=choose_clip(waveforms), seed=0)
    assert all(np.isfinite(example.mel).all() for example in gallery.examples)
    assert set(sounds(gallery)) == {"clean", *ALL}


def test_a_clip_is_found_by_name_or_the_nearest_is_named(digits: Waveforms) -> None:
    assert find_clip(digits, digits.clip_names[11]) == 11
    wrong = digits.clip_names[11].replace(".wav", ".wv")
    with pytest.raises(DataError, match=rf"did you mean {re.escape(digits.clip_names[11])}\?$"):
        find_clip(digits, wrong)
    with pytest.raises(DataError, match=r"names look like eight/\w+\.wav$"):
        find_clip(digits, "//////")


def test_sounds_are_16_bit_files_at_one_gain_that_clips_none(tmp_path: Path) -> None:
    waveforms = dataset(tmp_path, [tone(440, 0.99)], ["test"])
    gallery = make_gallery(waveforms, ["WN", "TS"], clip=0, seed=0)
    peak = max(np.abs(example.waveform).max() for example in gallery.examples)
    assert peak > 1  # otherwise nothing would need a gain
    for name, content in sounds(gallery).items():
        with wave.open(io.BytesIO(content)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
            samples = np.frombuffer(file.readframes(RATE), dtype="<i2")
        expected = one(gallery, name).waveform * 32767 / peak
        np.testing.assert_allclose(samples, expected, atol=0.51)
