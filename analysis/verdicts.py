"""Published numbers and claims beside a run: reproduced, different, undecided, no comparison.

A run of another protocol reproduces nothing, whatever its numbers: it is told why it cannot, and
what it shows by itself.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import pandas as pd
from scipy.special import stdtrit

from analysis.cells import Cell
from analysis.claims import (
    Finding,
    input_claims,
    label_claims,
    pair_claims,
    seed_maxima,
    seed_means,
)
from analysis.frames import Study
from analysis.input_table import Column
from analysis.label_table import LabelRow
from analysis.protocol import Protocol, operation_differences, place_differences
from analysis.published import label_fraction, matrix_scalar
from analysis.stats import CONFIDENCE, NO_SPREAD, Estimate, estimate
from analysis.studies import (
    Findings,
    InputStudy,
    LabelStudy,
    MatrixStudy,
    ProtocolOf,
)
from analysis.wording import (
    ENCODER_NAMES,
    method_text,
    percent,
    points_text,
    row_text,
    share_text,
    value_text,
)

Outcome = Literal["reproduced", "differs", "undecided", "not comparable", "no result"]
OUTCOMES: tuple[Outcome, ...] = (
    "reproduced", "differs", "undecided", "not comparable", "no result",
)  # fmt: skip

# Half of the last digit that the paper prints.
_ROUNDING = 0.0005
# A wider interval holds almost any number: rows of the paper's Table 1 lie 5 points apart and more.
_WIDEST = 0.05


class Verdict(NamedTuple):
    """One published number or claim."""

    place: str  # in the paper
    what: str
    published: str  # in percent; empty for a claim
    ours: str
    outcome: Outcome
    shown: str  # what the run shows by itself
    because: str  # why it is no comparison; empty where it is one


class Judged(NamedTuple):
    """How a number or a claim came out."""

    outcome: Outcome
    shown: str
    because: str = ""


def verdicts_of(findings: Findings, protocol_of: ProtocolOf) -> list[Verdict]:
    """Judge all that the paper prints of the studies of a run.

    Args:
        findings: Of the run.
        protocol_of: Compares the trials of some cells with the paper's protocol.
    """
    found: list[Verdict] = []
    for matrices in findings.matrices:
        found += _of_matrices(matrices, protocol_of)
    for inputs in findings.inputs:
        found += _of_inputs(inputs, protocol_of)
    for labels in findings.labels:
        found += _of_labels(labels, protocol_of)
    return found


def one_more_run(found: Estimate) -> float:
    """Half of the interval in which one further run falls, as the paper's single one would be.

    The mean's own interval is narrower: it shrinks with the number of seeds, and the spread of
    single runs does not.

    Source: the prediction interval of a normal sample, t(n - 1) s sqrt(1 + 1 / n).
    """
    if found.n < 2:
        return math.nan
    quantile = float(stdtrit(found.n - 1, (1 + CONFIDENCE) / 2))
    return quantile * found.std * math.sqrt(1 + 1 / found.n)


def judge_number(published: float, ours: Estimate, protocol: Protocol) -> Judged:
    """Whether a mean over seeds reproduces the number of a single run."""
    if not ours.n:
        return Judged("no result", "")
    if not protocol.is_papers:
        return Judged("not comparable", "", protocol.weightiest)
    difference, reach = ours.mean - published, one_more_run(ours)
    told = f"{points_text(difference)} points"
    if ours.n < 2:
        return Judged("undecided", f"{told}; one seed gives no interval")
    if ours.std <= NO_SPREAD:
        return Judged("undecided", f"{told}; the {ours.n} seeds do not differ at all")
    if reach > _WIDEST:
        return Judged("undecided", f"{told}; single runs spread over ± {percent(reach)}")
    if abs(difference) <= reach + _ROUNDING:
        return Judged("reproduced", f"{told}, within ± {percent(reach)} of single runs")
    return Judged("differs", f"{told}, beyond ± {percent(reach)} of single runs")


def judge_claim(contrast: Estimate, protocol: Protocol) -> Judged:
    """Whether the seeds bear a claim out; `contrast` is positive where they do."""
    if not contrast.n:
        return Judged("no result", "")
    shown = _shown(contrast)
    if not protocol.is_papers:
        return Judged("not comparable", shown, protocol.weightiest)
    if not contrast.is_told:
        return Judged("undecided", shown)
    return Judged("reproduced" if contrast.mean > 0 else "differs", shown)


def _shown(contrast: Estimate) -> str:
    way = "as claimed" if contrast.mean > 0 else "the other way"
    points = percent(abs(contrast.mean))
    if contrast.n < 2:
        return f"{points} points {way}, at one seed"
    told = f"{points} ± {percent(contrast.half_width)} points {way}"
    if contrast.is_told:
        return told
    if contrast.std <= NO_SPREAD:
        return f"{told}: {contrast.n} seeds without any spread say nothing of how small it is"
    return f"{told}: {contrast.n} seeds do not tell it from none"


def _number(
    place: str, what: str, published: float | None, ours: Estimate, protocol: Protocol
) -> Iterator[Verdict]:
    if published is not None:
        judged = judge_number(published, ours, protocol)
        yield Verdict(place, what, percent(published), value_text(ours), *judged)


def _claims(found: Iterable[Finding], study: Study, protocol_of: ProtocolOf) -> Iterator[Verdict]:
    for finding in found:
        judged = judge_claim(finding.contrast, protocol_of(finding.cells, study, finding.places))
        yield Verdict(finding.place, finding.claim, "", finding.told, *judged)


def _of_matrices(study: MatrixStudy, protocol_of: ProtocolOf) -> Iterator[Verdict]:
    for section in study.sections:
        name = ENCODER_NAMES[section.panel.encoder].partition(" (")[0]
        operations = operation_differences(section.matrices[0].operations)
        protocol = protocol_of(section.cells, "pairs", operations)
        for scalar, what, by_seed in (
            ("mean", f"mean of the matrix, {name}", seed_means(section.cells)),
            ("max", f"highest cell, {name}", seed_maxima(section.cells)),
        ):
            published = matrix_scalar(section.panel.encoder, scalar)
            ours = estimate(list(by_seed.values()))
            yield from _number("section 4", what, published, ours, protocol)
    yield from _claims(pair_claims(study.sections), "pairs", protocol_of)


def _of_inputs(study: InputStudy, protocol_of: ProtocolOf) -> Iterator[Verdict]:
    for row in study.table.rows:
        for column, entry in zip(study.table.columns, row.entries, strict=True):
            if entry.cell is not None:
                what = f"{row_text(row.encoder, row.chain)} on {_column(column)}"
                protocol = protocol_of([entry.cell], "inputs", ())
                yield from _number("Table 1", what, entry.published, entry.cell.estimate, protocol)
    yield from _claims(input_claims(study.table), "inputs", protocol_of)


def _column(column: Column) -> str:
    return column.paper.name if column.paper else column.label


def _of_labels(study: LabelStudy, protocol_of: ProtocolOf) -> Iterator[Verdict]:
    table = study.table
    places = place_differences(table.panel.encoder, table.chain)
    for row in table.rows:
        for entry in row.entries:
            if entry.cell is not None and table.paper is not None:
                protocol = protocol_of([entry.cell], "labels", places)
                published, cell = _published(row, entry.cell), entry.cell
                what = _place_of(row, cell)
                yield from _number("Table 2", what, published, cell.estimate, protocol)
    if table.paper is not None:
        yield from _claims(label_claims(study), "labels", protocol_of)


def _published(row: LabelRow, cell: Cell) -> float | None:
    return None if row.budget == "steps" else label_fraction(row.method, cell.label_fraction)


def _place_of(row: LabelRow, cell: Cell) -> str:
    return f"{method_text(row.method, row.budget)}, {share_text(cell.label_fraction)}"


def by_reason(found: Iterable[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """Verdicts that share the reason why they are no comparison; the reason is empty for those."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in found:
        groups.setdefault(verdict.because, []).append(verdict)
    return list(groups.items())


def summary_text(found: Iterable[Verdict]) -> str:
    """How many of what the paper prints came out how, in a sentence."""
    outcomes = [verdict.outcome for verdict in found]
    told = [f"{outcomes.count(outcome)} {outcome}" for outcome in OUTCOMES if outcome in outcomes]
    return f"Published numbers and claims: {', '.join(told)}."


def verdicts_frame(found: Iterable[Verdict]) -> pd.DataFrame:
    """Verdicts as a table, a row each."""
    return pd.DataFrame([verdict._asdict() for verdict in found], columns=list(Verdict._fields))
