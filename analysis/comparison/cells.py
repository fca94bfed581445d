"""Two runs to pairs of cells, and what the seeds that both have say of their difference."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from analysis.frames import TEST_METRICS, RunFrames, panel_label
from analysis.settings import Settings
from analysis.stats import LEVEL, Estimate, Estimates, estimate, holm, p_values, paired_difference
from clar_sweeps.collector import paused
from clar_sweeps.config import TrialConfig

# What the shared seeds say of B against A; with a single one nothing is tested.
Verdict = Literal[
    "better",
    "worse",
    "not told apart",
    "equal",
    "one seed",
    "no shared seed",
    "only in A",
    "only in B",
]


class Place(NamedTuple):
    """What two cells have in common to be one cell of two runs."""

    panel: str  # dataset, encoder, and the fields that either sweep varies
    encoder: str
    chain: tuple[str, ...]
    method: str
    label_fraction: float | None
    supervised_budget: str | None


class CellPair(NamedTuple):
    """One cell of two runs; a run that does not plan it has no config here."""

    place: Place
    configs: tuple[TrialConfig | None, TrialConfig | None]  # of A and of B, at seed 0
    by_seed: tuple[Mapping[int, float], Mapping[int, float]]  # of their done trials
    difference: Estimate  # B - A, paired over the seeds that both have
    p: float  # two-sided, of the paired t-test; NaN where none is made
    p_holm: float  # corrected over all cells
    verdict: Verdict

    @property
    def is_shared(self) -> bool:
        """Whether both runs plan the cell."""
        return all(self.configs)

    @property
    def means(self) -> tuple[Estimate, Estimate]:
        """Of A and of B, each over all of its own seeds."""
        one, two = self.by_seed
        return estimate(list(one.values())), estimate(list(two.values()))


@paused()
def pair_cells(
    one: RunFrames, two: RunFrames, metric: str = TEST_METRICS[0]
) -> tuple[CellPair, ...]:
    """Compare two runs cell by cell.

    Cells are matched by dataset, encoder, chain, method, labelled share and the fields that either
    sweep varies; the other fields of their protocols may differ.

    Args:
        one: A, the run to compare with.
        two: B.
        metric: Of the test split.

    Returns:
        A pair a cell of either run, in the order of A's plan, then of B's.
    """
    is_labels = one.study == two.study == "labels"
    cells = [_cells(frames) for frames in (one, two)]
    settings, others = (
        Settings(dict.fromkeys(found.values()), in_label_tables=is_labels) for found in cells
    )
    settings.take_in(others)
    first, second = (
        _gather(frames, found, settings, metric)
        for frames, found in zip((one, two), cells, strict=True)
    )
    nothing: _Gathered = (None, {})
    compared = []
    for place in dict.fromkeys([*first, *second]):
        (config, values), (other_config, other_values) = (
            found.get(place, nothing) for found in (first, second)
        )
        difference = paired_difference(other_values, values)
        pair = CellPair(
            place, (config, other_config), (values, other_values), difference,
            math.nan, math.nan, "equal",
        )  # fmt: skip
        compared.append(pair)
    return tuple(_judged(compared))


_Gathered = tuple[TrialConfig | None, Mapping[int, float]]


def _cells(frames: RunFrames) -> dict[str, TrialConfig]:
    """By id of each trial its config at seed 0."""
    return {trial: config.cell() for trial, config in frames.configs.items()}


def _gather(
    frames: RunFrames, cells: Mapping[str, TrialConfig], settings: Settings, metric: str
) -> dict[Place, _Gathered]:
    """Config and numbers by seed of each cell of a run."""
    places: dict[TrialConfig, Place] = {}
    found: dict[Place, tuple[TrialConfig, dict[int, float]]] = {}
    columns = (frames.trials[name].tolist() for name in ("id", "seed", "state", metric))
    for trial, seed, state, value in zip(*columns, strict=True):
        cell = cells[trial]
        if cell not in places:
            places[cell] = _place(cell, settings.text(cell))
        _, values = found.setdefault(places[cell], (cell, {}))
        if state == "done" and not math.isnan(value):
            values[int(seed)] = float(value)
    return dict(found)


def _place(cell: TrialConfig, setting: str) -> Place:
    return Place(
        panel=panel_label(cell, setting),
        encoder=cell.encoder,
        chain=cell.augment,
        method=cell.method,
        label_fraction=cell.label_fraction,
        supervised_budget=cell.supervised_budget,
    )


def _judged(compared: Sequence[CellPair]) -> list[CellPair]:
    """Test all cells, correct the p-values over them, and say what each comes to."""
    if not compared:
        return []
    columns = zip(*(pair.difference for pair in compared), strict=True)
    p = p_values(Estimates(*map(np.array, columns)))
    return [
        pair._replace(p=alone, p_holm=corrected, verdict=_verdict(pair, corrected))
        for pair, alone, corrected in zip(compared, p.tolist(), holm(p).tolist(), strict=True)
    ]


def _verdict(pair: CellPair, p_holm: float) -> Verdict:
    one, two = pair.by_seed
    shared = one.keys() & two.keys()
    if not pair.is_shared:
        return "only in B" if pair.configs[0] is None else "only in A"
    if not shared:
        return "no shared seed"
    if all(one[seed] == two[seed] for seed in shared):
        return "equal"
    if len(shared) == 1:
        return "one seed"
    if not p_holm < LEVEL:
        return "not told apart"
    return "better" if pair.difference.mean > 0 else "worse"


def averaged(pairs: Iterable[CellPair]) -> Estimate:
    """Difference B - A of the means over cells, paired over the seeds that all of them have.

    Cells without a shared seed are in no mean. Where no seed has all cells it is the mean of their
    own differences, without an interval and with n 0.
    """
    compared = [pair for pair in pairs if pair.difference.n]
    if not compared:
        return estimate([])
    seeds = set.intersection(*(set(one) & set(two) for one, two in map(_both, compared)))
    if not seeds:
        mean = float(np.mean([pair.difference.mean for pair in compared]))
        return Estimate(mean, math.nan, math.nan, 0)
    return estimate(
        [
            float(np.mean([two[seed] - one[seed] for one, two in map(_both, compared)]))
            for seed in sorted(seeds)
        ]
    )


def _both(pair: CellPair) -> tuple[Mapping[int, float], Mapping[int, float]]:
    return pair.by_seed


def comparison_frame(by_metric: Mapping[str, Sequence[CellPair]]) -> pd.DataFrame:
    """All pairs as a long table, a row a cell and metric; fractions."""
    rows = []
    for metric, pairs in by_metric.items():
        for pair in pairs:
            one, two = pair.means
            rows.append(
                {
                    "panel": pair.place.panel,
                    "metric": metric,
                    "chain": "+".join(pair.place.chain),
                    "method": pair.place.method,
                    "label_fraction": pair.place.label_fraction,
                    "supervised_budget": pair.place.supervised_budget,
                    "a": one.mean,
                    "a_num_done": one.n,
                    "b": two.mean,
                    "b_num_done": two.n,
                    "difference": pair.difference.mean,
                    "half_width": pair.difference.half_width,
                    "num_shared": pair.difference.n,
                    "p": pair.p,
                    "p_holm": pair.p_holm,
                    "verdict": pair.verdict,
                }
            )
    return pd.DataFrame(rows)
