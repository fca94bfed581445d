"""Datasets by name: prepare once, then load a memory-mapped cache.

`DATASETS` holds the sources. Importing this package stays cheap: what decodes sound is imported
when a clip is decoded.
"""

import contextlib
import logging
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from clar_sweeps.data.choice import CACHE_VARIABLE, Choice, cache_root, resolve
from clar_sweeps.data.decoding import SAMPLE_RATE
from clar_sweeps.data.folder import check_clip_seconds
from clar_sweeps.data.recordings import (
    DATA_VARIABLE,
    AtHand,
    Found,
    data_root,
    download_recordings,
    find_at_hand,
    unpack_at_hand,
)
from clar_sweeps.data.source import Request, Source
from clar_sweeps.data.sources import DATASETS
from clar_sweeps.data.space import Needs, check_disk, free_bytes, gigabytes, needs_of
from clar_sweeps.data.waveforms import (
    SPLITS,
    Listing,
    Progress,
    Split,
    Waveforms,
    build_cache,
    open_cache,
    verify_cache,
)
from clar_sweeps.errors import DataError

__all__ = [
    "CACHE_VARIABLE",
    "DATASETS",
    "DATA_VARIABLE",
    "LARGE_DOWNLOAD_BYTES",
    "SPLITS",
    "Needs",
    "Progress",
    "Source",
    "Split",
    "Waveforms",
    "cache_folder",
    "cache_root",
    "data_root",
    "free_bytes",
    "gigabytes",
    "is_prepared",
    "load",
    "needs",
    "prepare",
    "prepared_folders",
    "verify",
]

logger = logging.getLogger(__name__)

# A larger download waits for the user's word.
LARGE_DOWNLOAD_BYTES = 3_000_000_000


def prepare(
    name: str,
    condition: str | None = None,
    folder: str | None = None,
    *,
    source: Path | None = None,
    clip_seconds: float | None = None,
    may_download_large: bool = False,
    progress: Progress | None = None,
) -> Waveforms:
    """Open the cache of a dataset, made first if it is not there.

    Recordings are looked for at `source`, then below `CLAR_SWEEPS_DATA`, then downloaded. A cache
    that was made from others than those at hand is made again; where none are at hand, the cache
    is enough. What the user gave is only read; what was downloaded or unpacked here is deleted
    when the cache is whole. Processes that ask at once for the same cache make it once.

    Args:
        name: A key of `DATASETS`.
        condition: One of the source's conditions; None takes its default.
        folder: Name of the user's own recordings below `CLAR_SWEEPS_DATA`; of "folder" only.
        source: A folder in the dataset's layout or one that holds it, an archive, or a folder
            with all archives.
        clip_seconds: Length of the clips; of "folder" only.
        may_download_large: Whether a download of more than `LARGE_DOWNLOAD_BYTES` is wanted.
        progress: Called with (phase, done, total); in bytes where the phase begins with
            "download", "check" or "unpack".

    Raises:
        DataError: an unknown name or condition, missing or unusable recordings, a download that
            fails, or too little disk.
        DependencyError: a package that the source needs is not installed.
    """
    choice = resolve(name, condition, folder)
    _check_clip_seconds(choice.source, clip_seconds)
    at_hand = _at_hand(choice, source)
    recordings_print = at_hand.fingerprint if at_hand else ""
    fingerprint = _with_length(recordings_print, clip_seconds)

    def list_clips(work_folder: Path) -> Listing:
        _check_source(choice, at_hand, may_download_large)
        check_disk(choice, needs_of(choice, at_hand, clip_seconds))
        found = _bring(choice, at_hand, progress)
        listing = choice.source.list_clips(
            Request(
                work_folder=work_folder,
                recordings=found.folder if found else None,
                condition=choice.condition,
                clip_seconds=clip_seconds or _length_before(choice),
                progress=progress,
            )
        )
        _warn_of_parts(choice.source, len(listing.clips))
        prints = (recordings_print, *((found.fingerprint,) if found else ()))
        return listing._replace(
            fingerprints=prints, archives=found.archives if found else listing.archives
        )

    try:
        waveforms = build_cache(
            choice.cache,
            list_clips,
            remedy=choice.remedy,
            fingerprint=fingerprint,
            unpacked_fingerprint=at_hand.unpacked_fingerprint if at_hand else "",
            progress=progress,
        )
    except DataError as error:
        if told := _told_of_archive(error, choice, at_hand):
            raise DataError(told) from error
        raise
    finally:
        # Unpacked anew at each call, so that it is of no use to the next one.
        _delete(choice, choice.given_work)
    _delete(choice, choice.work)
    _check_length(choice, waveforms, clip_seconds)
    return _seen(choice, waveforms)


def load(name: str, condition: str | None = None, folder: str | None = None) -> Waveforms:
    """Open the cache of a dataset.

    Raises:
        DataError: an unknown name or condition, or a cache that is absent or damaged.
    """
    choice = resolve(name, condition, folder)
    return _seen(choice, open_cache(choice.cache, remedy=choice.remedy))


def verify(
    name: str,
    condition: str | None = None,
    folder: str | None = None,
    *,
    progress: Progress | None = None,
) -> Waveforms:
    """Open the cache of a dataset and compare all of it with its checksum.

    Raises:
        DataError: an unknown name or condition, or a cache that is absent or damaged.
    """
    choice = resolve(name, condition, folder)
    return _seen(choice, verify_cache(choice.cache, remedy=choice.remedy, progress=progress))


def is_prepared(name: str, condition: str | None = None, folder: str | None = None) -> bool:
    """Return whether the cache of a dataset is there; `load` says whether it is whole.

    Raises:
        DataError: an unknown name or condition.
    """
    return cache_folder(name, condition=condition, folder=folder).is_dir()


