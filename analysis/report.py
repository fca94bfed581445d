"""A run folder to a report: pictures, tables, Markdown, LaTeX, and a page that ties them together.

Everything is made from records, at any moment of a run; equal records give equal files.
"""

import shlex
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.bundle import run_name
from analysis.cells import cells_frame
from analysis.cost import find_cost
from analysis.curves import curves_frame
from analysis.drawings import drawings_of
from analysis.effects import effects_frame
from analysis.frames import STATES, RunFrames, load_run
from analysis.input_table import input_frame
from analysis.label_table import label_frame
from analysis.latex import table_tex
from analysis.layout import Beside, TextTable, input_layout, label_layout
from analysis.markdown import Remarks, report_markdown
from analysis.matrices import matrix_frame
from analysis.matrix_layout import matrix_layout, scalars_layout
from analysis.notes import failures_of, notes_of
from analysis.page import MOST_TRIALS, report_page, template
from analysis.stability import stability_frame
from analysis.studies import (
    Findings,
    InputStudy,
    LabelStudy,
    MatrixStudy,
    Section,
    find,
    first,
    protocol_of,
)
from analysis.table_files import table_files
from analysis.trial_page import TRIALS, address, trial_pages
from analysis.verdicts import Verdict, verdicts_frame, verdicts_of
from analysis.wording import count, states_text
from clar_sweeps.collector import paused
from clar_sweeps.records import State, write_aside, write_atomically

# In the tables of the page and the Markdown; trials.csv has them all.
MOST_FAILURES = 100
# Drawn and shown; a sweep may have hundreds of settings, and the CSV files have them all.
MOST_STUDIES = 12


class Report(NamedTuple):
    """What was written, and the numbers of a line in a terminal."""

    page: Path
    files: tuple[Path, ...]  # the page first
    counts: dict[State, int]  # trials, all five states
    num_trials: int
    headlines: tuple[str, ...]  # a sentence or two a panel or table
    protocols: tuple[str, ...]  # below each of them how far it is from the paper; may be empty

    @property
    def states(self) -> str:
        """How many trials are in which state."""
        return f"{count(self.num_trials, 'trial')}: {states_text(self.counts)}"

    def __str__(self) -> str:
        """What a terminal shows: the results, the states, and where the page is."""
        pairs = zip(self.headlines, self.protocols, strict=True)
        told = [line for pair in pairs for line in pair if line]
        return "\n".join([*told, self.states, f"report: {self.page}"])


def write_report(run: Path, out: Path | None = None) -> Report:
    """Write the report of a run, each file at once or not at all.

    Args:
        run: A run folder.
        out: Folder of the report; `report` in the run folder if not given.

    Raises:
        RecordError: The run folder has no plan, or one that cannot be read.
    """
    frames = load_run(run)
    folder = out if out is not None else run / "report"
    everything = find(frames)
    findings = first(everything, MOST_STUDIES)
    drawings = drawings_of(findings)
    tables = _text_tables(findings)
    counts = {state: int((frames.trials["state"] == state).sum()) for state in STATES}
    all_verdicts = verdicts_of(everything, protocol_of(frames, everything))
    # Those of hundreds of settings are for the CSV file.
    is_all = not _not_shown(everything)
    verdicts = all_verdicts if is_all else verdicts_of(findings, protocol_of(frames, findings))
    contents = _tables(frames, everything, all_verdicts)
    for drawing in drawings:
        contents[f"{drawing.name}.png"] = drawing.png
        contents[f"{drawing.name}.svg"] = drawing.svg
        contents[f"{drawing.name}.pdf"] = drawing.pdf
    for table in [*tables, *_matrix_tables(findings)]:
        contents[f"{table.name}.tex"] = table_tex(table).encode()
    failures = failures_of(frames)
    cost = find_cost(run, (*frames.sweep.baselines, *frames.sweep.trials))
    remarks = Remarks(
        counts=f"{count(len(frames.trials), 'trial')}: {states_text(counts)}.",
        notes=[
            *_not_shown(everything),
            *notes_of(frames, everything),
            *([f"No prediction of the cost: {cost.fault}"] if cost.fault else []),
        ],
        failures=failures[:MOST_FAILURES],
        num_failures=len(failures),
        provenance=[(name, ", ".join(texts)) for name, texts in frames.provenance.items()],
        command=_command(run_name(run)),
        cost=[row.texts for row in cost.rows],
    )
    contents["report.md"] = report_markdown(
        frames,
        findings,
        tables=tables,
        verdicts=verdicts,
        pictures=[drawing.name for drawing in drawings],
        remarks=remarks,
    ).encode()
    pages = trial_pages(
        run, frames, islice(everything.trials.rows, MOST_TRIALS), template("trial.html.j2")
    )
    page = report_page(
        frames,
        findings,
        tables=tables,
        verdicts=verdicts,
        drawings=drawings,
        counts=counts,
        remarks=remarks,
        names=list(contents),
        pages={trial: address(trial) for trial in pages},
    )
    contents["index.html"] = page.encode()
    _write_pages(folder, pages)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    names = ["index.html", *(name for name in contents if name != "index.html")]
    return Report(
        page=folder / "index.html",
        files=tuple(folder / name for name in names),
        counts=counts,
        num_trials=len(frames.trials),
        headlines=findings.headlines,
        protocols=findings.protocols,
    )


