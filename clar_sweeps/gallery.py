"""One clip under each augmentation, with what was drawn in words: Figure 3 in numbers."""

import io
import math
import wave
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.augment import Operation, build_chain
from clar_sweeps.augment.fade import FADE_SHAPES, FadeParameters
from clar_sweeps.augment.noise import NOISE_COLOURS, MixedNoiseParameters, WhiteNoiseParameters
from clar_sweeps.augment.pitch_shift import PitchShiftParameters
from clar_sweeps.augment.stretch_resample import apply_stretch_resample
from clar_sweeps.augment.time_mask import TimeMaskParameters
from clar_sweeps.augment.time_shift import TimeShiftParameters
from clar_sweeps.augment.time_stretch import TimeStretchParameters
from clar_sweeps.config import Definition
from clar_sweeps.data import Waveforms
from clar_sweeps.errors import DataError
from clar_sweeps.faults import did_you_mean
from clar_sweeps.features import SpectralFeatures

CLEAN = "clean"
_INT16_SCALE = 1 / 32768
_MOST_CANDIDATES = 512  # clips that are read to choose one
_NEAR_MEDIAN_DB = 1.0
_STANDS_OUT_DB = 10.0
_STILL_HEARD_DB = 20.0
_MEL_CHANNEL = 2


class Example(NamedTuple):
    """The clip under one operation.

    Attributes:
        name: Name in OPERATIONS, `clean` for the clip itself.
        title: The same in words.
        caption: What was drawn, with units.
        waveform: (time,) float32.
        mel: (bands, frames) float32, dB.
    """

    name: str
    title: str
    caption: str
    waveform: NDArray[np.float32]
    mel: NDArray[np.float32]


class Gallery(NamedTuple):
    """One clip under several operations.

    Attributes:
        clip_name: As the dataset names it.
        class_name: Its label in words.
        sample_rate: Hz.
        hop_length: Samples from one frame of `mel` to the next; the first lies at sample 0.
        band_centres: (bands,) Hz.
        examples: The clip itself first.
    """

    clip_name: str
    class_name: str
    sample_rate: int
    hop_length: int
    band_centres: NDArray[np.float32]
    examples: tuple[Example, ...]


def make_gallery(
    waveforms: Waveforms,
    operations: Sequence[str],
    *,
    clip: int,
    seed: int,
    definition: Definition = "paper",
) -> Gallery:
    """Draw parameters of each operation, apply it to one clip, and take the mel spectrogram.

    Each operation has a stream of its own: its draw depends on the seed and the clip's length,
    not on which others are shown. The spectrogram is the one that the paper's 2-D encoder reads.

    Args:
        waveforms: The dataset; left unchanged.
        operations: Names in OPERATIONS.
        clip: Position of the clip, see `choose_clip` and `find_clip`.
        seed: Of the draws.
        definition: Whose parameters operations have, the paper's or those of the authors' code.
    """
    rate = waveforms.sample_rate
    clean = torch.from_numpy(waveforms.read(np.array([clip]))).float() * _INT16_SCALE
    features = SpectralFeatures(sample_rate=rate)
    class_name = waveforms.class_names[waveforms.labels[clip]]
    examples = [_example(CLEAN, "no augmentation", f"labelled “{class_name}”", clean, features)]
    chain = build_chain(operations, sample_rate=rate, definition=definition)
    for operation in chain.operations:
        generator = rng.generator(seed, f"gallery {operation.name}")
        parameters = operation.sample(batch=1, time=clean.shape[1], generator=generator)
        changed = apply_operation(operation, clean, parameters, sample_rate=rate)
        caption = describe(operation, parameters, sample_rate=rate)
        examples.append(_example(operation.name, operation.title, caption, changed, features))
    return Gallery(
        clip_name=waveforms.clip_names[clip],
        class_name=class_name,
        sample_rate=rate,
        hop_length=features.hop_length,
        band_centres=_band_centres(features, rate),
        examples=tuple(examples),
    )


def apply_operation(
    operation: Operation,
    waveforms: Tensor,
    parameters: tuple[Tensor, ...],
    *,
    sample_rate: int,
) -> Tensor:
    """Apply an operation with parameters that its `sample` gave: (batch, time)."""
    seconds = {"sample_rate": sample_rate} if operation.is_vocoder else {}
    return operation.apply(waveforms, *parameters, **seconds)


def _example(
    name: str, title: str, caption: str, waveform: Tensor, features: SpectralFeatures
) -> Example:
    mel = features(waveform)[0, _MEL_CHANNEL]
    return Example(name, title, caption, waveform[0].numpy(), mel.numpy())


def _band_centres(features: SpectralFeatures, sample_rate: int) -> NDArray[np.float32]:
    """Centres of mass of the mel filters in Hz."""
    filters = features.mel_filters
    hertz = torch.linspace(0, sample_rate / 2, filters.shape[1])
    centres: NDArray[np.float32] = ((filters @ hertz) / filters.sum(1)).numpy()
    return centres


