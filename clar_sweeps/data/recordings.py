"""Where the recordings of a dataset are: given, below `CLAR_SWEEPS_DATA`, or to be downloaded."""

import logging
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.data.archive import Archive, check_given_archive
from clar_sweeps.data.download import fetch
from clar_sweeps.data.fingerprint import fingerprint_of, hashed
from clar_sweeps.data.folder import SUFFIXES
from clar_sweeps.data.source import Source
from clar_sweeps.data.unpacking import DamagedArchiveError, unpack
from clar_sweeps.data.waveforms import Progress
from clar_sweeps.errors import DataError

logger = logging.getLogger(__name__)

DATA_VARIABLE = "CLAR_SWEEPS_DATA"


class AtHand(NamedTuple):
    """Recordings on this machine.

    Attributes:
        folder: In the source's layout; None where archives are at hand.
        archives: To unpack; empty where a folder is at hand.
        fingerprint: Changes with the names, sizes and times of the files.
        unpacked_fingerprint: Of the same files as a cache made from the source's own archive has
            it; "" where archives are at hand, or the source has none.
    """

    folder: Path | None
    archives: tuple[Path, ...]
    fingerprint: str
    unpacked_fingerprint: str = ""


class Found(NamedTuple):
    """A folder to list.

    Attributes:
        folder: In the source's layout.
        fingerprint: Of its files.
        archives: "ADDRESS sha256:HEX" of what was downloaded.
    """

    folder: Path
    fingerprint: str
    archives: tuple[str, ...] = ()


def data_root() -> Path | None:
    """Return the folder of the recordings that a user brings, or None where none is named."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named).expanduser() if named else None


def find_at_hand(source: Source, *, given: Path | None, folder: str | None) -> AtHand | None:
    """Find the recordings of a source on this machine; None where there are none.

    Args:
        source: One that has recordings.
        given: What the user points at: a folder in the source's layout or one that holds it, an
            archive, or a folder with the source's archives. None looks below `CLAR_SWEEPS_DATA`.
        folder: Name of the user's own recordings below `CLAR_SWEEPS_DATA`.

    Raises:
        DataError: nothing usable at `given`, or in a folder that bears the dataset's name, or no
            folder at `CLAR_SWEEPS_DATA`.
    """
    if given is not None:
        return _look_into(given.expanduser(), source, told_by="--source")
    root = data_root()
    if root is None:
        return None
    if not root.is_dir():
        raise DataError(
            f"{source.name}: {DATA_VARIABLE} is {root}, expected a folder; correct it or unset it"
        )
    for name in (folder,) if folder else source.folders:
        if (root / name).is_dir():
            return _look_into(root / name, source, told_by=DATA_VARIABLE)
    archives = _archives_in(root, source)
    return _archives_at_hand(archives) if archives else None


def _look_into(place: Path, source: Source, *, told_by: str) -> AtHand:
    if place.is_file() and not source.marker and place.suffix.lower() == ".csv":
        return _folder_at_hand(place, source)
    if place.suffix.lower() in SUFFIXES and place.is_file():
        by_list = "a folder, an archive or a list that ends in .csv"
        expected = "a folder or an archive" if source.marker else by_list
        raise DataError(
            f"{source.name}: {told_by} {place} is a sound file, expected {expected}; "
            f"the layout is {source.layout}"
        )
    if place.is_file():
        return _archives_at_hand((place,))
    if not place.is_dir():
        raise DataError(
            f"{source.name}: {told_by} {place} is not there, expected {source.layout}; "
            "correct the path"
        )
    if in_layout := _in_layout(place, source):
        return _folder_at_hand(in_layout, source)
    if archives := _archives_in(place, source):
        return _archives_at_hand(archives)
    raise DataError(
        f"{source.name}: no recordings in {place}, expected {source.layout}; unpack the "
        "dataset's archive there"
    )


def _in_layout(place: Path, source: Source) -> Path | None:
    """The folder in a source's layout: the place, or one in it; known names come first."""
    if not source.marker:
        return place
    inside = sorted(path for path in place.iterdir() if path.is_dir() and path.name[0] != ".")
    known = [path for path in inside if path.name in source.folders]
    for candidate in (place, *known, *inside):
        if any(candidate.glob(source.marker)):
            return candidate
    return None


