"""The record of one trial: opened, continued, closed, read."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic_core import PydanticSerializationError, to_json

from clar_sweeps.config import SEMANTICS, Trial, TrialConfig, parse_config, readable_name
from clar_sweeps.errors import RecordError
from clar_sweeps.faults import Fault
from clar_sweeps.records.failures import DIVERGED, UNKNOWN, Failure, read_failures
from clar_sweeps.records.files import (
    append_line,
    find_json,
    locked,
    read_json,
    read_lines,
    write_atomically,
    write_json,
)

FORMAT = 1
# A killed driver's actors write for about three seconds more.
LOCK_TIMEOUT_SECONDS = 15.0
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
    # Before the checkpoint of the same epoch, so that no checkpoint is ahead of its history.
    append_line(folder / "history.jsonl", json.dumps(row))


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Rows written so far; a line that a kill cut short or that is damaged is left out."""
    rows = read_lines(folder / "history.jsonl")
    return [row for row in rows if isinstance(row.get("epoch"), int)]


def write_history(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put the history back to what it was at a checkpoint."""
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
        error: type, message, traceback and log of a trial that failed or diverged.

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


def close_unsuccessful(folder: Path, trial: Trial, failure: Failure | None = None) -> None:
    """Close the record of a trial that is given up.

    Call it under the folder's lock, after `append_failure`.

    Args:
        folder: The trial's folder.
        trial: The trial.
        failure: What it is given up for; without it, the last that was kept.

    Raises:
        DiskFullError: There is no room.
        RecordError: `failures.jsonl` cannot be read.
        OSError: Not writable.
    """
    last = failure or (read_failures(folder) or [UNKNOWN])[-1]
    if not (folder / "config.json").exists():
        write_config(folder, trial)
    write_summary(
        folder,
        trial,
        state="diverged" if last.kind == DIVERGED else "failed",
        metrics={},
        cost={},
        provenance=last.provenance,
        error={
            "type": last.kind,
            "message": last.message,
            "traceback": last.traceback,
            "log": last.log,
        },
    )


def read_record(folder: Path, *, planned: Trial | None = None) -> Record:
    """Read a trial's folder.

    Args:
        folder: The trial's folder.
        planned: Whose record it should be; a config in the same words is not validated again.

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
    config = _parse_unless_planned(opened.get("config", {}), planned)
    if not isinstance(config, TrialConfig):
        raise RecordError(f"{folder / 'config.json'}: {config[0].message}; remove the folder")
    if not isinstance(opened.get("id"), str):
        raise RecordError(f"{folder / 'config.json'}: has no id; remove the folder")
    trial = Trial(id=opened["id"], name=readable_name(config), config=config)
    summary = _read_summary(folder)
    state: State = summary["state"] if summary else "unfinished"
    return Record(trial, state, summary, read_history(folder), folder)


def _parse_unless_planned(data: Any, planned: Trial | None) -> TrialConfig | list[Fault]:
    if planned is not None and _as_text(data) == to_json(planned.config):
        return planned.config
    return parse_config(data)


def _as_text(data: Any) -> bytes | None:
    """As a value, true would be 1; None for what is nested too deep to be a config."""
    try:
        return to_json(data)
    except PydanticSerializationError:
        return None


def _read_summary(folder: Path) -> dict[str, Any]:
    """The summary after a check of all that readers rely on; empty where there is none."""
    path = folder / "summary.json"
    summary = find_json(path)
    if summary is None:
        return {}
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


def reopen(run: Path, trial: Trial, *, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> bool:
    """Take a failed trial up again: its summary goes, its checkpoint stays.

    A summary that cannot be read is kept as `summary.damaged`.

    Returns:
        False where another process kept the trial's lock, and so the record stands.
    """
    folder = trial_folder(run, trial)
    if not (folder / "summary.json").exists():
        return True
    with locked(folder, timeout_seconds=timeout_seconds) as acquired:
        if not acquired:
            return False
        try:
            # Read again under the lock: another process may have brought it to a good end.
            if state_of(run, trial) in ("failed", "diverged"):
                (folder / "summary.json").unlink()
        except RecordError:
            (folder / "summary.json").replace(folder / "summary.damaged")
    return True
