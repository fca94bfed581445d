"""Speech Commands: ten digits of version 0.01 (SC-10), all 35 words of version 0.02 (SC-35)."""

from pathlib import Path

from clar_sweeps.data import speech_commands_layout
from clar_sweeps.data.archive import Archive
from clar_sweeps.data.speech_commands_layout import DIGITS
from clar_sweeps.data.waveforms import Listing
from clar_sweeps.errors import DataError

LAYOUT = "WORD/SPEAKER_nohash_TAKE.wav, validation_list.txt and testing_list.txt"
_ONLY_IN_V2 = ("backward", "follow", "forward", "learn", "visual")
WORDS_V1 = (
    *DIGITS,
    *("bed", "bird", "cat", "dog", "down", "go", "happy", "house", "left", "marvin", "no", "off"),
    *("on", "right", "sheila", "stop", "tree", "up", "wow", "yes"),
)
WORDS_V2 = tuple(sorted((*WORDS_V1, *_ONLY_IN_V2)))

# Sizes and sha256 as in torchaudio 2.11 and TensorFlow Datasets.
ARCHIVE_V1 = Archive(
    url="http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz",
    file_name="speech_commands_v0.01.tar.gz",
    num_bytes=1_489_096_277,
    checksum="sha256:743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    unpacked_bytes=2_100_000_000,
)
ARCHIVE_V2 = Archive(
    url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    file_name="speech_commands_v0.02.tar.gz",
    num_bytes=2_428_923_189,
    checksum="sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    unpacked_bytes=3_500_000_000,
)


def list_sc10(folder: Path) -> Listing:
    """Find the ten digits of version 0.01: 18,620 / 2,494 / 2,552 recordings when complete.

    The paper's "about 20k" digits are those of version 0.01; version 0.02 has 38,908.

    Raises:
        DataError: a folder of version 0.02, or as `speech_commands_layout.list_clips` says.

    Source: CLAR (arXiv:2010.09542), section 3.1; arXiv:1804.03209.
    """
    if later := [word for word in _ONLY_IN_V2 if (folder / word).is_dir()]:
        raise DataError(
            f"sc10: {folder} has a folder '{later[0]}', as version 0.02, expected version 0.01; "
            f"unpack {ARCHIVE_V1.file_name}"
        )
    return speech_commands_layout.list_clips(folder, words=DIGITS)


def list_sc35(folder: Path) -> Listing:
    """Find all 35 words of version 0.02: 84,843 / 9,981 / 11,005 recordings when complete.

    Raises:
        DataError: as `speech_commands_layout.list_clips` says.

    Source: CLAR (arXiv:2010.09542), section 3.1; arXiv:1804.03209.
    """
    return speech_commands_layout.list_clips(folder, words=WORDS_V2)
