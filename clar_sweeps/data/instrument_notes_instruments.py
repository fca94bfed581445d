"""The instruments of the built-in music: General MIDI programs, their families and splits."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from clar_sweeps.data.waveforms import SPLITS, Split

KEYS = range(21, 109)
SOFT, LOUD = 50, 100

# General MIDI programs from 0 by NSynth's families (their ids in this order) and sources.
# Left out: what has no clear pitch or sounds at another than its key's (tubular bells, guitar
# harmonics, whistle, fifths lead), and what the bank makes of the very samples of others (bright
# piano, bandoneon, viola, fiddle, slow strings, blown bottle).
PROGRAMS: dict[str, dict[str, tuple[int, ...]]] = {
    "bass": {"acoustic": (32,), "electronic": (33, 34, 35, 36, 37), "synthetic": (38, 39)},
    "brass": {"acoustic": (56, 57, 58, 59, 60, 61), "synthetic": (62, 63)},
    "flute": {"acoustic": (72, 73, 74, 75, 77, 79)},
    "guitar": {"acoustic": (24, 25, 104, 105, 106, 107), "electronic": (26, 27, 28, 29, 30)},
    "keyboard": {"acoustic": (0, 3, 6), "electronic": (2, 4, 5, 7)},
    "mallet": {"acoustic": (8, 9, 10, 11, 12, 13, 15, 108, 114)},
    "organ": {"acoustic": (19, 20, 21, 22), "electronic": (16, 17, 18)},
    "reed": {"acoustic": (64, 65, 66, 67, 68, 69, 70, 71, 109, 111)},
    "string": {"acoustic": (40, 42, 43, 44, 45, 46, 48), "synthetic": (50, 51)},
    "synth_lead": {"synthetic": (80, 81, 82, 83, 84, 85, 87, 90)},
    "vocal": {"acoustic": (52, 53), "synthetic": (54, 91)},
}
# Chosen so that no sample of the bank is in two splits: the pianos, for one, are made of the
# same nine samples. Brass and synth_lead have no second instrument that is free of others.
_HELD_OUT: dict[int, Split] = {
    **dict.fromkeys((32, 79, 107, 6, 11, 20, 21, 66, 46, 53, 54), "valid"),
    **dict.fromkeys((34, 56, 73, 26, 4, 12, 22, 71, 50, 80, 52), "test"),
}


class Instrument(NamedTuple):
    """One program of the bank.

    Attributes:
        name: As NSynth's instrument_str, such as "bass_electronic_002".
        number: As NSynth's instrument, unique.
        program: General MIDI, from 0.
        family: A key of NSynth's families.
        source: "acoustic", "electronic" or "synthetic".
        split: All its notes are in it.
        offset: In [0, 4): its loud notes begin this many keys above the lowest.
    """

    name: str
    number: int
    program: int
    family: str
    source: str
    split: Split
    offset: int


class Note(NamedTuple):
    """One key of an instrument at one velocity."""

    instrument: Instrument
    pitch: int
    velocity: int

    @property
    def name(self) -> str:
        """Return NSynth's note_str."""
        return f"{self.instrument.name}-{self.pitch:03d}-{self.velocity:03d}"


def _instruments() -> tuple[Instrument, ...]:
    instruments: list[Instrument] = []
    rank: Counter[Split] = Counter()
    for family, by_source in PROGRAMS.items():
        for source, programs in by_source.items():
            for index, program in enumerate(programs):
                split = _HELD_OUT.get(program, "train")
                name = f"{family}_{source}_{index:03d}"
                number, offset = len(instruments), rank[split] % 4
                instruments.append(Instrument(name, number, program, family, source, split, offset))
                rank[split] += 1
    return tuple(instruments)


INSTRUMENTS = _instruments()


def in_order(instruments: Sequence[Instrument]) -> list[Instrument]:
    """Sort by split and name, the order in which notes are written and listed."""
    return sorted(instruments, key=lambda one: (SPLITS.index(one.split), one.name))


def plan_notes(instrument: Instrument, keys: range) -> Iterator[Note]:
    """Give every second key, loud and soft in turn."""
    for key in keys:
        position = (key - KEYS.start - instrument.offset) % 4
        if position in (0, 2):
            yield Note(instrument, key, LOUD if position == 0 else SOFT)
