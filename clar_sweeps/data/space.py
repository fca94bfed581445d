"""Disk and network that the preparation of a dataset takes."""

import shutil
from typing import NamedTuple

from clar_sweeps.data.choice import CACHE_VARIABLE, Choice, cache_root
from clar_sweeps.data.fingerprint import estimate_seconds, sound_files
from clar_sweeps.data.recordings import AtHand
from clar_sweeps.errors import DataError


class Needs(NamedTuple):
    """What the preparation of a dataset takes, about.

    Attributes:
        download_bytes: To download.
        unpacked_bytes: Disk for recordings that are unpacked, until the cache is whole.
        cache_bytes: Disk for the cache, which stays, with clips that are made on this machine.
        is_found: Whether the recordings are at hand, or can be downloaded or made.
    """

    download_bytes: int
    unpacked_bytes: int
    cache_bytes: int
    is_found: bool = True

    @property
    def disk_bytes(self) -> int:
        """Most disk at any moment: an archive goes when it is unpacked."""
        return self.unpacked_bytes + max(self.download_bytes, self.cache_bytes)


def free_bytes() -> int:
    """Return how much of the disk of the caches is free."""
    place = cache_root()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def gigabytes(num_bytes: int) -> str:
    """Return a size for a reader, in GB or MB."""
    if num_bytes >= 1e9:
        return f"{num_bytes / 1e9:.1f} GB"
    return f"{num_bytes / 1e6:.0f} MB"


def needs_of(choice: Choice, at_hand: AtHand | None, clip_seconds: float | None) -> Needs:
    """Return what the preparation takes from what is at hand, or from a download where nothing is.

    Of the user's own recordings it is guessed from the sizes of their files, unless
    `clip_seconds` says how long the clips become.

    Args:
        choice: The dataset.
        at_hand: Its recordings on this machine.
        clip_seconds: Length of the clips, of the user's own recordings only.
    """
    source = choice.source
    unpacked = source.unpacked_bytes
    cache = source.cache_bytes(source.num_clips or 0, clip_seconds)
    if at_hand is None:
        is_found = source.layout is None or bool(source.archives)
        return Needs(source.download_bytes, unpacked, cache + source.made_bytes, is_found)
    if at_hand.folder is None:
        size = sum(path.stat().st_size for path in at_hand.archives)
        if not source.archives:
            return Needs(0, size, size)
        # A smaller archive holds fewer recordings or packs them better: the cache may be whole.
        share = min(1.0, size / max(1, source.download_bytes))
        return Needs(0, round(share * unpacked), cache)
    files = sound_files(at_hand.folder)
    num_clips = min(len(files), source.num_clips or len(files))
    if source.clip_seconds is None and clip_seconds is None:
        clip_seconds = estimate_seconds(files)
    return Needs(0, 0, source.cache_bytes(num_clips, clip_seconds))


def check_disk(choice: Choice, wanted: Needs) -> None:
    """Refuse a preparation for which the disk of the caches has too little room.

    Raises:
        DataError: it has.
    """
    if choice.source.num_clips is None:
        return  # A guess refuses nobody: unpacking and decoding know their sizes, and look.
    # What an earlier call has downloaded is on the disk already.
    there = sum(path.stat().st_size for path in choice.work.rglob("*") if path.is_file())
    free = free_bytes()
    if wanted.disk_bytes - there > free:
        raise DataError(
            f"{cache_root()}: {gigabytes(free)} are free, expected "
            f"{gigabytes(wanted.disk_bytes)} for {choice.source.name}; free some space, or set "
            f"{CACHE_VARIABLE} to a folder on another disk"
        )
