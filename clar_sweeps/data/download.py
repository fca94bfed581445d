"""Archives from their official addresses: resumed, retried, compared with their checksum."""

import contextlib
import http.client
import json
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from clar_sweeps.data.archive import Archive, check_archive
from clar_sweeps.errors import DataError

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

# Seconds before each further try; a try that brought `_ENOUGH_BYTES` begins the count anew.
PAUSES: tuple[float, ...] = (1, 3, 9)
TIMEOUT_SECONDS = 60
_ENOUGH_BYTES = 2**20
_BLOCK_BYTES = 2**18
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
# Worth another try: timeouts, too many requests, and the faults of a server that may pass.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class Fetched(NamedTuple):
    """A downloaded archive.

    Attributes:
        path: The file.
        sha256: Of it, in hex.
    """

    path: Path
    sha256: str


class _CutError(Exception):
    """The connection gave less than was promised; another try may go on."""

    def __init__(self, reason: str) -> None:
        super().__init__(" ".join(reason.split()))


class _State(NamedTuple):
    """What is known of a partly downloaded file: which version of it, and its whole size."""

    validator: str
    total: int


def fetch(archive: Archive, folder: Path, *, progress: Progress | None = None) -> Fetched:
    """Download an archive into `folder`; go on where an earlier call was cut off.

    What has arrived is kept as `NAME.part`. A server that has another version by now, or that
    cannot go on inside a file, sends all of it again; so does one that names no version, where
    no checksum would tell two of them spliced together.

    Args:
        archive: What to download.
        folder: Created if absent. One process at a time may use it.
        progress: Called with ("download NAME", bytes so far, bytes in all; 0 if not known).

    Raises:
        DataError: the server cannot be reached or refuses, the connection is cut again and again
            (the next call goes on), or the checksum is another (the next call starts anew).
    """
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / archive.file_name, folder / f"{archive.file_name}.part"
    if target.exists():
        return Fetched(target, check_archive(archive, target, progress=progress))
    _transfer(archive, part, progress)
    try:
        sha256 = check_archive(archive, part, progress=progress)
    except DataError:
        _forget(part)
        raise
    _state_file(part).unlink(missing_ok=True)
    # Rename last: under its own name lies only what was compared.
    part.rename(target)
    return Fetched(target, sha256)


def _state_file(part: Path) -> Path:
    return part.with_suffix(".state")


def _transfer(archive: Archive, part: Path, progress: Progress | None) -> None:
    """Try until the file is there, as long as tries bring more of it, and a few times more."""
    pauses, most = list(PAUSES), _size(part)
    while True:
        try:
            return _try_once(archive, part, progress)
        except _CutError as error:
            # More than ever before: a server that begins anew each time gets no nearer the end.
            if _size(part) >= most + _ENOUGH_BYTES:
                pauses, most = list(PAUSES), _size(part)
            if not pauses:
                raise DataError(_cut_line(archive, part, str(error))) from error
            pause = pauses.pop(0)
            logger.info("%s: %s; trying again in %g s", archive.url, error, pause)
            time.sleep(pause)


def _cut_line(archive: Archive, part: Path, reason: str) -> str:
    kept = _resumable_bytes(archive, part)
    there = f"; {kept:,} bytes are kept, and the same command goes on from there" if kept else ""
    return (
        f"{archive.url}: {reason}, expected the archive, {1 + len(PAUSES)} tries in a row"
        f"{there or '; check the network and run it again, or give the archive as --source'}"
    )


def _try_once(archive: Archive, part: Path, progress: Progress | None) -> None:
    """One request; it ends with the whole file in `part`, or with an error."""
    state = _read_state(part)
    offset = _resumable_bytes(archive, part)
    try:
        response = _open(archive.url, offset=offset, validator=state.validator if state else "")
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and offset and _whole_size(error.headers) == offset:
                return  # all was there already
            if error.code == 416 and offset:
                _forget(part)
                raise _CutError(f"cannot go on at byte {offset:,}") from error
            status = " ".join(f"status {error.code} {error.reason}".split())
            if error.code in _PASSING:
                raise _CutError(status) from error
            raise DataError(
                f"{archive.url}: {status}, expected 200; check the "
                "address in a browser, or download the archive by hand and give it as --source"
            ) from error
    with response:
        _receive(archive, part, response, offset=offset, state=state, progress=progress)


def _open(url: str, *, offset: int, validator: str) -> http.client.HTTPResponse:
    headers = {"User-Agent": "clar-sweeps", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator:
            headers["If-Range"] = validator
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _CutError(f"cannot be reached ({reason or type(error).__name__})") from error
    if not isinstance(response, http.client.HTTPResponse):
        raise _CutError(f"leads to {response.url}, which is no HTTP address")
    return response


def _receive(
    archive: Archive,
    part: Path,
    response: http.client.HTTPResponse,
    *,
    offset: int,
    state: _State | None,
    progress: Progress | None,
) -> None:
    if response.status == 206:
        total = _whole_size(response.headers)
        known = state.total if state is not None else 0
        if _first_byte(response.headers) != offset or total != (known or total):
            _forget(part)
            raise _CutError(f"another file than the one begun, at byte {offset:,}")
    else:
        offset, total = 0, response.length or 0
        _forget(part)
        _write_state(part, _State(_validator(response.headers), total))
    shown, done = total or archive.num_bytes, offset
    with part.open("ab") as file:
        while block := _read(response, at_byte=done):
            file.write(block)
            done += len(block)
            if progress is not None:
                progress(f"download {archive.file_name}", done, max(done, shown))
    # A server that tells no length ends where it ends; the checksum says whether that is whole.
    if done < total:
        raise _CutError(f"the connection was cut at byte {done:,} of {total:,}")


def _read(response: http.client.HTTPResponse, *, at_byte: int) -> bytes:
    try:
        return response.read1(_BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise _CutError(f"the connection was cut at byte {at_byte:,} ({reason})") from error


def _validator(headers: Any) -> str:
    """What `If-Range` may carry: a strong ETag, else the time of the last change."""
    etag = str(headers.get("ETag") or "")
    if etag and not etag.startswith("W/"):
        return etag
    return str(headers.get("Last-Modified") or "")


def _whole_size(headers: Any) -> int:
    match = _CONTENT_RANGE.fullmatch(str(headers.get("Content-Range") or ""))
    return int(match[2]) if match and match[2] != "*" else 0


def _first_byte(headers: Any) -> int | None:
    match = _CONTENT_RANGE.fullmatch(str(headers.get("Content-Range") or ""))
    return int(match[1]) if match and match[1] else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _resumable_bytes(archive: Archive, part: Path) -> int:
    """How much of the file is there to go on from, without mixing two versions unnoticed."""
    state = _read_state(part)
    is_compared = archive.checksum is not None and archive.is_fixed
    return _size(part) if state is not None and (state.validator or is_compared) else 0


def _read_state(part: Path) -> _State | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(_state_file(part).read_text(encoding="utf-8"))
        return _State(str(known["validator"]), int(known["total"]))
    return None


def _write_state(part: Path, state: _State) -> None:
    _state_file(part).write_text(json.dumps(state._asdict()), encoding="utf-8")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_file(part).unlink(missing_ok=True)
