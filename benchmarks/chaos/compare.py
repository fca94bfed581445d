"""What a disturbed run left behind, against the undisturbed one."""

from pathlib import Path
from typing import Any

import torch

from clar_sweeps import records
from clar_sweeps.checkpoint import load_checkpoint
from clar_sweeps.errors import CheckpointError, RecordError
from clar_sweeps.records import Record

# How long something took is no result.
_MEASURED = ("seconds", "clips_per_second")


def differences(reference: Path, run: Path) -> list[str]:
    """All that is not as in the reference, a line each; empty where nothing is lost or bent.

    Compared are, of each trial: config, state, metrics, every row of the history, the error it
    ended by, the clips whose labels it saw, and each number of its checkpoint.
    """
    expected, found = _folders(reference), _folders(run)
    lines = [f"{name}: is missing" for name in expected.keys() - found.keys()]
    lines += [f"{name}: is one too many" for name in found.keys() - expected.keys()]
    for name in sorted(expected.keys() & found.keys()):
        try:
            was, now = (records.read_record(at[name]) for at in (expected, found))
            lines += [f"{name}: {fault}" for fault in _faults(was, now)]
        except (RecordError, CheckpointError) as error:
            lines.append(f"{name}: {error}")
    return lines


def _folders(run: Path) -> dict[str, Path]:
    return {
        str(path.relative_to(run)): path
        for room in ("trials", "untrained")
        for path in run.glob(f"{room}/*")
    }


def _faults(was: Record, now: Record) -> list[str]:
    faults = []
    for what, before, after in (
        ("state", was.state, now.state),
        ("metrics", was.summary.get("metrics"), now.summary.get("metrics")),
        ("error", _error(was), _error(now)),
        ("config", _text(was, "config.json"), _text(now, "config.json")),
        ("labelled clips", _text(was, "labelled.json"), _text(now, "labelled.json")),
    ):
        if before != after:
            faults.append(f"{what} is {after!r}, was {before!r}")
    before_rows, after_rows = _history(was), _history(now)
    if [row["epoch"] for row in before_rows] != [row["epoch"] for row in after_rows]:
        epochs = [row["epoch"] for row in after_rows]
        faults.append(f"history has epochs {epochs}, was {len(before_rows)} rows")
    for before_row, after_row in zip(before_rows, after_rows, strict=False):
        if before_row != after_row:
            faults.append(f"history of epoch {after_row['epoch']} differs from there on")
            break
    return faults + _faults_of_weights(was, now)


def _error(record: Record) -> tuple[Any, Any]:
    error = record.summary.get("error") or {}
    return error.get("type"), error.get("message")


def _text(record: Record, name: str) -> str | None:
    path = record.folder / name
    return path.read_text(encoding="utf-8") if path.exists() else None


def _history(record: Record) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name not in _MEASURED}
        for row in record.history
    ]


def _faults_of_weights(was: Record, now: Record) -> list[str]:
    paths = [record.folder / "checkpoint.pt" for record in (was, now)]
    there = [path.exists() for path in paths]
    if not all(there):
        return [f"the checkpoint is {'there' if there[1] else 'missing'}"] if any(there) else []
    states = [load_checkpoint(path, trial_id=was.trial.id) for path in paths]
    leaves = [dict(_leaves(state)) for state in states]
    if leaves[0].keys() != leaves[1].keys():
        return ["the checkpoint holds other things"]
    unequal = [name for name, value in leaves[0].items() if not _equal(value, leaves[1][name])]
    told = (
        f"{len(unequal)} of {len(leaves[0])} values of the checkpoint differ, first {unequal[:1]}"
    )
    return [told] if unequal else []


def _leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        keys = [key for key in value if key not in (*_MEASURED, "cost")]
        return [leaf for key in keys for leaf in _leaves(value[key], f"{name}.{key}")]
    if isinstance(value, list | tuple):
        return [leaf for i, part in enumerate(value) for leaf in _leaves(part, f"{name}.{i}")]
    return [(name, value)]


def _equal(before: Any, after: Any) -> bool:
    if isinstance(before, torch.Tensor):
        # By bytes: a NaN in the last state of a diverged trial is equal to itself.
        same_form = before.dtype == after.dtype and before.shape == after.shape
        return same_form and bool(before.numpy().tobytes() == after.numpy().tobytes())
    return bool(before == after)


def strays(run: Path) -> list[str]:
    """Files that no ended run may leave: asides, signs of life, requests, Tune's own files."""
    found = [path for path in run.rglob(".*") if path.name != ".lock"]
    for name in ("live.json", "run.json", "stop.json", "stack.txt"):
        found += run.rglob(name)
    for path in run.rglob("checkpoint.previous.pt"):  # of a trial that failed it may be of use
        if records.read_record(path.parent).state == "done":
            found.append(path)
    return sorted(f"{path.relative_to(run)}: was left behind" for path in found)


def summaries(run: Path) -> dict[Path, tuple[int, bytes]]:
    """Time of writing and content of all summaries that there are."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.glob("*/*/summary.json")
    }
