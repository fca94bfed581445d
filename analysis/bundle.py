"""A run's records in one small file, from which its report is made elsewhere.

    NAME/plan.json, cost.json, run.log (its end)
    NAME/trials/FOLDER/config.json, history.jsonl, ...    NAME/untrained/FOLDER/...

NAME is that of the run folder. Checkpoints and signs of life stay behind. Equal records give
equal bytes: entries are sorted, and all are as old as the format of zip files.
"""

import io
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from analysis.run_log import LOG, end_of
from clar_sweeps.errors import RecordError
from clar_sweeps.records import find_content, write_atomically
from clar_sweeps.records.cost import COST

PLAN = "plan.json"
ROOMS = ("trials", "untrained")
# In the order in which a report reads them: a trial that ends meanwhile is unfinished in both.
OF_A_TRIAL = ("config.json", "summary.json", "history.jsonl", "failures.jsonl", "labelled.json")
# Of what is read back, beyond any run of ours: a stranger's file must not fill memory or disk.
MOST_FILES = 1_000_000
MOST_BYTES = 2**31
_LONGEST_NAME = 255  # bytes, as file systems have it
_OLDEST = (1980, 1, 1, 0, 0, 0)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
)


class Bundle(NamedTuple):
    """What was written."""

    path: Path
    num_files: int
    num_bytes: int

    def __str__(self) -> str:
        """A line for a terminal."""
        return f"bundle: {self.path} ({self.num_files:,} files, {self.num_bytes / 1e6:,.1f} MB)"


def run_name(run: Path) -> str:
    """What a run folder is called, however it is reached."""
    return run.resolve().name or "run"


def write_bundle(run: Path, path: Path) -> Bundle:
    """Write the records of a run into one file, at once or not at all; a partial run as it is.

    Args:
        run: A run folder.
        path: The file, or an existing folder that is to hold NAME.zip.

    Raises:
        RecordError: The folder holds no plan, or a record that cannot be read or named.
        DiskFullError: There is no room.
        OSError: Not writable.
    """
    name = run_name(run)
    target = path / f"{name}.zip" if path.is_dir() else path
    content, num_files = io.BytesIO(), 0
    with zipfile.ZipFile(content, "w") as bundle:
        for place, data in _records(run):
            entry = zipfile.ZipInfo(f"{name}/{place}", _OLDEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            bundle.writestr(entry, data)
            num_files += 1
    write_atomically(target, content.getvalue())
    return Bundle(target, num_files, len(content.getvalue()))


def _records(run: Path) -> Iterator[tuple[str, bytes]]:
    """Place in the run and content of every record, sorted by folder."""
    plan = find_content(run / PLAN)
    if plan is None:
        raise RecordError(f"{run}: is not a run folder (it has no {PLAN}); check the path")
    if not _is_name(run_name(run)):
        raise RecordError(f"{run}: has signs in its name that no bundle can hold; rename it")
    yield PLAN, plan
    for name, content in ((COST, find_content(run / COST)), (LOG, end_of(run))):
        if content:
            yield name, content
    for room in ROOMS:
        folders = sorted((run / room).iterdir()) if (run / room).is_dir() else []
        for folder in filter(Path.is_dir, folders):
            for name in OF_A_TRIAL:
                content = find_content(folder / name)
                if content is None:
                    continue
                if not _is_name(folder.name):
                    fault = "has signs in its name that no bundle can hold"
                    raise RecordError(f"{folder}: {fault}; rename or remove it")
                yield f"{room}/{folder.name}/{name}", content


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give the run folder at a path; that of a bundle lies aside until the context ends.

    Errors that are raised within speak of the bundle, not of the folder aside.

    Args:
        path: A run folder, or a file of `write_bundle`.

    Raises:
        RecordError: There is neither, or the file is no sound bundle.
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise RecordError(f"{path}: is neither a run folder nor a bundle of one; check the path")
    with tempfile.TemporaryDirectory(prefix="clar-sweep-") as aside:
        run = _extracted(path, Path(aside))
        try:
            yield run
        except RecordError as error:
            raise RecordError(str(error).replace(str(run), str(path))) from error


def _extracted(path: Path, aside: Path) -> Path:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RecordError(f"{path}: is larger than {MOST_BYTES:,} bytes; bundle the run again")
        with zipfile.ZipFile(path) as bundle:
            entries = bundle.infolist()
            name = _checked(entries, path)
            for entry in entries:
                place = aside / entry.filename
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(bundle.read(entry))  # never more than the entry's file_size
    except _DAMAGED as error:
        raise RecordError(
            f"{path}: is not a bundle of a run ({error}); "
            f"make one with 'clar-sweep report RUN --bundle {path.name}'"
        ) from error
    return aside / name


def _checked(entries: Sequence[zipfile.ZipInfo], path: Path) -> str:
    """The name of the run, after a look at every entry before the first is written.

    Raises:
        RecordError: An entry is no record of one run, or there are too many, or too large ones.
    """
    size = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_FILES or size > MOST_BYTES:
        limits = f"{MOST_FILES:,} files and {MOST_BYTES:,} bytes"
        raise RecordError(f"{path}: holds more than {limits}; give the run folder itself")
    plans = [entry.filename for entry in entries if entry.filename.endswith(f"/{PLAN}")]
    name = plans[0].partition("/")[0] if plans else ""
    seen: set[str] = set()
    for entry in entries:
        if not _is_record(entry, name) or entry.filename in seen:
            shown = repr(entry.filename[:_LONGEST_NAME])
            raise RecordError(f"{path}: {shown} is no record of a run; bundle the run again")
        seen.add(entry.filename)
    if not plans:
        raise RecordError(f"{path}: has no {PLAN}; bundle the run again")
    return name


def _is_record(entry: zipfile.ZipInfo, run: str) -> bool:
    """Whether an entry is a plain file that a bundle of this run can hold."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    is_plain = (
        kind in (0, stat.S_IFREG)  # no link
        and not entry.flag_bits & 0x1  # not encrypted
        and entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    )
    match entry.filename.split("/"):
        case [top, name]:
            is_known = top == run and name in (PLAN, COST, LOG)
        case [top, room, folder, name]:
            is_known = top == run and room in ROOMS and _is_name(folder) and name in OF_A_TRIAL
        case _:
            is_known = False
    return is_plain and is_known and _is_name(run)


def _is_name(text: str) -> bool:
    """Whether a text is the name of one folder, and leads nowhere else."""
    is_plain = text.isprintable() and not set(text) & set("/\\") and text.strip(". ") != ""
    return is_plain and len(text.encode(errors="replace")) <= _LONGEST_NAME
