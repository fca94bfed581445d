"""What a trial leaves behind: a folder of plain files, the same with and without Ray.

    RUN/
      plan.json            the sweep as it was expanded last
      trials/NAME_ID/      one folder a trial; untrained/NAME_ID/ the encoders before training
        config.json        format, semantics, id, name, config: written first
        labelled.json      names and sha256 of the clips whose label training sees, if not all do
        history.jsonl      a line an epoch: losses, learning rate, time; metrics where evaluated
        summary.json       state, metrics, error, cost, provenance: written last, by rename

The presence of `summary.json` means that the trial has ended; nothing else does.
"""

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from filelock import FileLock, Timeout

from clar_sweeps.config import SEMANTICS, Trial, TrialConfig, make_trial, parse_config
from clar_sweeps.errors import RecordError

FORMAT = 1
# How an ended trial ended; a folder without a summary is unfinished.
EndState = Literal["done", "failed", "diverged"]
State = Literal["done", "failed", "diverged", "unfinished", "missing"]


class Record(NamedTuple):
    """One trial's folder as read: its trial, state, and what it has written so far."""

    trial: Trial
    state: State
    summary: dict[str, Any]  # empty while unfinished
    history: list[dict[str, Any]]
    folder: Path


def trial_folder(run: Path, trial: Trial) -> Path:
    """Folder of a trial in a run; untrained encoders have a room of their own."""
    return run / ("trials" if trial.config.epochs else "untrained") / trial.folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file aside, sync it and rename it: a killed process leaves the old file or the new.

    Raises:
        OSError: The disk is full or not writable; the old file stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except OSError as error:
        Path(aside).unlink(missing_ok=True)
        # A write knows no name: without it nobody would know which disk is full.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


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
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecordError(f"{path}: does not exist; check the run folder") from error
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: is not readable JSON; remove it and run again") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path}: is not a JSON object; remove it and run again")
    return data


def write_config(folder: Path, trial: Trial) -> None:
    """Open a trial's record."""
    write_json(
        folder / "config.json",
        {
            "format": FORMAT,
            "semantics": SEMANTICS,
            "id": trial.id,
            "name": trial.name,
            "config": trial.config.model_dump(mode="json"),
        },
    )


def append_history(folder: Path, row: Mapping[str, Any]) -> None:
    """Add the line of one epoch."""
    with (folder / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        # Before the checkpoint of the same epoch, so that no checkpoint is ahead of its history.
        os.fsync(file.fileno())


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Rows written so far; a line that a kill cut short or that is damaged is left out."""
    path = folder / "history.jsonl"
    rows = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("epoch"), int):
            rows.append(row)
    return rows


def cut_history(folder: Path, *, epoch: int) -> None:
    """Drop rows beyond an epoch: a trial that resumes there writes them again."""
    rows = [row for row in read_history(folder) if row["epoch"] <= epoch]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_atomically(folder / "history.jsonl", text.encode())


def write_summary(
    folder: Path,
    trial: Trial,
    *,
    state: EndState,
    metrics: Mapping[str, float],
    cost: Mapping[str, float],
    provenance: Mapping[str, Any],
    error: Mapping[str, str] | None = None,
) -> None:
    """Close a trial's record; the last thing a trial writes.

    Args:
        folder: The trial's folder.
        trial: The trial.
        state: How it ended.
        metrics: Final metrics as fractions, such as `test_top1`.
        cost: Seconds and rates, such as `train_seconds`.
        provenance: Versions, hardware, digest of the dataset.
        error: type, message and traceback of a trial that failed or diverged.

    Raises:
        ValueError: A metric is not finite: that is no result.
    """
    for metric, value in metrics.items():
        if not math.isfinite(value):
            raise ValueError(f"{metric} is {value}, expected a fraction in [0, 1]")
    write_json(
        folder / "summary.json",
        {
            "format": FORMAT,
            "id": trial.id,
            "name": trial.name,
            "state": state,
            "metrics": dict(metrics),
            "cost": dict(cost),
            "error": dict(error) if error else None,
            "provenance": dict(provenance),
        },
    )


def read_record(folder: Path) -> Record:
    """Read a trial's folder.

    Raises:
        RecordError: A file is absent or damaged, says what cannot be, or is of a format that this
            version does not know.
    """
    opened = read_json(folder / "config.json")
    if opened.get("format") != FORMAT:
        raise RecordError(
            f"{folder / 'config.json'}: format is {opened.get('format')}, expected {FORMAT}; "
            "use the version that wrote it"
        )
    config = parse_config(opened.get("config", {}))
    if not isinstance(config, TrialConfig):
        raise RecordError(f"{folder / 'config.json'}: {config[0].message}; remove the folder")
    if not isinstance(opened.get("id"), str):
        raise RecordError(f"{folder / 'config.json'}: has no id; remove the folder")
    trial = make_trial(config)._replace(id=opened["id"])
    summary = _read_summary(folder)
    state: State = summary["state"] if summary else "unfinished"
    return Record(trial, state, summary, read_history(folder), folder)


def _read_summary(folder: Path) -> dict[str, Any]:
    """The summary after a check of all that readers rely on; empty where there is none."""
    path = folder / "summary.json"
    if not path.exists():
        return {}
    summary = read_json(path)
    if summary.get("state") not in get_args(EndState):
        fault = f"state {summary.get('state')!r} is not one of {', '.join(get_args(EndState))}"
        raise RecordError(f"{path}: {fault}; remove it and run again")
    for name, kinds in (
        ("metrics", dict),
        ("cost", dict),
        ("provenance", dict),
        ("error", (dict, type(None))),
    ):
        if not isinstance(summary.get(name), kinds):
            raise RecordError(f"{path}: {name} is not a mapping; remove it and run again")
    for name, value in {**summary["metrics"], **summary["cost"]}.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise RecordError(f"{path}: {name} is {value!r}, not a number; remove it and run again")
    return summary


def state_of(run: Path, trial: Trial) -> State:
    """State of a planned trial, from its files alone."""
    folder = trial_folder(run, trial)
    summary = _read_summary(folder)
    if summary:
        state: State = summary["state"]
        return state
    return "unfinished" if (folder / "config.json").exists() else "missing"


def reopen(run: Path, trial: Trial) -> None:
    """Take a failed trial up again: its summary goes, its checkpoint stays.

    A summary that cannot be read is kept as `summary.damaged`.
    """
    folder = trial_folder(run, trial)
    if not (folder / "summary.json").exists():
        return
    with locked(folder, timeout_seconds=0.0) as acquired:
        if not acquired:
            return
        try:
            # Read again under the lock: another process may have brought it to a good end.
            if state_of(run, trial) in ("failed", "diverged"):
                (folder / "summary.json").unlink()
        except RecordError:
            (folder / "summary.json").replace(folder / "summary.damaged")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left aside; call it under the folder's lock."""
    for aside in folder.glob(".*.*"):
        aside.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, *, timeout_seconds: float) -> Iterator[bool]:
    """Hold a folder's lock; gives False when another process kept it for the whole timeout.

    The actors of a killed driver live on for some seconds, so a lock is worth waiting for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
