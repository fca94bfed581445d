"""Whether a sound file was cut short: libsndfile reads what is there and does not say."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

# Writers that do not know the length in advance put one of these or more.
_UNKNOWN_LENGTH = 0x7FFFF000
# How a file of chunks begins: the name of the chunk that holds the sound, and its byte order.
_CHUNKS = {b"RIFF": (b"data", "<I"), b"FORM": (b"SSND", ">I")}
_OGG_PAGE_HEAD = 27
_OGG_LAST_PAGE = 4
# An Ogg page is at most 65,307 bytes.
_OGG_TAIL = 65_536


def missing_part(path: Path, *, frames: int, promised_frames: int) -> str | None:
    """Say what a sound file lacks, or None where nothing is known to be missing.

    WAV and AIFF: the chunk of the sound holds fewer bytes than its header says. Ogg: the last
    page is cut or not marked as the last. Any format: fewer frames were read than libsndfile
    promised.

    Args:
        path: A file that libsndfile could read.
        frames: What it read.
        promised_frames: What it had promised.

    Raises:
        OSError: the file cannot be read.

    Source: RFC 3533 (Ogg); Multimedia Programming Interface and Data Specifications 1.0 (RIFF);
    Audio Interchange File Format 1.3.
    """
    if frames < promised_frames:
        return f"holds {frames} samples, expected the {promised_frames} of its header"
    with path.open("rb") as file:
        magic = file.read(4)
        if magic in _CHUNKS:
            return _missing_of_chunk(file, *_CHUNKS[magic])
        if magic == b"OggS":
            return _missing_of_ogg(file)
    return None


def _missing_of_chunk(file: BinaryIO, name: bytes, order: str) -> str | None:
    size = os.fstat(file.fileno()).st_size
    position = 12  # behind "RIFF", a size and "WAVE"
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return None
        length = struct.unpack(order, head[4:])[0]
        position += 8
        if head[:4] == name:
            present = size - position
            if present < length < _UNKNOWN_LENGTH:
                return f"holds {present} bytes of sound, expected the {length} of its header"
            return None
        position += length + length % 2  # chunks begin at even places


def _missing_of_ogg(file: BinaryIO) -> str | None:
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - _OGG_TAIL))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < _OGG_PAGE_HEAD:
        return "ends inside an Ogg page, expected a whole one"
    num_segments = page[26]
    lengths = page[_OGG_PAGE_HEAD : _OGG_PAGE_HEAD + num_segments]
    if len(page) < _OGG_PAGE_HEAD + num_segments + sum(lengths):
        return "ends inside an Ogg page, expected a whole one"
    if not page[5] & _OGG_LAST_PAGE:
        return "ends before the last page of its Ogg stream, expected that page"
    return None
