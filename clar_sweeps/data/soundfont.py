"""SoundFont 2 banks: the file, and which zones sound for a key of a program.

Source: SoundFont Technical Specification 2.04, sections 7 to 9.
"""

from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clar_sweeps.errors import DataError


class Generator(IntEnum):
    """Parameters of a zone that this player reads; times in timecents, levels in centibels."""

    START_OFFSET = 0
    END_OFFSET = 1
    LOOP_START_OFFSET = 2
    LOOP_END_OFFSET = 3
    START_COARSE_OFFSET = 4
    MODULATION_TO_PITCH = 7
    FILTER_CUTOFF = 8
    FILTER_RESONANCE = 9
    MODULATION_TO_FILTER = 11
    END_COARSE_OFFSET = 12
    MODULATION_DELAY = 25
    MODULATION_ATTACK = 26
    MODULATION_HOLD = 27
    MODULATION_DECAY = 28
    MODULATION_SUSTAIN = 29
    MODULATION_RELEASE = 30
    KEY_TO_MODULATION_HOLD = 31
    KEY_TO_MODULATION_DECAY = 32
    VOLUME_DELAY = 33
    VOLUME_ATTACK = 34
    VOLUME_HOLD = 35
    VOLUME_DECAY = 36
    VOLUME_SUSTAIN = 37
    VOLUME_RELEASE = 38
    KEY_TO_VOLUME_HOLD = 39
    KEY_TO_VOLUME_DECAY = 40
    INSTRUMENT = 41
    KEY_RANGE = 43
    VELOCITY_RANGE = 44
    LOOP_START_COARSE_OFFSET = 45
    ATTENUATION = 48
    LOOP_END_COARSE_OFFSET = 50
    COARSE_TUNE = 51
    FINE_TUNE = 52
    SAMPLE = 53
    SAMPLE_MODES = 54
    SCALE_TUNING = 56
    ROOT_KEY = 58


# Section 8.1.3: all others begin at 0, times at 1 ms.
_DEFAULTS = (
    dict.fromkeys(Generator, 0)
    | dict.fromkeys((*range(25, 29), 30, *range(33, 37), 38), -12_000)
    | {Generator.FILTER_CUTOFF: 13_500, Generator.SCALE_TUNING: 100, Generator.ROOT_KEY: -1}
)
# What a preset may not add to (section 8.5), and ranges, which are intersected instead.
_NOT_ADDED = {0, 1, 2, 3, 4, 12, 41, 43, 44, 45, 50, 53, 54, 58}
_FULL_RANGE = 127 << 8
_TYPES: dict[str, Any] = {
    "phdr": [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("zone", "<u2"), ("", "V12")],
    "inst": [("name", "S20"), ("zone", "<u2")],
    "bag": [("generator", "<u2"), ("modulator", "<u2")],
    "gen": [("number", "<u2"), ("amount", "<i2")],
    "shdr": [
        *(("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4")),
        *(("loop_end", "<u4"), ("sample_rate", "<u4"), ("root_key", "u1")),
        *(("correction_cents", "i1"), ("link", "<u2"), ("type", "<u2")),
    ],
}
Zone = dict[int, int]


class SoundFont(NamedTuple):
    """A bank in memory.

    Attributes:
        name: As the bank calls itself.
        waveforms: (time,) int16, all samples one after the other.
        samples: Where each sample lies, its loop, rate (Hz) and root key.
        presets: (bank, program) -> zones, each with the number of its instrument.
        instruments: Zones of each, each with the number of its sample.
    """

    name: str
    waveforms: NDArray[np.int16]
    samples: NDArray[Any]
    presets: dict[tuple[int, int], list[Zone]]
    instruments: list[list[Zone]]


def read_soundfont(path: Path) -> SoundFont:
    """Read a bank.

    Raises:
        DataError: the file is missing, truncated or no SoundFont 2 bank.
    """
    try:
        chunks = dict(_chunks(path.read_bytes()))
        presets = np.frombuffer(chunks["phdr"], _TYPES["phdr"])
        instruments = np.frombuffer(chunks["inst"], _TYPES["inst"])
        preset_zones = list(_zones(presets["zone"], chunks["pbag"], chunks["pgen"], 41))
        keys = zip(presets["bank"].tolist(), presets["program"].tolist(), strict=True)
        return SoundFont(
            name=chunks["INAM"].rstrip(b"\0").decode("latin-1"),
            waveforms=np.frombuffer(chunks["smpl"], "<i2"),
            samples=np.frombuffer(chunks["shdr"], _TYPES["shdr"]),
            presets=dict(zip(keys, preset_zones, strict=False)),
            instruments=list(_zones(instruments["zone"], chunks["ibag"], chunks["igen"], 53)),
        )
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(
            f"bank {path}: cannot be read ({' '.join(str(error).split())}), expected a SoundFont 2 "
            "file; reinstall the package that holds it"
        ) from error


def find_voices(bank: SoundFont, *, program: int, key: int, velocity: int) -> list[Zone]:
    """Return what sounds for a key: instrument zones with the preset's amounts added."""
    voices = []
    for preset_zone in bank.presets[0, program]:
        if not _covers(preset_zone, key, velocity):
            continue
        for zone in bank.instruments[preset_zone[Generator.INSTRUMENT]]:
            if _covers(zone, key, velocity):
                added = {n: v for n, v in preset_zone.items() if n not in _NOT_ADDED}
                voice = _DEFAULTS | zone
                voices.append(voice | {n: voice.get(n, 0) + v for n, v in added.items()})
    return voices


def _chunks(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content[:4] != b"RIFF" or content[8:12] != b"sfbk":
        raise ValueError("no RIFF of form sfbk")
    position = 12
    while position < len(content):
        name = content[position : position + 4].decode("latin-1")
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        position += 8
        if name == "LIST":
            position += 4  # Lists hold chunks and nothing else: walk into them.
            continue
        if position + size > len(content):
            raise ValueError(f"chunk {name} ends after the file")
        yield name, content[position : position + size]
        position += size + size % 2


def _zones(first_zones: NDArray[Any], bag: bytes, gen: bytes, last: int) -> Iterator[list[Zone]]:
    """Zones of each preset or instrument, the global zone merged into the others."""
    starts = np.frombuffer(bag, _TYPES["bag"])["generator"].tolist()
    generators = np.frombuffer(gen, _TYPES["gen"]).tolist()
    for first, end in zip(first_zones[:-1].tolist(), first_zones[1:].tolist(), strict=True):
        zones = [dict(generators[starts[z] : starts[z + 1]]) for z in range(first, end)]
        shared = zones[0] if zones and last not in zones[0] else {}
        yield [shared | zone for zone in zones if last in zone]


def _covers(zone: Zone, key: int, velocity: int) -> bool:
    for number, value in ((Generator.KEY_RANGE, key), (Generator.VELOCITY_RANGE, velocity)):
        low_high = zone.get(number, _FULL_RANGE)
        if not low_high & 0xFF <= value <= low_high >> 8 & 0xFF:
            return False
    return True
