"""Everything that a report shows of a run, as numbers: one study of the paper, or more of one."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from analysis.answers import answers
from analysis.cells import (
    Cell,
    Panel,
    TrialRows,
    best_cell,
    cells,
    side_by_side,
    untrained_estimate,
)
from analysis.clips import clips_of
from analysis.curves import Evaluations, LearningCurves, evaluations, learning_curves
from analysis.effects import Effects, effects
from analysis.footnotes import footnotes_of_inputs, footnotes_of_labels, footnotes_of_pairs
from analysis.frames import TEST_METRICS, RunFrames, Study
from analysis.headlines import inputs_headline, labels_headline, pairs_headline
from analysis.input_table import InputTable, input_tables
from analysis.label_table import LabelTable, label_tables
from analysis.matrices import PairMatrix, pair_matrix
from analysis.protocol import (
    Difference,
    Protocol,
    compare,
    operation_differences,
    place_differences,
)
from analysis.stability import Evaluated, RankStability, rank_stability, take_apart
from analysis.stats import estimate
from analysis.wording import data_text
from clar_sweeps.collector import paused

MAIN_METRIC = TEST_METRICS[0]

# Compares the trials of some cells with the paper's protocol, for a study and its places.
ProtocolOf = Callable[[Sequence[Cell], Study, Sequence[Difference]], Protocol]


class Section(NamedTuple):
    """One panel with its cells."""

    panel: Panel
    cells: list[Cell]
    matrices: list[PairMatrix]  # one a metric; empty without a pairs axis
    effects: list[Effects]  # of each matrix, from all its seeds
    stability: RankStability | None  # of the main metric; None without a matrix
    best: Cell | None
    untrained: float
    mean: float
    headline: str

    @property
    def done(self) -> list[float]:
        """Test top-1 of the cells that have a result."""
        return [cell.estimate.mean for cell in self.cells if cell.estimate.n]

    @property
    def answers(self) -> list[str]:
        """What the seeds say, in sentences; empty without a matrix."""
        return answers(self.effects[0], self.stability) if self.effects else []


class MatrixStudy(NamedTuple):
    """Matrices of one dataset and setting, an encoder each, left to right."""

    ending: str  # of the names of its files
    sections: list[Section]
    protocol: Protocol
    footnotes: tuple[str, ...]


class InputStudy(NamedTuple):
    """Table 1 with what stands beside it."""

    ending: str
    table: InputTable
    protocol: Protocol
    footnotes: tuple[str, ...]


class LabelStudy(NamedTuple):
    """Table 2 and Figure 5 with what stands beside them."""

    ending: str
    table: LabelTable
    curves: LearningCurves
    evaluated: Evaluations  # of all trials of the run
    protocol: Protocol
    footnotes: tuple[str, ...]


class Findings(NamedTuple):
    """All studies of a run; two of the three lists are empty."""

    trials: TrialRows
    matrices: list[MatrixStudy]
    inputs: list[InputStudy]
    labels: list[LabelStudy]
    sections: list[Section]  # panels of matrices and of Table 1
    headlines: tuple[str, ...]
    # What the results are not, a line each headline; empty where the next one has the same line.
    protocols: tuple[str, ...]


@paused()
def find(frames: RunFrames) -> Findings:
    """Compute all that is shown of a run."""
    trials = TrialRows(frames.trials)
    if frames.study == "labels":
        return _findings(trials, [], [], _label_studies(frames, trials), [])
    evaluated = take_apart(frames.history, MAIN_METRIC)
    sections = [_section(frames, trials, panel, evaluated) for panel in trials.panels]
    if frames.study == "pairs":
        return _findings(trials, _matrix_studies(frames, trials, sections), [], [], sections)
    return _findings(trials, [], _input_studies(frames, trials), [], sections)


def first(findings: Findings, number: int) -> Findings:
    """So many studies of a run, with their sections; hundreds are for the CSV files."""
    matrices, inputs = findings.matrices[:number], findings.inputs[:number]
    shown = {section.panel for study in matrices for section in study.sections}
    ids = {
        trial
        for study in inputs
        for row in study.table.rows
        for entry in row.entries
        if entry.cell
        for trial in entry.cell.ids
    }
    sections = [
        section
        for section in findings.sections
        if section.panel in shown or any(ids.intersection(cell.ids) for cell in section.cells)
    ]
    return _findings(findings.trials, matrices, inputs, findings.labels[:number], sections)


def _findings(
    trials: TrialRows,
    matrices: list[MatrixStudy],
    inputs: list[InputStudy],
    labels: list[LabelStudy],
    sections: list[Section],
) -> Findings:
    """Studies with their headlines: one a panel of matrices, one a table."""
    by_panel = {section.panel: study.protocol for study in matrices for section in study.sections}
    if matrices:
        headlines = [section.headline for section in sections]
        protocols = [by_panel[section.panel] for section in sections]
    else:
        headlines = [inputs_headline(study.table) for study in inputs]
        headlines += [labels_headline(study.table) for study in labels]
        protocols = [study.protocol for study in inputs] + [study.protocol for study in labels]
    below = _below(protocols)
    return Findings(trials, matrices, inputs, labels, sections, tuple(headlines), below)


def _below(protocols: Sequence[Protocol]) -> tuple[str, ...]:
    """The line below each headline, said once for neighbours that share it."""
    lines = [protocol.short for protocol in protocols]
    following = [*lines[1:], ""]
    return tuple(
        "" if line == after else line for line, after in zip(lines, following, strict=True)
    )


def _section(frames: RunFrames, trials: TrialRows, panel: Panel, evaluated: Evaluated) -> Section:
    found = cells(trials, panel)
    best = best_cell(found)
    untrained = untrained_estimate(trials, panel, MAIN_METRIC).mean
    mean = estimate([cell.estimate.mean for cell in found if cell.estimate.n]).mean
    text = pairs_headline(panel, found, best=best, untrained=untrained, mean=mean)
    matrices = _matrices(frames, trials, panel) if frames.sweep.operations else []
    return Section(
        panel=panel,
        cells=found,
        matrices=matrices,
        effects=[effects(trials, one.operations, panel, one.metric) for one in matrices],
        stability=rank_stability(trials, evaluated, panel) if matrices else None,
        best=best,
        untrained=untrained,
        mean=mean,
        headline=text,
    )


def _matrices(frames: RunFrames, trials: TrialRows, panel: Panel) -> list[PairMatrix]:
    """One matrix a metric; beside the main one those that have a number at all."""
    made = [pair_matrix(trials, frames.sweep.operations, panel, metric) for metric in TEST_METRICS]
    return [matrix for matrix in made if matrix.metric == MAIN_METRIC or matrix.num_cells]


def _matrix_studies(
    frames: RunFrames, trials: TrialRows, sections: Sequence[Section]
) -> list[MatrixStudy]:
    by_panel = {section.panel: section for section in sections}
    groups = side_by_side(list(by_panel))
    studies = []
    for group in groups:
        shown = [by_panel[panel] for panel in group]
        found = [cell for section in shown for cell in section.cells]
        places = operation_differences(frames.sweep.operations)
        protocol = _compare(frames, trials, found, "pairs", places)
        footnotes = footnotes_of_pairs(frames.sweep.operations, [panel.encoder for panel in group])
        text = f"{data_text(group[0])} {group[0].setting}"
        studies.append(MatrixStudy(_ending(text, groups), shown, protocol, footnotes))
    return studies


def _input_studies(frames: RunFrames, trials: TrialRows) -> list[InputStudy]:
    tables = input_tables(trials)
    studies = []
    for table in tables:
        found = [entry.cell for row in table.rows for entry in row.entries if entry.cell]
        protocol = _compare(frames, trials, found, "inputs", ())
        rows = [(row.encoder, row.chain) for row in table.rows]
        columns = [column.paper.name for column in table.columns if column.paper]
        footnotes = footnotes_of_inputs(rows, columns)
        studies.append(InputStudy(_ending(table.setting, tables), table, protocol, footnotes))
    return studies


def _label_studies(frames: RunFrames, trials: TrialRows) -> list[LabelStudy]:
    tables, evaluated = label_tables(trials), evaluations(frames.history)
    studies = []
    for table in tables:
        found = [entry.cell for row in table.rows for entry in row.entries if entry.cell]
        places = place_differences(table.panel.encoder, table.chain)
        protocol = _compare(frames, trials, found, "labels", places)
        text = f"{table.panel.label} {'-'.join(table.chain)}"
        studies.append(
            LabelStudy(
                _ending(text, tables),
                table,
                learning_curves(trials, evaluated, table),
                evaluated,
                protocol,
                footnotes_of_labels([row.method for row in table.rows]) if table.paper else (),
            )
        )
    return studies


def protocol_of(frames: RunFrames, findings: Findings) -> ProtocolOf:
    """How cells of a run compare with the paper's protocol."""
    return partial(_compare, frames, findings.trials)


def _compare(
    frames: RunFrames,
    trials: TrialRows,
    found: Sequence[Cell],
    study: Study,
    places: Sequence[Difference],
) -> Protocol:
    ids = [trial for cell in found for trial in cell.ids]
    return compare(
        [frames.configs[trial] for trial in ids],
        study=study,
        clips=clips_of(trials.named(ids)),
        places=places,
        num_seeds=max((cell.estimate.n for cell in found), default=0),
    )


def _ending(text: str, all_of_a_kind: Sequence[object]) -> str:
    """What tells the files of one study from those of the others; empty where there is one."""
    slug = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
    return f"_{slug}" if len(all_of_a_kind) > 1 else ""