def describe(operation: Operation, parameters: tuple[Tensor, ...], *, sample_rate: int) -> str:
    """Parameters of the first waveform in words, with units.

    Raises:
        ValueError: parameters of an operation that has no words here.
    """
    match parameters:
        case PitchShiftParameters(semitones):
            number = int(semitones[0])
            return f"{_signed(number)} semitone{'' if abs(number) == 1 else 's'}"
        case TimeStretchParameters(rates):
            rate = float(rates[0])
            if operation.apply is apply_stretch_resample:
                return f"rate {rate:.2f}, pitch × {1 / rate:.2f}"
            return f"rate {rate:.2f}, {'faster' if rate > 1 else 'slower'}"
        case WhiteNoiseParameters(_, snr_db):
            return f"SNR {_signed(int(snr_db[0]), plus='')} dB"
        case MixedNoiseParameters(_, snr_db, colours):
            return f"SNR {_signed(int(snr_db[0]), plus='')} dB, {NOISE_COLOURS[int(colours[0])]}"
        case TimeShiftParameters(shifts):
            shift = int(shifts[0]) / sample_rate
            return f"shifted by {_signed(shift, '.2f')} s"
        case FadeParameters(in_sizes, out_sizes, shapes):
            fade_in, fade_out = int(in_sizes[0]) / sample_rate, int(out_sizes[0]) / sample_rate
            shape = FADE_SHAPES[int(shapes[0])].replace("_", " ")
            return f"fade in {fade_in:.2f} s, out {fade_out:.2f} s, {shape}"
        case TimeMaskParameters(starts, widths, fill):
            start, width = int(starts[0]) / sample_rate, int(widths[0]) / sample_rate
            if width == 0:
                return "left unmasked by its coin"
            digits = 2 if width >= 0.02 else 3
            what = "noise" if bool(fill[0].any()) else "silence"
            return f"masked {start:.{digits}f}–{start + width:.{digits}f} s with {what}"
    raise ValueError(f"parameters: {type(parameters).__name__} has no words; add them here")


def _signed(number: float, form: str = "d", plus: str = "+") -> str:
    """With the sign that typesetters use for minus; zero has none."""
    digits = format(abs(number), form)
    if float(digits) == 0:
        return digits
    return f"{'−' if number < 0 else plus}{digits}"


def find_clip(waveforms: Waveforms, name: str) -> int:
    """Position of the clip with this name.

    Raises:
        DataError: there is none.
    """
    if name in waveforms.clip_names:
        return waveforms.clip_names.index(name)
    near = did_you_mean(name, list(waveforms.clip_names))
    near = near or f"; names look like {waveforms.clip_names[0]}"
    raise DataError(f"clip: {name!r} is not in the dataset{near}")


def choose_clip(waveforms: Waveforms) -> int:
    """Position of a clip that is typical and fit to be shown.

    It is a test clip within 1 dB of the median loudness, and among those the one that stands out
    from its own background for the longest. Of a large test split every so many-th clip counts.
    """
    clips = waveforms.indices("test")
    if not len(clips):  # of recordings that were not split
        clips = np.arange(len(waveforms.clip_names))
    clips = clips[:: math.ceil(len(clips) / _MOST_CANDIDATES)]
    frame = waveforms.sample_rate // 50
    powers = np.stack([_frame_powers(waveforms.read(clip)[0], frame) for clip in clips[:, None]])
    loudness = _decibels(powers.mean(axis=1))
    distance = np.abs(loudness - np.median(loudness))
    near = np.flatnonzero(distance <= max(_NEAR_MEDIAN_DB, float(distance.min())))
    levels = _decibels(powers[near])  # (clips, frames)
    background = np.quantile(levels, 0.1, axis=1, keepdims=True)
    loudest = levels.max(axis=1, keepdims=True)
    stands_out = (levels > background + _STANDS_OUT_DB) & (levels > loudest - _STILL_HEARD_DB)
    return int(clips[near[np.argmax(stands_out.sum(axis=1))]])


def _frame_powers(samples: NDArray[np.int16], frame: int) -> NDArray[np.float64]:
    whole = samples[: len(samples) // frame * frame].astype(np.float64) * _INT16_SCALE
    powers: NDArray[np.float64] = np.square(whole).reshape(-1, frame).mean(axis=1)
    return powers


def _decibels(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(powers, 1e-10))
    return levels


def sounds(gallery: Gallery) -> dict[str, bytes]:
    """WAV files of 16 bits by the examples' names, at one gain by which none is clipped."""
    peak = max(float(np.abs(example.waveform).max()) for example in gallery.examples)
    gain = 32767 * min(1.0, 1 / max(peak, 1e-10))
    return {
        example.name: _wav(np.rint(example.waveform * gain), gallery.sample_rate)
        for example in gallery.examples
    }


def _wav(samples: NDArray[np.float32], sample_rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
