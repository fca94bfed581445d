"""What a trial has come to so far: kept with each checkpoint, closed with the record."""

import time
from typing import Any

from clar_sweeps.trainer.epoch import Epoch

HistoryRow = dict[str, float | int | str]


class Ledger:
    """History, metrics and cost of a trial, over all processes that trained it.

    Attributes:
        history: A row an epoch.
        metrics: Of the last evaluation.
        cost: Seconds of training and of evaluation, and of all there was to do.
    """

    def __init__(self) -> None:
        """Open it; the time that passes from now on is the trial's."""
        self._started = time.perf_counter()
        self._seconds_before = 0.0
        self.history: list[HistoryRow] = []
        self.metrics: dict[str, float] = {}
        self.cost = {"train_seconds": 0.0, "eval_seconds": 0.0, "total_seconds": 0.0}

    def go_on_from(self, plain: dict[str, Any]) -> None:
        """Take over what an earlier process had come to at its checkpoint."""
        self.history, self.metrics, self.cost = plain["history"], plain["metrics"], plain["cost"]
        self._seconds_before = self.cost["total_seconds"]

    def plain(self) -> dict[str, Any]:
        """All of it as plain values, as of now."""
        self.cost["total_seconds"] = self._seconds_before + time.perf_counter() - self._started
        return {"history": self.history, "metrics": self.metrics, "cost": dict(self.cost)}

    def add_epoch(self, epoch: Epoch) -> HistoryRow:
        """Enter an epoch of training; gives its row, to which metrics may come."""
        fields = epoch._asdict()
        losses = fields.pop("losses")
        row = {"epoch": fields.pop("epoch"), "step": fields.pop("step"), **losses, **fields}
        self.history.append(row)
        self.cost["train_seconds"] += epoch.seconds
        return row

    def add_evaluation(self, metrics: dict[str, float], *, seconds: float) -> None:
        """Enter an evaluation: of the last epoch, if there was one."""
        self.metrics = metrics
        self.cost["eval_seconds"] += seconds
        if self.history:
            self.history[-1] |= metrics
