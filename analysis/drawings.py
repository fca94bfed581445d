"""The figures of a report: every study's pictures, each with what differs from the paper."""

from analysis.figures import (
    Drawing,
    draw_curves,
    draw_effects,
    draw_gains,
    draw_input_table,
    draw_label_table,
    draw_matrices,
    draw_stability,
)
from analysis.frames import TEST_METRICS
from analysis.studies import MAIN_METRIC, Findings, MatrixStudy
from clar_sweeps.collector import frozen


@frozen()
def drawings_of(findings: Findings) -> list[Drawing]:
    """Draw every figure, with the line that says what differs from the paper."""
    drawings: list[Drawing] = []
    for matrices in findings.matrices:
        drawings += _matrix_drawings(matrices)
    for inputs in findings.inputs:
        note = str(inputs.protocol)
        drawings.append(draw_input_table(inputs.table, f"input_table{inputs.ending}", note=note))
    for labels in findings.labels:
        note = str(labels.protocol)
        drawings.append(draw_label_table(labels.table, f"label_table{labels.ending}", note=note))
        drawings.append(draw_curves(labels.curves, f"learning_curves{labels.ending}", note=note))
    return drawings


def _matrix_drawings(study: MatrixStudy) -> list[Drawing]:
    """Matrices of each metric with the encoders side by side, and the gains."""
    drawings = []
    for metric in TEST_METRICS:
        chosen = [
            matrix
            for section in study.sections
            for matrix in section.matrices
            if matrix.metric == metric
        ]
        if chosen:
            drawings.append(
                draw_matrices(
                    chosen,
                    f"matrix_{metric}{study.ending}",
                    note=str(study.protocol),
                    is_aside=metric != MAIN_METRIC,
                )
            )
    gains = [(section.panel, section.cells) for section in study.sections]
    if any(cell.gain.n for _, found in gains for cell in found):
        drawings.append(draw_gains(gains, f"gain{study.ending}"))
    effects = [section.effects[0] for section in study.sections if section.effects[0].seeds]
    if effects:
        drawings.append(draw_effects(effects, f"effects{study.ending}"))
    paths = [one.stability for one in study.sections if one.stability is not None]
    paths = [path for path in paths if len(path.epochs) > 1]
    if paths:
        drawings.append(draw_stability(paths, f"rank_stability{study.ending}"))
    return drawings