def _write_pages(folder: Path, pages: Mapping[str, str]) -> None:
    """Write the pages of trials, and remove those of trials that are no longer among them.

    Each stands whole or not at all, but is not waited for on its way to the disk: hundreds would
    take seconds, and a report can be written again.
    """
    place = folder / TRIALS
    place.mkdir(parents=True, exist_ok=True)
    for trial, page in pages.items():
        path = folder / address(trial)
        write_aside(path, page.encode(), sync=False).replace(path)
    for path in place.glob(f"{'[0-9a-f]' * 12}.html"):  # no page of somebody else's
        if path.stem not in pages:
            path.unlink()


def _not_shown(findings: Findings) -> list[str]:
    number = len([*findings.matrices, *findings.inputs, *findings.labels])
    if number <= MOST_STUDIES:
        return []
    return [
        f"The first {MOST_STUDIES} of {number} settings are shown; the CSV files have them all."
    ]


def _command(name: str) -> str:
    """How to make the report again, the same for a run folder and its bundle wherever they lie."""
    folder, bundle = shlex.quote(name), shlex.quote(f"{name}.zip")
    return (
        f"clar-sweep report {folder}\n"
        f"clar-sweep report {bundle}  "
        f"# made by: clar-sweep report {folder} --bundle {bundle}"
    )


def _text_tables(findings: Findings) -> list[TextTable]:
    """The tables that stand beside published numbers."""
    return [
        *(
            scalars_layout(
                [section.matrices[0] for section in study.sections],
                _beside(study, "matrix_means", ("The paper prints no single cell of Figure 4.",)),
            )
            for study in findings.matrices
        ),
        *(input_layout(study.table, _beside(study, "input_table")) for study in findings.inputs),
        *(label_layout(study.table, _beside(study, "label_table")) for study in findings.labels),
    ]


def _matrix_tables(findings: Findings) -> list[TextTable]:
    """Every matrix as a table, for LaTeX."""
    return [
        matrix_layout(
            matrix,
            _beside(study, f"matrix_{matrix.metric}_{section.panel.encoder[-2:]}"),
        )
        for study in findings.matrices
        for section in study.sections
        for matrix in section.matrices
    ]


def _beside(
    study: MatrixStudy | InputStudy | LabelStudy, name: str, notes: Sequence[str] = ()
) -> Beside:
    return Beside(
        name=f"{name}{study.ending}",
        protocol=str(study.protocol),
        is_papers=study.protocol.is_papers,
        notes=(*notes, *study.footnotes),
    )


@paused()
def _tables(frames: RunFrames, findings: Findings, verdicts: Sequence[Verdict]) -> dict[str, bytes]:
    """CSV and Parquet files; metrics are fractions there."""
    tables = {"trials": frames.trials, "history": frames.history}
    tables["cells"] = cells_frame(findings.trials)
    matrices = [matrix for section in findings.sections for matrix in section.matrices]
    if matrices:
        tables["matrix"] = matrix_frame(matrices)
        tables |= _statistics(findings.sections)
    if findings.inputs:
        tables["input_table"] = input_frame([study.table for study in findings.inputs])
    if findings.labels:
        tables["label_table"] = label_frame([study.table for study in findings.labels])
        tables["learning_curves"] = curves_frame([study.curves for study in findings.labels])
    if verdicts:
        tables["verdicts"] = verdicts_frame(verdicts)
    return table_files(tables)


def _statistics(sections: Sequence[Section]) -> dict[str, pd.DataFrame]:
    """What the seeds tell of each matrix, and how early the ranking of its cells is there."""
    found = [effects for section in sections for effects in section.effects]
    stability = [section.stability for section in sections if section.stability is not None]
    return {
        "effects": effects_frame(found),
        "rank_stability": stability_frame(stability),
    }
