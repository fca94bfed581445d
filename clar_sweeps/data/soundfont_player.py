"""A small SoundFont 2 player: one note of a bank to a mono waveform, the same bits each time.

Played are zones, loops, tuning, both envelopes, attenuation, the low-pass filter and what the
velocity does to them. Left out: vibrato, tremolo and pitch sweeps (a note has one pitch), pan,
chorus and reverberation.

Source: SoundFont Technical Specification 2.04, sections 8 and 9.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.soundfont import Generator, SoundFont, Zone, find_voices

_LOOPED, _LOOPED_WHILE_HELD = 1, 3
# Envelopes fall by 100 dB in their decay or release time.
_ENVELOPE_DB = 100.0
_LOWEST_HZ = 8.176  # 0 absolute cents
_OPEN_CENTS = 13_500
_FRAME, _HOP = 512, 256


def render_note(
    bank: SoundFont, *, program: int, key: int, velocity: int, held_seconds: float, length: int
) -> NDArray[np.float32]:
    """Play one note of a General MIDI program.

    Each voice is its sample with the loop unrolled, taken as one of another sample rate and
    resampled to 16 kHz, so that nothing above 8 kHz folds back.

    Args:
        bank: With the program in its bank 0.
        program: 0 to 127.
        key: 0 to 127; 69 is 440 Hz.
        velocity: 1 to 127.
        held_seconds: Until the key is released.
        length: Samples at 16 kHz to return.

    Returns:
        (length,); full scale is 1 for one voice at velocity 127, the sum of more may exceed it.

    Raises:
        ValueError: the bank has no such program.
    """
    if (0, program) not in bank.presets:
        raise ValueError(f"program: {program} is not in bank {bank.name}")
    waveform = np.zeros(length)
    for zone in find_voices(bank, program=program, key=key, velocity=velocity):
        held = round(held_seconds * SAMPLE_RATE)
        waveform += _play(bank, zone, key=key, velocity=velocity, held=held, length=length)
    return waveform.astype(np.float32)


def _play(
    bank: SoundFont, zone: Zone, *, key: int, velocity: int, held: int, length: int
) -> NDArray[np.floating[Any]]:
    import soxr

    rate = _sample_rate(bank, zone, key)
    unrolled = _unroll(
        bank,
        zone,
        count=int(rate / SAMPLE_RATE * (length + _FRAME)),
        held=int(rate / SAMPLE_RATE * held),
    )
    waveform = soxr.resample(unrolled / np.float32(32_768), rate, SAMPLE_RATE)[:length]
    waveform = np.pad(waveform, (0, length - len(waveform)))
    waveform = _low_pass(waveform, zone, key=key, velocity=velocity, held=held)
    # Section 8.4.1: the velocity attenuates by 40 log10(127 / velocity) dB.
    attenuation_db = zone[Generator.ATTENUATION] / 10 + 40 * np.log10(127 / velocity)
    gain = 10 ** (-attenuation_db / 20)
    return np.asarray(waveform * _volume(zone, key=key, held=held, length=length) * gain)


def _sample_rate(bank: SoundFont, zone: Zone, key: int) -> float:
    """Rate (Hz) at which the sample, played, has the pitch of the key."""
    sample = bank.samples[zone[Generator.SAMPLE]]
    root = zone[Generator.ROOT_KEY] if zone[Generator.ROOT_KEY] >= 0 else int(sample["root_key"])
    # The pitch that the modulation envelope settles on; its sweep is left out.
    settled = 1 - min(max(zone[Generator.MODULATION_SUSTAIN], 0), 1_000) / 1_000
    cents = (
        (key - root) * zone[Generator.SCALE_TUNING]
        + 100 * zone[Generator.COARSE_TUNE]
        + zone[Generator.FINE_TUNE]
        + int(sample["correction_cents"])
        + zone[Generator.MODULATION_TO_PITCH] * settled
    )
    return float(sample["sample_rate"]) * float(2 ** (cents / 1_200))


def _unroll(bank: SoundFont, zone: Zone, *, count: int, held: int) -> NDArray[np.int16]:
    """Samples of a zone in the order played, at most `count`, its loop repeated."""
    sample = bank.samples[zone[Generator.SAMPLE]]
    # Each place is moved by a fine and by a coarse generator.
    start = int(sample["start"]) + zone[0] + 32_768 * zone[4]
    end = int(sample["end"]) + zone[1] + 32_768 * zone[12]
    loop_start = int(sample["loop_start"]) + zone[2] + 32_768 * zone[45]
    loop_end = int(sample["loop_end"]) + zone[3] + 32_768 * zone[50]
    mode = zone[Generator.SAMPLE_MODES]
    if mode not in (_LOOPED, _LOOPED_WHILE_HELD) or loop_end <= loop_start:
        return bank.waveforms[start : min(end, start + count)]
    position = np.arange(start, start + count)
    looped = loop_start + (position - loop_start) % (loop_end - loop_start)
    position = np.where(position < loop_end, position, looped)
    if mode == _LOOPED_WHILE_HELD and held < count:
        rest = np.arange(position[held], min(end, int(position[held]) + count - held))
        position = np.concatenate((position[:held], rest))
    return bank.waveforms[position]


def _seconds(timecents: float) -> float:
    return float(2 ** (timecents / 1_200))


def _stages(zone: Zone, first: int, key: int) -> tuple[float, float, float, float, float]:
    """Delay, attack, hold, decay and release in seconds of the envelope that begins at `first`."""
    by_key = 60 - key  # Section 8.1.3: hold and decay of high keys are shorter.
    return (
        _seconds(zone[first]),
        _seconds(zone[first + 1]),
        _seconds(zone[first + 2] + by_key * zone[first + 6]),
        _seconds(zone[first + 3] + by_key * zone[first + 7]),
        _seconds(zone[first + 5]),
    )


def _volume(zone: Zone, *, key: int, held: int, length: int) -> NDArray[np.float64]:
    """(length,) amplitude: linear rise, then linear in dB."""
    delay, attack, hold, decay, release = _stages(zone, Generator.VOLUME_DELAY, key)
    sustain_db = min(max(zone[Generator.VOLUME_SUSTAIN], 0), 1_440) / 10
    time = np.arange(length) / SAMPLE_RATE
    held_time = np.minimum(time, held / SAMPLE_RATE)
    rise = np.clip((held_time - delay) / attack, 0, 1)
    fall_db = _ENVELOPE_DB * (held_time - delay - attack - hold) / decay
    fall_db = np.clip(fall_db, 0, sustain_db)
    fall_db += _ENVELOPE_DB * (time - held_time) / release
    return np.asarray(rise * 10 ** (-fall_db / 20))


def _modulation(zone: Zone, *, key: int, held: int, time: NDArray[np.float64]) -> Any:
    """Level of the modulation envelope in [0, 1] at each time (seconds)."""
    delay, attack, hold, decay, release = _stages(zone, Generator.MODULATION_DELAY, key)
    sustain = 1 - min(max(zone[Generator.MODULATION_SUSTAIN], 0), 1_000) / 1_000
    held_time = np.minimum(time, held / SAMPLE_RATE)
    rise = np.clip((held_time - delay) / attack, 0, 1)
    fall = np.maximum(1 - np.maximum(held_time - delay - attack - hold, 0) / decay, sustain)
    return np.clip(rise * fall - (time - held_time) / release, 0, 1)


def _low_pass(
    waveform: NDArray[np.float32], zone: Zone, *, key: int, velocity: int, held: int
) -> NDArray[np.floating[Any]]:
    """Two-pole low-pass whose cut-off follows the modulation envelope.

    The spectrum of each frame of 32 ms is multiplied by the filter's response, and the frames
    are added up again.
    """
    num_frames = len(waveform) // _HOP + 2
    time = np.arange(num_frames) * _HOP / SAMPLE_RATE  # of the middles of the frames
    # Section 8.4.2: a soft key closes the filter, by 2,400 cents at velocity 0.
    cents = zone[Generator.FILTER_CUTOFF] - 2_400 * (127 - velocity) / 128
    cents = cents + zone[Generator.MODULATION_TO_FILTER] * _modulation(
        zone, key=key, held=held, time=time
    )
    resonance_db = min(max(zone[Generator.FILTER_RESONANCE], 0), 960) / 10
    if resonance_db == 0 and (cents >= _OPEN_CENTS).all():
        return waveform
    cutoff = _LOWEST_HZ * 2 ** (np.clip(cents, 1_500, _OPEN_CENTS) / 1_200)
    # Section 8.1.3: 0 dB of resonance is the flat filter, whose Q is -3 dB; the gain at 0 Hz is
    # lowered by half of the resonance.
    quality = 10 ** ((resonance_db - 3.01) / 20)
    padded = np.pad(waveform, (_HOP, num_frames * _HOP - len(waveform) + _HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][:num_frames]
    window = np.hanning(_FRAME + 1)[:_FRAME].astype(np.float32)
    spectra = np.fft.rfft(frames * window, 2 * _FRAME)
    frequencies = np.fft.rfftfreq(2 * _FRAME, 1 / SAMPLE_RATE)
    ratio = (frequencies / cutoff[:, None]).astype(np.float32)
    response = 1 / (1 - ratio * ratio + np.complex64(1j / quality) * ratio)
    filtered = np.fft.irfft(spectra * response, 2 * _FRAME)
    filtered = filtered.reshape(num_frames, -1, _HOP)
    total = np.zeros((num_frames + 3, _HOP))
    for part in range(filtered.shape[1]):
        total[part : part + num_frames] += filtered[:, part]
    return total.reshape(-1)[_HOP : _HOP + len(waveform)] / 10 ** (resonance_db / 40)
