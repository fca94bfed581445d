"""Archives to folders: tar and zip in one way, with nothing written outside the folder."""

import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

from clar_sweeps.errors import DataError

Progress = Callable[[str, int, int], None]

_BLOCK_BYTES = 2**20
# Two blocks of zeros end a tar, and tarfile reads in records.
_TAR_END = bytes(2 * tarfile.BLOCKSIZE)
_KEPT_BYTES = 2 * tarfile.RECORDSIZE
# Left free on the disk, so that an archive cannot fill it to the last byte.
_RESERVE_BYTES = 2**26
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    UnicodeError,
    # zipfile: an encrypted entry, a method of compression that it does not know.
    RuntimeError,
    NotImplementedError,
)


class DamagedArchiveError(DataError):
    """An archive is cut short, corrupt, or holds what no dataset holds."""


class Entry(NamedTuple):
    """One file of an archive.

    Attributes:
        name: As the archive has it.
        num_bytes: As the archive declares it.
        is_file: False for links, devices and the like.
        open: Its content.
        position: Bytes of the archive read up to here.
    """

    name: str
    num_bytes: int
    is_file: bool
    open: Callable[[], IO[bytes] | None]
    position: Callable[[], int]


def unpack(archive: Path, folder: Path, *, progress: Progress | None = None) -> None:
    """Write the files of a .zip, .tar or .tar.gz into `folder`; nothing where it is there.

    The files are written aside, and `folder` appears when all are whole. Directories appear
    with their files; modes, owners and times are not taken over.

    Args:
        archive: Told apart by its content.
        folder: Absent, or the result of an earlier call.
        progress: Called with ("unpack NAME", bytes of the archive read, bytes in all).

    Raises:
        DamagedArchiveError: cut short, corrupt, or with a name that leads out of the folder, a
            link, a device, or more content than it declares.
        DataError: the disk has less room than the files need.
    """
    if folder.is_dir():
        return
    aside = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        _write_all(archive, aside, progress)
        aside.rename(folder)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedArchiveError(
            f"{archive}: damaged ({reason}), expected a whole .tar.gz or .zip; get it again"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_all(archive: Path, folder: Path, progress: Progress | None) -> None:
    total = archive.stat().st_size
    for entry in _entries(archive, folder):
        path = folder / _safe_name(archive, entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_space(archive, folder, entry.num_bytes)
        _write(archive, entry, path)
        if progress is not None:
            progress(f"unpack {archive.name}", entry.position(), total)


def _entries(archive: Path, folder: Path) -> Iterator[Entry]:
    if zipfile.is_zipfile(archive):
        return _zip_entries(archive, folder)
    return _tar_entries(archive)


def _zip_entries(archive: Path, folder: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as file:
        infos = [info for info in file.infolist() if not info.is_dir()]
        # All sizes are declared in front, so that a bomb is refused before it is unpacked.
        _check_space(archive, folder, sum(info.file_size for info in infos))
        read = 0
        for info in infos:
            read += info.compress_size
            # Unix mode in the upper half; 0 where the writer had none.
            kind = info.external_attr >> 28
            yield Entry(
                name=info.filename,
                num_bytes=info.file_size,
                is_file=kind in (0, 0o10),
                open=partial(file.open, info),
                position=partial(int, read),
            )


def _tar_entries(archive: Path) -> Iterator[Entry]:
    with archive.open("rb") as raw, _uncompressed(raw) as stream:
        content = _Tail(stream)
        # "|": in one pass, so that the position in the archive tells how far it is.
        with tarfile.open(fileobj=cast(IO[bytes], content), mode="r|") as file:
            for member in file:
                if member.isdir():
                    continue
                yield Entry(
                    name=member.name,
                    num_bytes=member.size,
                    is_file=member.isreg(),
                    open=partial(file.extractfile, member),
                    position=raw.tell,
                )
        # A tar that was cut between two members, or has a damaged one, ends the loop as well.
        content.read(len(_TAR_END))
        if not content.since(file.offset).startswith(_TAR_END):
            raise tarfile.ReadError("no end of the archive behind its last file")
        while stream.read(_BLOCK_BYTES):
            pass  # to the end, where gzip has its checksum


class _Tail:
    """A stream that remembers what it gave last."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._position, self._kept = stream, 0, b""

    def read(self, size: int) -> bytes:
        block = self._stream.read(size)
        self._position += len(block)
        self._kept = (self._kept + block)[-_KEPT_BYTES:]
        return block

    def since(self, position: int) -> bytes:
        """What was given from a position on, which was read not long ago."""
        return self._kept[max(0, len(self._kept) - (self._position - position)) :]


def _uncompressed(raw: io.BufferedReader) -> IO[bytes]:
    if raw.peek(2)[:2] == b"\x1f\x8b":
        return gzip.open(raw, "rb")  # type: ignore[return-value]  # reads as IO does
    return raw


def _safe_name(archive: Path, entry: Entry) -> PurePosixPath:
    """Path of an entry below the folder."""
    name = PurePosixPath(entry.name)
    if not entry.is_file:
        problem = "is a link or a device"
    elif name.is_absolute() or ".." in name.parts or not name.parts or "\0" in entry.name:
        problem = "leads out of its folder"
    else:
        return name
    raise DamagedArchiveError(
        f"{archive}: entry {entry.name!r} {problem}, expected plain files below one folder; "
        "use the dataset's own archive"
    )


def _check_space(archive: Path, folder: Path, num_bytes: int) -> None:
    free = max(0, shutil.disk_usage(folder).free - _RESERVE_BYTES)
    if num_bytes > free:
        raise DataError(
            f"{archive}: holds files of {num_bytes / 1e9:,.1f} GB, expected at most the "
            f"{free / 1e9:,.1f} GB that are free; free some space, or set CLAR_SWEEPS_CACHE to a "
            "folder on another disk"
        )


def _write(archive: Path, entry: Entry, path: Path) -> None:
    content = entry.open()
    assert content is not None  # regular files have one
    with content, path.open("wb") as file:
        left = entry.num_bytes
        while block := content.read(_BLOCK_BYTES):
            left -= len(block)
            if left < 0:
                break
            file.write(block)
    if left:
        raise DamagedArchiveError(
            f"{archive}: entry {entry.name!r} holds other than the {entry.num_bytes} bytes that "
            "it declares; use the dataset's own archive"
        )
