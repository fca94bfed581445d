"""Files that a killed process leaves whole, and the lock of a folder."""

import errno
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from pydantic_core import from_json

from clar_sweeps.errors import RecordError
from clar_sweeps.records.disk import naming
from clar_sweeps.records.plain import Row, as_row


def write_atomically(path: Path, content: bytes, *, keep_as: Path | None = None) -> None:
    """Write a file aside, sync it and rename it: a killed process leaves the old file or the new.

    Args:
        path: Where the content stands in the end.
        content: All of it.
        keep_as: Where the old file stands afterwards, in place of what is there.

    Raises:
        DiskFullError: There is no room; the old file stands, and that under `keep_as` as well.
        OSError: Not writable; likewise.
    """
    with naming(path, needed=len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
    aside = write_aside(path, content)
    with naming(path, needed=len(content)):
        # Killed between the two renames, a process leaves the old file under its other name.
        if keep_as is not None and path.exists():
            path.replace(keep_as)
        aside.replace(path)
        _sync_folder(path.parent)


def write_aside(path: Path, content: bytes, *, sync: bool = True) -> Path:
    """Write what is about to stand at a path into a hidden file beside it.

    Raises:
        DiskFullError: There is no room.
        OSError: Not writable.
    """
    with naming(path, needed=len(content)):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            aside.chmod(0o644)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    return aside


def write_sign(path: Path, data: Mapping[str, Any]) -> None:
    """Leave a sign of life; not synced to the disk, for the next one is near.

    Raises:
        DiskFullError: There is no room.
        OSError: Not writable.
    """
    write_aside(path, json.dumps(data).encode(), sync=False).replace(path)


def read_sign(kind: type[Row], path: Path) -> Row | None:
    """The last sign of life; None where there is none, or none that can be read."""
    try:
        return as_row(kind, read_json(path))
    except RecordError:
        return None


def open_itself(
    path: Path, mode: str, *, buffering: int = -1, encoding: str | None = None
) -> IO[Any]:
    """Open a file to write that is none elsewhere: a run folder may be a stranger's.

    Raises:
        RecordError: It is a link.
        OSError: Not writable.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o666)

    try:
        return open(path, mode, buffering=buffering, encoding=encoding, opener=opener)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise RecordError(f"{path}: is a link; remove it and run again") from error
        raise


def append_line(path: Path, line: str) -> None:
    """Add a line and sync it; where it does not fit, the file stays as it was.

    Raises:
        DiskFullError: There is no room.
        RecordError: The file is a link.
        OSError: Not writable.
    """
    content = f"{line}\n".encode()
    # Unbuffered: a buffer would be written again on closing, after the file has been cut back.
    with naming(path, needed=len(content)), open_itself(path, "a+b", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        if before and os.pread(file.fileno(), 1, before - 1) != b"\n":
            content = b"\n" + content  # a kill cut the last line short: it must not spoil this one
        try:
            written = 0
            while written < len(content):  # on a disk that fills up, first a part is written
                written += file.write(content[written:])
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(before)
            raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain data as JSON, atomically."""
    write_atomically(path, (json.dumps(data, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RecordError: Absent, unreadable or not an object.
    """
    data = find_json(path)
    if data is None:
        raise RecordError(f"{path}: does not exist; check the run folder")
    return data


def find_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is none, at one look, for it may come or go.

    Raises:
        RecordError: Unreadable or not an object.
    """
    content = find_content(path)
    if content is None:
        return None
    try:
        data = _parsed(content)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: is not readable JSON; remove it and run again") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path}: is not a JSON object; remove it and run again")
    return data


def read_lines(path: Path) -> list[dict[str, Any]]:
    """JSON objects of a file of lines; one that a kill cut short or that is damaged is left out.

    Raises:
        RecordError: The file is there and cannot be read.
    """
    rows = []
    for line in (find_content(path) or b"").splitlines():
        try:
            row = _parsed(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _parsed(content: bytes) -> Any:
    """Plain data of JSON, as `json.loads` gives them.

    Raises:
        ValueError: Not JSON.
        RecursionError: Nested too deeply.
    """
    try:
        return from_json(content)  # five times as fast, and what it refuses is told below
    except ValueError:
        return json.loads(content)


def find_content(path: Path) -> bytes | None:
    """What stands in a file; None where there is none.

    Raises:
        RecordError: Something else than a file, or one that cannot be read.
    """
    try:
        # A run folder may be a stranger's, and a pipe or a device would be read for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise RecordError(f"{path}: is not a file; remove it and run again")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); mend that") from error


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left aside; call it under the folder's lock."""
    for aside in folder.glob(".*.*.????????"):  # as `write_aside` names them
        if aside.is_file():
            aside.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, *, timeout_seconds: float) -> Iterator[bool]:
    """Hold a folder's lock; gives False when another process kept it for the whole timeout.

    The actors of a killed driver live on for some seconds, so a lock is worth waiting for.

    Raises:
        DiskFullError: There is no room for the folder or its lock.
        RecordError: The lock is a link, or the file system knows no locks.
        OSError: Not writable.
    """
    path = folder / ".lock"
    # Never by the mere existence of a file, which a killed process would leave for ever.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        with naming(path):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=timeout_seconds)
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError) as error:
        raise _why_no_lock(path, error) from error
    try:
        yield True
    finally:
        lock.release()


def _why_no_lock(path: Path, error: OSError | NotImplementedError) -> Exception:
    number = error.errno if isinstance(error, OSError) else errno.ENOSYS
    if number == errno.ELOOP and path.is_symlink():
        return RecordError(f"{path}: is a link; remove it and run again")
    if number in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
        return RecordError(
            f"{path}: the file system knows no file locks ({os.strerror(number)}); give a "
            "--run-dir on one that does, or mount it with locks"
        )
    return error
