"""What a run was predicted to cost, beside what its records say that it took."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from analysis.wording import count
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError
from clar_sweeps.faults import one_line
from clar_sweeps.records import Cost, find_json, read_cost, trial_folder

_ENDLESS = 1e12  # seconds that no trial takes
HEADER = ("kind", "trials", "predicted", "measured", "difference")


class CostRow(NamedTuple):
    """One line of the table, in seconds."""

    kind: str
    trials: str  # how many were measured, of how many
    predicted: float  # a trial; in the last lines all trials, and the run
    measured: float | None  # None where nothing was

    @property
    def texts(self) -> tuple[str, str, str, str, str]:
        """As a reader sees it."""
        if self.measured is None:
            return self.kind, self.trials, _seconds(self.predicted), "–", ""
        gap = f"{100 * (self.measured / self.predicted - 1):+.0f} %" if self.predicted else ""
        shown = _seconds(self.predicted), _seconds(self.measured), gap.replace("-", "−")
        return self.kind, self.trials, *shown


class CostFound(NamedTuple):
    """The table of a run, or why it has none."""

    rows: list[CostRow]  # empty where nothing was predicted
    fault: str  # in one line; empty where there is none


def find_cost(run: Path, trials: Iterable[Trial]) -> CostFound:
    """What was predicted of a run, if it was, beside what its trials took."""
    try:
        cost = read_cost(run)
    except RecordError as error:
        # With its place in the run: the same line wherever the run lies.
        return CostFound([], one_line(str(error).removeprefix(f"{run}/")))
    return CostFound(cost_rows(cost, measured_seconds(run, trials)) if cost else [], "")


def cost_rows(cost: Cost, measured: Mapping[str, float]) -> list[CostRow]:
    """A row a kind, one of all trials, and one of the wall time, where that was predicted.

    Args:
        cost: The prediction.
        measured: Seconds of the trials that are done, by id. Predictions are compared with these
            alone, so that a run may be looked at before its end.
    """
    rows = []
    for kind in cost.kinds:
        done = [trial for trial in kind.trials if trial in measured]
        told = f"{len(done)} of {len(kind.trials)}"
        of = done or list(kind.trials)
        mean = sum(kind.trials[trial] for trial in of) / max(1, len(of))
        taken = sum(measured[trial] for trial in done) / len(done) if done else None
        rows.append(CostRow(one_line(kind.kind), told, mean, taken))
    predicted = cost.seconds
    done = [trial for trial in predicted if trial in measured]
    told = f"{len(done)} of {len(predicted)}"
    together = sum(predicted[trial] for trial in done or predicted)
    taken = sum(measured[trial] for trial in done) if done else None
    rows.append(CostRow("all trials together", told, together, taken))
    if cost.wall_seconds is not None:
        name = f"wall time on {count(cost.slots, 'slot')}"
        rows.append(CostRow(name, "", cost.wall_seconds, cost.measured_wall_seconds))
    return rows


def measured_seconds(run: Path, trials: Iterable[Trial]) -> dict[str, float]:
    """Seconds that the trials that are done took, by id; of a damaged record nothing is known."""
    found = {}
    for trial in trials:
        try:
            summary = find_json(trial_folder(run, trial) / "summary.json") or {}
        except RecordError:  # told among the failures
            continue
        cost = summary.get("cost")
        seconds = cost.get("total_seconds") if isinstance(cost, dict) else None
        if summary.get("state") != "done" or not isinstance(seconds, int | float):
            continue
        if 0 <= seconds < _ENDLESS:
            found[trial.id] = float(seconds)
    return found


def _seconds(value: float) -> str:
    return f"{value:,.1f} s"
