"""How far a trial is by its files, read as sparingly as thousands of trials need."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from clar_sweeps import records
from clar_sweeps.errors import RecordError
from clar_sweeps.records import EndState, Live, State
from clar_sweeps.watching.snapshot import Standing
from clar_sweeps.watching.wording import last_line_of_error, plain

ENDED: tuple[State, ...] = get_args(EndState)
_TAIL_BYTES = 8192


def read_standing(folder: Path) -> Standing:
    """Standing of the trial of a folder; one bad file counts as a failure and hides no other."""
    try:
        summary = records.find_json(folder / "summary.json")
    except RecordError as error:
        return Standing("failed", error=plain(error))
    if summary is not None:
        standing = _ended(summary)
        # Of one that is done the config tells; thousands of histories are not to be opened.
        is_done = standing.state == "done"
        return standing if is_done else standing._replace(epoch=_trained_epochs(folder))
    if (folder / "config.json").exists():
        return Standing("unfinished", epoch=_trained_epochs(folder))
    return Standing()


def _ended(summary: Mapping[str, Any]) -> Standing:
    state = summary.get("state")
    if state not in ENDED:
        return Standing("failed", error=f"summary.json: state is {plain(state)[:40]}")
    metrics, cost = summary.get("metrics"), summary.get("cost")
    return Standing(
        cast(State, state),
        top1=_number(metrics.get("test_top1")) if isinstance(metrics, dict) else None,
        seconds=_number(cost.get("total_seconds")) if isinstance(cost, dict) else None,
        error=last_line_of_error(summary),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def first_epoch(folder: Path, live: Live) -> int:
    """Epochs that a trial had trained when its process took it up.

    The last lines of the history are that process', as many as fit into its time.
    """
    left = live.at - live.since
    for row in reversed(records.read_history(folder)):
        left -= _number(row.get("seconds")) or 0.0
        if left < 0:
            return min(int(row["epoch"]), live.epoch)
    return 0


def _trained_epochs(folder: Path) -> int:
    """Epoch of the last whole line of a history, of which only the end is read."""
    try:
        with (folder / "history.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["epoch"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0
