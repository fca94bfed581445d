"""What came of all rounds: a table to read, JSON to keep."""

import os
import statistics
from typing import Any

import torch

from benchmarks.chaos.campaign import Campaign
from benchmarks.chaos.outcome import Round
from benchmarks.chaos.sweeps import HANG_TIMEOUT_MINUTES, MAX_RETRIES
from clar_sweeps import provenance


def result_of(campaign: Campaign) -> dict[str, Any]:
    """All that the rounds came to, as plain data."""
    rounds = [each for copy in campaign.copies for each in copy.rounds]
    return {
        "seed": campaign.seed,
        "rounds": len(rounds),
        "faults": campaign.faults(),
        "not_done": campaign.not_done,
        "max_retries": MAX_RETRIES,
        "hang_timeout_minutes": HANG_TIMEOUT_MINUTES,
        "cores": os.cpu_count(),
        "provenance": provenance.describe(torch.device("cpu")),
        "kinds": table_of(rounds),
        "copies": [copy.row() for copy in campaign.copies],
        "each": [each.row() for each in rounds],
    }


def table_of(rounds: list[Round]) -> list[dict[str, Any]]:
    """A row each kind of disturbance, and one of all."""
    kinds = sorted({each.kind for each in rounds})
    rows = [_row(kind, [each for each in rounds if each.kind == kind]) for kind in kinds]
    return [*rows, _row("all", rounds)]


def _row(kind: str, rounds: list[Round]) -> dict[str, Any]:
    back = [each.wound.back_seconds for each in rounds if each.wound.back_seconds is not None]
    return {
        "kind": kind,
        "times": len(rounds),
        "interrupted": sum(len(each.wound.hit) for each in rounds),
        "epochs_lost": sum(each.epochs_lost for each in rounds),
        "back_seconds_median": round(statistics.median(back), 1) if back else None,
        "back_seconds_most": round(max(back), 1) if back else None,
        "faults": sum(len(each.faults) for each in rounds),
    }


_COLUMNS = {
    "kind": "kind",
    "times": "times",
    "interrupted": "trials interrupted",
    "epochs_lost": "epochs lost",
    "back_seconds_median": "s until back",
    "back_seconds_most": "at most",
    "faults": "faults",
}


def render(rows: list[dict[str, Any]]) -> str:
    """The table as text."""
    lines = [list(_COLUMNS.values())]
    lines += [["-" if row[name] is None else str(row[name]) for name in _COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
