"""Who speaks the digits, where and how: drawn from named streams, a condition at a time."""

import hashlib
from typing import Literal, NamedTuple, get_args

import numpy as np

from clar_sweeps.data.spoken_digits_acoustics import NOISE_TYPES, Microphone, NoiseType
from clar_sweeps.data.waveforms import Split

Condition = Literal["clean", "field", "medium", "hard"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

# Each split has accents of its own. The ninth English voice, en-shaw, reads no Latin letters.
ACCENTS: dict[Split, tuple[str, ...]] = {
    "train": ("en-us", "en-gb-x-gbcwmd", "en-gb-scotland", "en-029"),
    "valid": ("en-us-nyc", "en-gb-x-gbclan"),
    "test": ("en", "en-gb-x-rp"),
}
# espeak-ng's variants that sound like a person, without robots, whispers and effects. One of
# each family (`steph` for `steph2` and `steph3`), so that no two speakers are near copies.
# fmt: off
FEMALE_VARIANTS = (
    "Andrea", "Annie", "anika", "aunty", "belinda", "f1", "f2", "f3", "f4", "f5", "grandma",
    "linda", "steph",
)
MALE_VARIANTS = (
    "adam", "Alex", "Andy", "announcer", "antonio", "benjamin", "boris", "caleb", "david",
    "Denis", "Diogo", "ed", "edward", "Gene", "grandpa", "gustave", "Henrique", "Hugo",
    "iven", "Jacky", "john", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo",
    "Mario", "max", "Michael", "michel", "miguel", "Mike", "Nguyen", "norbert", "pablo",
    "paul", "pedro", "quincy", "Reed", "rob", "robert", "sandro", "shelby", "Storm", "travis",
    "victor",
)
# fmt: on
_FEMALE_EVERY = 5
MAX_SPEAKERS = len(MALE_VARIANTS) * _FEMALE_EVERY // (_FEMALE_EVERY - 1)


class Level(NamedTuple):
    """What makes a condition harder.

    Attributes:
        snr_db: Range of a speaker's signal-to-noise ratio.
        vocal_tract_spread: A speaker's factor lies within 1 ± this.
        direct_to_reverberant_db: Range of a speaker's room.
        high_cut_hz: Range of a speaker's microphone.
    """

    snr_db: tuple[float, float]
    vocal_tract_spread: float
    direct_to_reverberant_db: tuple[float, float]
    high_cut_hz: tuple[float, float]


LEVELS: dict[Condition, Level] = {
    "clean": Level((40, 50), 0.01, (25, 35), (7_500, 7_900)),
    "field": Level((15, 30), 0.08, (8, 20), (4_500, 7_500)),
    "medium": Level((4, 20), 0.14, (0, 12), (3_200, 7_000)),
    "hard": Level((-3, 10), 0.20, (-4, 8), (2_500, 6_000)),
}


class Speaker(NamedTuple):
    """One synthetic person with a room, a microphone and a noise."""

    speaker_id: str
    split: Split
    accent: str
    variant: str
    pitch: float
    pitch_range: float
    rate: float
    vocal_tract_factor: float
    direct_to_reverberant_db: float
    rt60_seconds: float
    microphone: Microphone
    noise_type: NoiseType
    snr_db: float
    level_db: float

    @property
    def voice(self) -> str:
        """Return espeak-ng's name of the voice."""
        return f"{self.accent}+{self.variant}"


class Take(NamedTuple):
    """How a speaker says one word once.

    Attributes:
        pitch: espeak-ng's, in [0, 100].
        pitch_range: espeak-ng's, in [0, 100].
        rate: Words a minute.
        position: Start of the word, as a fraction of the room that it leaves in the second.
        snr_db: Loudest 0.1 s of speech over noise.
        level_db: That loudest 0.1 s, below full scale.
    """

    pitch: int
    pitch_range: int
    rate: int
    position: float
    snr_db: float
    level_db: float


def stream(seed: int, *names: object) -> np.random.Generator:
    """Generator of a named stream.

    numpy's, not torch's as elsewhere: the worker starts without the seconds that torch takes.
    """
    name = "/".join(["spoken-digits", str(seed), *map(str, names)])
    return np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))


def sample_speakers(*, num_speakers: int, condition: Condition, seed: int) -> list[Speaker]:
    """Draw the speakers: three fifths train, a fifth each valid and test, at least one.

    A speaker draws the same person in all conditions; the condition scales what was drawn.

    Raises:
        ValueError: fewer than 3 speakers, or more than there are voices.
    """
    if not 3 <= num_speakers <= MAX_SPEAKERS:
        raise ValueError(f"num_speakers: {num_speakers} is not in 3..{MAX_SPEAKERS}")
    voices = stream(seed, "voices")
    female = iter(voices.permutation(FEMALE_VARIANTS))
    male = iter(voices.permutation(MALE_VARIANTS))
    num_held_out = max(1, num_speakers // 5)
    num_train = num_speakers - 2 * num_held_out
    speakers = []
    for index in range(num_speakers):
        is_female = index % _FEMALE_EVERY == _FEMALE_EVERY - 1
        split: Split = (
            "train"
            if index < num_train
            else "valid"
            if index < num_train + num_held_out
            else "test"
        )
        speakers.append(
            _sample_speaker(
                split=split,
                accent=ACCENTS[split][index % len(ACCENTS[split])],
                variant=str(next(female if is_female else male)),
                level=LEVELS[condition],
                generator=stream(seed, "speaker", index),
            )
        )
    return speakers


def sample_takes(speaker: Speaker, *, num_takes: int, generator: np.random.Generator) -> list[Take]:
    """Draw how a speaker says one word, `num_takes` times."""
    return [_sample_take(speaker, generator) for _ in range(num_takes)]


def _sample_speaker(
    *, split: Split, accent: str, variant: str, level: Level, generator: np.random.Generator
) -> Speaker:
    return Speaker(
        speaker_id=generator.bytes(4).hex(),
        split=split,
        accent=accent,
        variant=variant,
        pitch=generator.uniform(30, 70),
        pitch_range=generator.uniform(30, 70),
        rate=generator.uniform(140, 190),
        vocal_tract_factor=1 + level.vocal_tract_spread * generator.uniform(-1, 1),
        direct_to_reverberant_db=generator.uniform(*level.direct_to_reverberant_db),
        rt60_seconds=generator.uniform(0.15, 0.6),
        microphone=Microphone(generator.uniform(40, 200), generator.uniform(*level.high_cut_hz)),
        noise_type=NOISE_TYPES[generator.integers(len(NOISE_TYPES))],
        snr_db=generator.uniform(*level.snr_db),
        level_db=generator.uniform(-30, -17),
    )


def _sample_take(speaker: Speaker, generator: np.random.Generator) -> Take:
    return Take(
        pitch=_clip(speaker.pitch + generator.uniform(-8, 8)),
        pitch_range=_clip(speaker.pitch_range + generator.uniform(-15, 15)),
        rate=round(speaker.rate * generator.uniform(0.9, 1.1)),
        position=generator.uniform(0, 1),
        snr_db=speaker.snr_db + generator.uniform(-2, 2),
        level_db=speaker.level_db + generator.uniform(-3, 3),
    )


def _clip(value: float) -> int:
    return round(min(100.0, max(0.0, value)))
