"""An archive to download, and whether a file is that archive."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clar_sweeps.errors import DataError

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 2**21


class Archive(NamedTuple):
    """One file to download.

    Attributes:
        url: Its official address.
        file_name: As it is kept, and as a user may keep it.
        num_bytes: About; 0 if not known.
        checksum: "sha256:HEX" or "md5:HEX"; None if not known.
        is_fixed: False where the address leads to a moving branch, so that another checksum is
            worth a warning only.
        unpacked_bytes: About; 0 if not known.
    """

    url: str
    file_name: str
    num_bytes: int
    checksum: str | None
    is_fixed: bool = True
    unpacked_bytes: int = 0


def check_archive(
    archive: Archive, path: Path, *, progress: Callable[[str, int, int], None] | None = None
) -> str:
    """Compare a file with the checksum of an archive.

    Args:
        archive: What it should be.
        path: The file; removed where it is another.
        progress: Called with ("check NAME", bytes read, bytes in all).

    Returns:
        Its sha256, in hex.

    Raises:
        DataError: the checksum is another; of an archive that is not fixed that is a warning.
    """
    algorithm, expected = _known(archive)
    found = _checksums(path, {algorithm, "sha256"}, archive.file_name, progress)
    if not expected:
        logger.warning(
            "%s: no checksum is known to compare with; its sha256 is %s",
            archive.url,
            found["sha256"],
        )
    elif found[algorithm] != expected and archive.is_fixed:
        size = path.stat().st_size
        path.unlink()
        raise DataError(
            f"{archive.url}: {algorithm} of {size:,} bytes is {found[algorithm]}, expected "
            f"{expected}; the file is removed: run it again, and if the same comes again, give a "
            "good copy as --source"
        )
    elif found[algorithm] != expected:
        _warn_of_another(archive.url, algorithm, found[algorithm], expected)
    return found["sha256"]


def check_given_archive(
    archive: Archive, path: Path, *, progress: Callable[[str, int, int], None] | None = None
) -> None:
    """Compare a user's file with the checksum of the archive that it is named as; it stays.

    Args:
        archive: What it should be; one without a checksum leaves nothing to compare.
        path: The file.
        progress: Called with ("check NAME", bytes read, bytes in all).

    Raises:
        DataError: the checksum is another; of an archive that is not fixed that is a warning.
    """
    if archive.checksum is None:
        return
    algorithm, expected = _known(archive)
    found = _checksums(path, {algorithm}, archive.file_name, progress)[algorithm]
    if found != expected and archive.is_fixed:
        raise DataError(
            f"{path}: {algorithm} of {path.stat().st_size:,} bytes is {found}, expected {expected} "
            f"as of {archive.url}; get it again, or rename it if it is meant to be another"
        )
    if found != expected:
        _warn_of_another(str(path), algorithm, found, expected)


def _known(archive: Archive) -> tuple[str, str]:
    """Algorithm and checksum; "" where none is known."""
    algorithm, _, expected = (archive.checksum or "sha256:").partition(":")
    return algorithm, expected


def _warn_of_another(place: str, algorithm: str, found: str, expected: str) -> None:
    logger.warning(
        "%s: %s is %s, not %s as in earlier copies: its branch has moved on",
        place,
        algorithm,
        found,
        expected,
    )


def _checksums(
    path: Path,
    algorithms: set[str],
    file_name: str,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, str]:
    checksums = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    done, total = 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            for checksum in checksums.values():
                checksum.update(block)
            done += len(block)
            if progress is not None:
                progress(f"check {file_name}", done, total)
    return {name: checksum.hexdigest() for name, checksum in checksums.items()}