def _archives_in(place: Path, source: Source) -> tuple[Path, ...]:
    """All archives of a source, or none."""
    paths = tuple(place / archive.file_name for archive in source.archives)
    return paths if paths and all(path.is_file() for path in paths) else ()


def _folder_at_hand(folder: Path, source: Source) -> AtHand:
    timed, untimed = fingerprint_of(folder)
    # Published recordings stay what they are wherever they are copied; one's own may be recorded
    # again under the same name and with the same size.
    return AtHand(folder, (), timed, untimed if source.archives else "")


def _archives_at_hand(paths: tuple[Path, ...]) -> AtHand:
    stats = [(path.name, path.stat()) for path in paths]
    told = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return AtHand(None, paths, hashed(told))


def unpack_at_hand(
    at_hand: AtHand, source: Source, work: Path, *, progress: Progress | None
) -> Found:
    """Return the folder at hand, or what archives at hand hold, unpacked into `work`.

    What the user gave is only read. Archives are unpacked anew at each call; one that is named
    as the dataset's own is compared with its checksum first.

    Raises:
        DataError: an archive has another checksum, is damaged or holds no recordings, or the disk
            is too full.
    """
    if at_hand.folder is not None:
        return Found(at_hand.folder, at_hand.fingerprint)
    shutil.rmtree(work, ignore_errors=True)
    official = {archive.file_name: archive for archive in source.archives}
    for path in at_hand.archives:
        if path.name in official:
            check_given_archive(official[path.name], path, progress=progress)
    for path in at_hand.archives:
        _unpack_into(path, work, progress)
    place = ", ".join(str(path) for path in at_hand.archives)
    return _unpacked(work, source, place=place, archives=())


def download_recordings(source: Source, work: Path, *, progress: Progress | None) -> Found:
    """Return the recordings of a source, downloaded and unpacked into `work`.

    A later call goes on where an earlier one was stopped. Each archive is deleted when it is
    unpacked whole, so that the disk never holds everything twice.

    Raises:
        DataError: as `fetch` and `unpack` say.
    """
    work.mkdir(parents=True, exist_ok=True)
    archives = []
    for archive in source.archives:
        done = work / f"{archive.file_name}.unpacked"
        if not done.exists():
            sha256 = _fetch_and_unpack(archive, work, progress)
            done.write_text(sha256, encoding="utf-8")
            (work / archive.file_name).unlink(missing_ok=True)
        archives.append(f"{archive.url} sha256:{done.read_text(encoding='utf-8')}")
    place = ", ".join(archive.url for archive in source.archives)
    return _unpacked(work, source, place=place, archives=tuple(archives))


def _fetch_and_unpack(archive: Archive, work: Path, progress: Progress | None) -> str:
    logger.info("downloading %s", archive.url)
    fetched = fetch(archive, work, progress=progress)
    try:
        _unpack_into(fetched.path, work, progress)
    except DamagedArchiveError as error:
        # No checksum could tell, so that it must not be taken for whole a second time.
        fetched.path.unlink()
        raise DataError(
            f"{archive.url}: {error}; the file is removed: run it again, or give a good copy as "
            "--source"
        ) from error
    return fetched.sha256


def _unpack_into(archive: Path, work: Path, progress: Progress | None) -> None:
    """Unpack beside what other archives of the dataset have in `work`/files."""
    aside, files = work / f"{archive.name}.files", work / "files"
    unpack(archive, aside, progress=progress)
    files.mkdir(exist_ok=True)
    for path in aside.iterdir():
        # A stopped call may have moved some already.
        if (files / path.name).is_dir():
            shutil.rmtree(files / path.name)
        path.rename(files / path.name)
    aside.rmdir()


def _unpacked(work: Path, source: Source, *, place: str, archives: tuple[str, ...]) -> Found:
    files = work / "files"
    folder = _in_layout(files if source.marker else _below_single_folder(files), source)
    if folder is None:
        raise DataError(
            f"{source.name}: no recordings in {place}, expected {source.layout}; give the "
            "dataset's own archive as --source"
        )
    # Untimed: the time at which it was unpacked says nothing.
    return Found(folder, fingerprint_of(folder).untimed, archives)


def _below_single_folder(files: Path) -> Path:
    """What an archive holds, without the one folder that many archives have on top."""
    inside = list(files.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else files
