"""The SoundFont player against banks of one sine, and the real bank against its pitches."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clar_sweeps.data.instrument_notes import find_bank
from clar_sweeps.data.soundfont import Generator, SoundFont, find_voices, read_soundfont
from clar_sweeps.data.soundfont_player import render_note
from clar_sweeps.errors import DataError, DependencyError

RATE = 16_000
BANK_RATE = 44_100
PERIOD = 100  # samples of the banks' sine: 441 Hz, which they call key 69
Amounts = Sequence[tuple[int, int]]


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def bank_bytes(
    waveform: NDArray[np.int16],
    *,
    loop: tuple[int, int],
    zones: Sequence[Amounts],
    preset_zones: Sequence[Amounts] = ([],),
) -> bytes:
    """A bank of one preset, one instrument and one sample."""

    def bags(lists: Sequence[Amounts]) -> tuple[bytes, bytes]:
        starts = np.cumsum([0, *map(len, lists)])
        bag = b"".join(struct.pack("<HH", start, 0) for start in starts)
        generators = [amount for amounts in lists for amount in amounts]
        return bag, b"".join(struct.pack("<Hh", *pair) for pair in [*generators, (0, 0)])

    pbag, pgen = bags([[*amounts, (Generator.INSTRUMENT, 0)] for amounts in preset_zones])
    ibag, igen = bags([*zones])
    sample = struct.pack("<20sIIIIIBbHH", b"s", 0, len(waveform), *loop, BANK_RATE, 69, 0, 0, 1)
    presets = [struct.pack("<20sHHH12x", b"p", 0, 0, zone) for zone in (0, len(preset_zones))]
    instruments = [struct.pack("<20sH", b"i", zone) for zone in (0, len(zones))]
    tables = {
        b"phdr": b"".join(presets),
        b"pbag": pbag,
        b"pgen": pgen,
        b"inst": b"".join(instruments),
        b"ibag": ibag,
        b"igen": igen,
        b"shdr": sample + bytes(46),
    }
    lists = {
        b"INFO": chunk(b"INAM", b"tiny\0\0"),
        b"sdta": chunk(b"smpl", waveform.tobytes()),
        b"pdta": b"".join(chunk(name, table) for name, table in tables.items()),
    }
    content = b"sfbk" + b"".join(chunk(b"LIST", name + body) for name, body in lists.items())
    return chunk(b"RIFF", content)


def sine_bank(
    folder: Path, amounts: Amounts = (), *, mode: int = 1, preset: Amounts = (), harmonics: int = 1
) -> SoundFont:
    """Harmonics of 441 Hz with equal amplitudes, in all half of full scale; ten periods."""
    phase = 2 * np.pi * np.arange(10 * PERIOD) / PERIOD
    waveform = sum(np.sin(k * phase) for k in range(1, harmonics + 1)) / harmonics
    samples = np.rint(16_384 * np.asarray(waveform)).astype(np.int16)
    zone = [*amounts, (Generator.SAMPLE_MODES, mode), (Generator.SAMPLE, 0)]
    path = folder / "tiny.sf2"
    path.write_bytes(
        bank_bytes(samples, loop=(4 * PERIOD, 8 * PERIOD), zones=[zone], preset_zones=[preset])
    )
    return read_soundfont(path)


def play(
    bank: SoundFont, *, key: int = 69, velocity: int = 127, held: float = 1.0
) -> NDArray[np.float64]:
    waveform = render_note(
        bank, program=0, key=key, velocity=velocity, held_seconds=held, length=2 * RATE
    )
    assert waveform.shape == (2 * RATE,)
    return waveform.astype(np.float64)


def level(waveform: NDArray[np.float64], start: float, seconds: float = 0.02) -> float:
    """Root of the mean square around a time."""
    first = round(start * RATE)
    return float(np.sqrt(np.mean(waveform[first : first + round(seconds * RATE)] ** 2)))


def frequency(waveform: NDArray[np.float64]) -> float:
    """Of the strongest partial, by a parabola through the logarithmic spectrum."""
    size = 1 << 18
    power = np.log(np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), size)) + 1e-12)
    peak = int(np.argmax(power))
    left, middle, right = power[peak - 1 : peak + 2]
    return float((peak + 0.5 * (left - right) / (left - 2 * middle + right)) * RATE / size)


def cents(measured: float, expected: float) -> float:
    return float(1_200 * np.log2(measured / expected))


@pytest.mark.parametrize("key", [33, 57, 69, 81, 105])
def test_keys_are_in_equal_temperament(tmp_path: Path, key: int) -> None:
    measured = frequency(play(sine_bank(tmp_path), key=key)[:RATE])
    assert abs(cents(measured, 441 * 2 ** ((key - 69) / 12))) < 0.2


@pytest.mark.parametrize(
    ("amounts", "expected_cents"),
    [
        ([(Generator.FINE_TUNE, -37)], -37),
        ([(Generator.COARSE_TUNE, 7)], 700),
        ([(Generator.ROOT_KEY, 60)], 900),
        ([(Generator.ROOT_KEY, 57), (Generator.SCALE_TUNING, 50)], 600),
        # The modulation envelope stays at its top, and this one at half of it.
        ([(Generator.MODULATION_TO_PITCH, 100)], 100),
        ([(Generator.MODULATION_TO_PITCH, 100), (Generator.MODULATION_SUSTAIN, 500)], 50),
    ],
)
def test_tuning_is_in_cents(tmp_path: Path, amounts: Amounts, expected_cents: float) -> None:
    measured = frequency(play(sine_bank(tmp_path, amounts))[:RATE])
    assert cents(measured, 441) == pytest.approx(expected_cents, abs=0.2)


def test_preset_adds_to_its_instrument(tmp_path: Path) -> None:
    instrument = [(Generator.FINE_TUNE, 30)]
    bank = sine_bank(tmp_path, instrument, preset=[(Generator.FINE_TUNE, 20)])
    assert cents(frequency(play(bank)[:RATE]), 441) == pytest.approx(50, abs=0.2)


def test_loop_goes_on_without_a_click(tmp_path: Path) -> None:
    # 10 periods are recorded, 4 of them looped 110 times a second.
    waveform = play(sine_bank(tmp_path))[RATE // 10 : RATE // 2]
    time = np.arange(len(waveform)) / RATE
    basis = np.stack([np.sin(2 * np.pi * 441 * time), np.cos(2 * np.pi * 441 * time)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, waveform, rcond=None)[0]
    assert np.abs(waveform - fitted).max() < 1e-3 * np.abs(waveform).max()


def test_sample_without_a_loop_ends(tmp_path: Path) -> None:
    waveform = play(sine_bank(tmp_path, mode=0))
    duration = 10 * PERIOD / BANK_RATE
    assert level(waveform, 0.25 * duration, 0.5 * duration) > 0.3
    assert np.abs(waveform[round(1.5 * duration * RATE) :]).max() == 0


def test_loop_while_held_plays_its_rest_after_release(tmp_path: Path) -> None:
    release = [(Generator.VOLUME_RELEASE, 4_000)]
    waveform = play(sine_bank(tmp_path, release, mode=3), held=0.5)
    assert level(waveform, 0.45) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert np.abs(waveform[round(0.53 * RATE) :]).max() == 0


def test_nothing_folds_back_at_the_highest_key(tmp_path: Path) -> None:
    # 40 harmonics of 4,410 Hz: all but the first lie above 8 kHz.
    waveform = play(sine_bank(tmp_path, harmonics=40), key=109)[1_600:12_800]
    spectrum = np.abs(np.fft.rfft(waveform * np.blackman(len(waveform))))
    frequencies = np.fft.rfftfreq(len(waveform), 1 / RATE)
    fundamental = 441 * 2 ** (40 / 12)
    elsewhere = (np.abs(frequencies - fundamental) > 20) & (frequencies < 7_200)
    assert spectrum[elsewhere].max() < 1e-3 * spectrum.max()


def test_volume_envelope_has_its_six_stages(tmp_path: Path) -> None:
    amounts = [
        (Generator.VOLUME_DELAY, -3_986),  # 0.1 s
        (Generator.VOLUME_ATTACK, -2_786),  # 0.2 s
        (Generator.VOLUME_HOLD, -3_986),  # 0.1 s
        (Generator.VOLUME_DECAY, 0),  # 100 dB in 1 s
        (Generator.VOLUME_SUSTAIN, 200),  # -20 dB
        (Generator.VOLUME_RELEASE, 0),  # 100 dB in 1 s
    ]
    waveform = play(sine_bank(tmp_path, amounts))
    full = 0.5 / np.sqrt(2)
    assert level(waveform, 0.05) == 0
    assert level(waveform, 0.19) == pytest.approx(0.5 * full, rel=0.03)
    assert level(waveform, 0.34) == pytest.approx(full, rel=0.03)
    assert level(waveform, 0.49) == pytest.approx(full / 10**0.5, rel=0.06)
    assert level(waveform, 0.90) == pytest.approx(full / 10, rel=0.03)
    assert level(waveform, 1.19) == pytest.approx(full / 100, rel=0.06)


def test_high_keys_decay_faster_where_the_zone_says_so(tmp_path: Path) -> None:
    amounts = [
        *((Generator.VOLUME_DECAY, 0), (Generator.VOLUME_SUSTAIN, 1_000)),
        (Generator.KEY_TO_VOLUME_DECAY, 100),
    ]
    bank = sine_bank(tmp_path, amounts)
    # 72 - 60 keys of 100 timecents: half of the time for 100 dB.
    for key, decay_seconds in ((60, 1.0), (72, 0.5)):
        early, late = (level(play(bank, key=key), at) for at in (0.1, 0.2))
        assert 20 * np.log10(early / late) == pytest.approx(10 / decay_seconds, abs=0.3)


def test_velocity_and_attenuation_set_the_level(tmp_path: Path) -> None:
    loud = level(play(sine_bank(tmp_path)), 0.5)
    soft = level(play(sine_bank(tmp_path), velocity=50), 0.5)
    # A soft key closes the filter a little too, which 441 Hz does not feel.
    assert soft / loud == pytest.approx((50 / 127) ** 2, rel=0.01)
    attenuated = level(play(sine_bank(tmp_path, [(Generator.ATTENUATION, 60)])), 0.5)
    assert 20 * np.log10(attenuated / loud) == pytest.approx(-6, abs=0.01)


def gain_of(folder: Path, amounts: Amounts, *, velocity: int = 127) -> float:
    """How much of the level at 441 Hz a zone lets through."""
    through = level(play(sine_bank(folder, amounts), velocity=velocity), 0.5, 0.2)
    return through / level(play(sine_bank(folder), velocity=velocity), 0.5, 0.2)


@pytest.mark.parametrize("cutoff_hz", [110.25, 220.5, 441.0, 882.0])
@pytest.mark.parametrize("resonance_db", [0, 12])
def test_filter_has_the_response_of_two_poles(
    tmp_path: Path, cutoff_hz: float, resonance_db: int
) -> None:
    cutoff_cents = round(1_200 * np.log2(cutoff_hz / 8.176))
    amounts = [
        (Generator.FILTER_CUTOFF, cutoff_cents),
        (Generator.FILTER_RESONANCE, 10 * resonance_db),
    ]
    ratio, quality = 441 / cutoff_hz, 10 ** ((resonance_db - 3.01) / 20)
    response = 1 / abs(1 - ratio**2 + 1j * ratio / quality) / 10 ** (resonance_db / 40)
    assert gain_of(tmp_path, amounts) == pytest.approx(response, rel=0.03)


def test_modulation_envelope_opens_the_filter(tmp_path: Path) -> None:
    closed = gain_of(tmp_path, [(Generator.FILTER_CUTOFF, 4_500)])
    opened_by = (Generator.MODULATION_TO_FILTER, 2_400)
    opened = gain_of(tmp_path, [(Generator.FILTER_CUTOFF, 4_500), opened_by])
    assert opened == pytest.approx(gain_of(tmp_path, [(Generator.FILTER_CUTOFF, 6_900)]), rel=1e-6)
    assert opened > 4 * closed


def test_soft_key_closes_the_filter(tmp_path: Path) -> None:
    amounts = [(Generator.FILTER_CUTOFF, 7_000)]
    closed_by = round(2_400 * (127 - 47) / 128)
    expected = gain_of(tmp_path, [(Generator.FILTER_CUTOFF, 7_000 - closed_by)])
    assert gain_of(tmp_path, amounts, velocity=47) == pytest.approx(expected, rel=0.01)


def test_zones_sound_where_key_and_velocity_are_theirs(tmp_path: Path) -> None:
    shared = [(Generator.FINE_TUNE, 5), (Generator.ATTENUATION, 7)]
    low = [(Generator.KEY_RANGE, 0 | 59 << 8), (Generator.SAMPLE, 0)]
    high = [(Generator.KEY_RANGE, 60 | 127 << 8), (Generator.FINE_TUNE, 9), (Generator.SAMPLE, 0)]
    soft = [(Generator.VELOCITY_RANGE, 0 | 63 << 8), (Generator.FINE_TUNE, 11)]
    path = tmp_path / "zones.sf2"
    zones = [shared, low, high, [*soft, (Generator.SAMPLE, 0)]]
    path.write_bytes(bank_bytes(np.zeros(100, np.int16), loop=(0, 99), zones=zones))
    bank = read_soundfont(path)

    def tunes(key: int, velocity: int) -> list[int]:
        voices = find_voices(bank, program=0, key=key, velocity=velocity)
        assert all(voice[Generator.ATTENUATION] == 7 for voice in voices)
        return [voice[Generator.FINE_TUNE] for voice in voices]

    assert tunes(59, 100) == [5]
    assert tunes(60, 100) == [9]
    assert tunes(60, 63) == [9, 11]


def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="program: 5 is not in bank tiny"):
        render_note(
            sine_bank(tmp_path), program=5, key=60, velocity=100, held_seconds=1, length=100
        )


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "no RIFF of form sfbk"), (b"RIFF0000WAVE", "no RIFF"), (None, "chunk .* ends after")],
)
def test_file_that_is_no_bank_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    sine_bank(tmp_path)
    path = tmp_path / "tiny.sf2"
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(DataError, match=reason) as caught:
        read_soundfont(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("reinstall the package that holds it")


@pytest.fixture(scope="module")
def general_midi() -> SoundFont:
    try:
        return read_soundfont(find_bank())
    except DependencyError:
        pytest.skip("pretty_midi is not installed")


def fundamental(waveform: NDArray[np.float64], near: float) -> float:
    """Frequency by autocorrelation, sought from a third to three times the one expected."""
    size, finer = len(waveform), 16
    power = np.abs(np.fft.rfft(waveform - waveform.mean(), 2 * size)) ** 2
    # Zeros above the spectrum: the autocorrelation at `finer` times the rate.
    correlation = np.fft.irfft(power, finer * 2 * size)[: finer * size]
    correlation /= np.arange(finer * size, 0, -1)
    period = finer * RATE / near
    first = round(period / 3)
    candidates = correlation[first : round(3 * period)]
    # The first period that is nearly as good as the best: its multiples are as good.
    start = int(np.flatnonzero(candidates > 0.95 * candidates.max())[0])
    best = int(np.argmax(candidates[start : start + round(0.1 * period)]))
    return finer * RATE / (first + start + best)


# Piano, nylon guitar, fingered bass, cello, trombone, English horn, clarinet, flute, square lead.
@pytest.mark.parametrize("program", [0, 24, 33, 42, 57, 69, 71, 73, 80])
@pytest.mark.parametrize("key", [45, 60, 71])
def test_programs_have_the_pitch_of_their_key(
    general_midi: SoundFont, program: int, key: int
) -> None:
    waveform = render_note(
        general_midi, program=program, key=key, velocity=100, held_seconds=1.0, length=RATE
    )
    expected = 440 * 2 ** ((key - 69) / 12)
    measured = fundamental(waveform[3_200:11_200].astype(np.float64), expected)
    assert abs(cents(measured, expected)) < 15


def test_note_decays_when_its_key_is_released(general_midi: SoundFont) -> None:
    for program in (0, 19, 42, 56, 80):
        waveform = render_note(
            general_midi, program=program, key=60, velocity=100, held_seconds=1, length=2 * RATE
        ).astype(np.float64)
        assert level(waveform, 1.9, 0.1) < 0.1 * level(waveform, 0.8, 0.2)


def test_equal_notes_are_equal_bits(general_midi: SoundFont) -> None:
    first, second = (
        render_note(
            general_midi, program=48, key=64, velocity=90, held_seconds=0.5, length=RATE
        ).tobytes()
        for _ in range(2)
    )
    assert first == second