def cache_folder(name: str, condition: str | None = None, folder: str | None = None) -> Path:
    """Return where the cache of a dataset lies.

    Raises:
        DataError: an unknown name or condition.
    """
    return resolve(name, condition, folder).cache


def prepared_folders() -> list[str]:
    """Return the names of the user's own recordings that are prepared."""
    ending = f"-v{DATASETS['folder'].version}"
    caches = cache_root().glob(f"folder-*{ending}")
    return sorted(cache.name.removeprefix("folder-").removesuffix(ending) for cache in caches)


def needs(
    name: str,
    condition: str | None = None,
    folder: str | None = None,
    *,
    source: Path | None = None,
    clip_seconds: float | None = None,
) -> Needs:
    """Return what `prepare` would take with the same arguments; nothing where it is prepared.

    Raises:
        DataError: an unknown name or condition, a `source` without recordings, or `clip_seconds`
            that cannot be.
    """
    choice = resolve(name, condition, folder)
    _check_clip_seconds(choice.source, clip_seconds)
    if source is None and choice.cache.is_dir():
        return Needs(0, 0, 0)
    return needs_of(choice, _at_hand(choice, source), clip_seconds)


def _check_clip_seconds(source: Source, clip_seconds: float | None) -> None:
    if clip_seconds is not None and source.clip_seconds is not None:
        raise DataError(
            f"clip_seconds: {clip_seconds:g} is given, but clips of {source.name} have "
            f"{source.clip_seconds:g} s; leave it out"
        )
    check_clip_seconds(clip_seconds)


def _check_length(choice: Choice, waveforms: Waveforms, clip_seconds: float | None) -> None:
    """Refuse a cache of another length, which stands where the recordings are gone."""
    length = waveforms.samples.shape[1]
    if clip_seconds is not None and length != round(clip_seconds * SAMPLE_RATE):
        raise DataError(
            f"clip_seconds: {clip_seconds:g} is given, but clips of {choice.cache} have "
            f"{length / SAMPLE_RATE:g} s and their recordings are not at hand; give them as "
            "--source, or leave it out"
        )


def _length_before(choice: Choice) -> float | None:
    """Seconds of the clips of the cache that is made again, where the user chooses them."""
    if choice.source.clip_seconds is not None or not choice.cache.is_dir():
        return None
    try:
        waveforms = open_cache(choice.cache, remedy=choice.remedy)
    except DataError:
        return None
    return float(waveforms.samples.shape[1] / waveforms.sample_rate)


def _with_length(fingerprint: str, clip_seconds: float | None) -> str:
    """A cache with clips of another length counts as one of other recordings."""
    if not fingerprint or clip_seconds is None:
        return fingerprint
    return f"{fingerprint}@{clip_seconds:.12g}s"


def _at_hand(choice: Choice, source: Path | None) -> AtHand | None:
    if choice.source.layout is None:
        if source is not None:
            raise DataError(
                f"--source: {source} is given, but {choice.source.name} is made on this machine; "
                "leave it out"
            )
        return None
    try:
        return find_at_hand(choice.source, given=source, folder=choice.folder)
    except DataError:
        # A cache needs its recordings no longer: what is left of their folder does not matter.
        if source is None and choice.cache.is_dir():
            return None
        raise


def _check_source(choice: Choice, at_hand: AtHand | None, may_download_large: bool) -> None:
    """Refuse what cannot be had: recordings that are nowhere, or a download nobody asked for."""
    source = choice.source
    if source.layout is None or at_hand is not None:
        return
    if not source.archives:
        root = data_root()
        there = f"is {root}" if root else "is not set"
        raise DataError(
            f"{source.name}: {DATA_VARIABLE} {there}, expected a folder that holds "
            f"{choice.folder}/{source.layout}; run '{choice.remedy} --source DIR'"
        )
    if source.download_bytes > LARGE_DOWNLOAD_BYTES and not may_download_large:
        raise DataError(
            f"{source.name}: not prepared, and {gigabytes(source.download_bytes)} are to be "
            f"downloaded; run '{choice.remedy}' first"
        )


def _bring(choice: Choice, at_hand: AtHand | None, progress: Progress | None) -> Found | None:
    """The recordings to list; None where the source makes its clips."""
    if choice.source.layout is None:
        return None
    if at_hand is not None:
        return unpack_at_hand(at_hand, choice.source, choice.given_work, progress=progress)
    return download_recordings(choice.source, choice.work, progress=progress)


def _warn_of_parts(source: Source, num_clips: int) -> None:
    if source.layout is not None and source.num_clips not in (None, num_clips):
        logger.warning(
            "%s: %s clips are there, the whole dataset has %s",
            source.name,
            f"{num_clips:,}",
            f"{source.num_clips:,}",
        )


def _told_of_archive(error: DataError, choice: Choice, at_hand: AtHand | None) -> str | None:
    """An error with the user's archive in the place of the folder that it was unpacked into."""
    unpacked = str(choice.given_work / "files")
    if at_hand is None or len(at_hand.archives) != 1 or unpacked not in str(error):
        return None
    return str(error).replace(unpacked, str(at_hand.archives[0]))


def _delete(choice: Choice, work: Path) -> None:
    """Delete what was downloaded or unpacked here."""
    if not work.exists():
        return
    lock = FileLock(choice.cache.with_name(f"{choice.cache.name}.lock"), timeout=0)
    # Held by a process that makes the cache again: it deletes them itself.
    with contextlib.suppress(Timeout), lock:
        shutil.rmtree(work, ignore_errors=True)


def _seen(choice: Choice, waveforms: Waveforms) -> Waveforms:
    view = choice.source.view
    if view is None:
        return waveforms
    return waveforms.with_classes(view.class_of, view.class_names)
