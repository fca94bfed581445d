"""A run folder to a report: pictures, tables, Markdown, and a page that ties them together.

Everything is made from records, at any moment of a run; equal records give equal files.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from analysis.figures import Drawing, draw_gains, draw_matrices
from analysis.frames import STATES, TEST_METRICS, RunFrames, load_run
from analysis.markdown import Remarks, report_markdown
from analysis.matrices import (
    Cell,
    PairMatrix,
    Panel,
    best_cell,
    cells,
    cells_frame,
    matrix_frame,
    pair_matrix,
    panels,
    side_by_side,
    untrained_estimate,
)
from analysis.published import load_published
from analysis.stats import estimate
from analysis.wording import (
    METRIC_NAMES,
    chain_codes,
    count,
    data_text,
    headline,
    percent,
    seeds_text,
    state_text,
    states_text,
)
from clar_sweeps.records import State, write_atomically

# Of a figure on the page: its smaller texts stay readable there.
PIXELS_PER_POINT = 1.55
MAIN_METRIC = TEST_METRICS[0]


class Report(NamedTuple):
    """What was written, and the numbers of a line in a terminal."""

    page: Path
    files: tuple[Path, ...]  # the page first
    counts: dict[State, int]  # trials, all five states
    num_trials: int
    headlines: tuple[str, ...]  # a sentence or two a panel

    def __str__(self) -> str:
        """What a terminal shows: the results, the states, and where the page is."""
        states = states_text(self.counts)
        trials = count(self.num_trials, "trial")
        return "\n".join([*self.headlines, f"{trials}: {states}", f"report: {self.page}"])


class _Section(NamedTuple):
    """One panel with everything that is shown of it."""

    panel: Panel
    cells: list[Cell]
    matrices: list[PairMatrix]  # one a metric; empty without a pairs axis
    best: Cell | None
    untrained: float
    mean: float
    headline: str

    @property
    def done(self) -> list[float]:
        return [cell.estimate.mean for cell in self.cells if cell.estimate.n]


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
    sections = _sections(frames)
    drawings = _drawings(frames, sections)
    contents = _tables(frames, sections)
    for drawing in drawings:
        contents[f"{drawing.name}.png"] = drawing.png
        contents[f"{drawing.name}.svg"] = drawing.svg
    remarks = Remarks(
        counts=f"{count(len(frames.trials), 'trial')}: {states_text(_counts(frames.trials))}.",
        notes=_notes(frames, sections),
        failures=_failures(frames),
        provenance=[(name, ", ".join(texts)) for name, texts in frames.provenance.items()],
        command=_command(run, out),
    )
    contents["report.md"] = report_markdown(
        frames,
        headlines=[section.headline for section in sections],
        sections=[(section.panel, section.cells, section.matrices) for section in sections],
        remarks=remarks,
        pictures=[drawing.name for drawing in drawings],
    ).encode()
    contents["index.html"] = _page(frames, sections, drawings, remarks, list(contents)).encode()
    for name, content in contents.items():
        write_atomically(folder / name, content)
    names = ["index.html", *(name for name in contents if name != "index.html")]
    return Report(
        page=folder / "index.html",
        files=tuple(folder / name for name in names),
        counts=_counts(frames.trials),
        num_trials=len(frames.trials),
        headlines=tuple(section.headline for section in sections),
    )


def _command(run: Path, out: Path | None) -> str:
    parts = ["clar-sweep", "report", str(run)]
    return shlex.join(parts if out is None else [*parts, "--out", str(out)])


def _sections(frames: RunFrames) -> list[_Section]:
    sections = []
    for panel in panels(frames.trials):
        found = cells(frames.trials, panel)
        best = best_cell(found)
        untrained = untrained_estimate(frames.trials, panel, MAIN_METRIC).mean
        mean = estimate([cell.estimate.mean for cell in found if cell.estimate.n]).mean
        text = headline(panel, found, best=best, untrained=untrained, mean=mean)
        matrices = _matrices(frames, panel) if frames.sweep.operations else []
        sections.append(_Section(panel, found, matrices, best, untrained, mean, text))
    return sections


def _matrices(frames: RunFrames, panel: Panel) -> list[PairMatrix]:
    """One matrix a metric; beside the main one those that have a number at all."""
    made = [
        pair_matrix(frames.trials, frames.sweep.operations, panel, metric)
        for metric in TEST_METRICS
    ]
    return [matrix for matrix in made if matrix.metric == MAIN_METRIC or matrix.num_cells]


def _drawings(frames: RunFrames, sections: Sequence[_Section]) -> list[Drawing]:
    """Matrices of each metric with the encoders side by side, and the gains."""
    by_panel = {section.panel: section for section in sections}
    groups = side_by_side(list(by_panel))
    drawings = []
    for panel_group in groups:
        group = [by_panel[panel] for panel in panel_group]
        ending = f"_{_slug(panel_group[0])}" if len(groups) > 1 else ""
        for metric in TEST_METRICS:
            chosen = [
                matrix for section in group for matrix in section.matrices
                if matrix.metric == metric
            ]  # fmt: skip
            if chosen:
                drawings.append(draw_matrices(chosen, f"matrix_{metric}{ending}"))
        gains = [(section.panel, section.cells) for section in group]
        if any(cell.gain.n for _, found in gains for cell in found):
            drawings.append(draw_gains(gains, f"gain{ending}"))
    return drawings


def _slug(panel: Panel) -> str:
    text = f"{data_text(panel)} {panel.setting}".lower()
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-")


def _tables(frames: RunFrames, sections: Sequence[_Section]) -> dict[str, bytes]:
    """CSV files; metrics are fractions there."""
    tables = {"trials.csv": frames.trials, "history.csv": frames.history}
    tables["cells.csv"] = cells_frame(frames.trials)
    matrices = [matrix for section in sections for matrix in section.matrices]
    if matrices:
        tables["matrix.csv"] = matrix_frame(matrices)
    return {
        name: frame.to_csv(index=False, lineterminator="\n").encode()
        for name, frame in tables.items()
    }


def _counts(trials: pd.DataFrame) -> dict[State, int]:
    return {state: int((trials["state"] == state).sum()) for state in STATES}


def _notes(frames: RunFrames, sections: Sequence[_Section]) -> list[str]:
    """What a reader must know to read the numbers rightly."""
    notes = []
    seeds = seeds_text([cell for section in sections for cell in section.cells])
    if seeds:
        notes.append(seeds)
        notes.append(
            "The best cell is chosen on validation top-1 and reported on test, so it need not be "
            "the highest of the test numbers."
        )
    if any(not cell.estimate.n for section in sections for cell in section.cells):
        notes.append(
            "A cell without a result is in no mean; a mean that misses cells says how many it has."
        )
    extra = int((~frames.trials["planned"]).sum())
    if extra:
        notes.append(f"{count(extra, 'trial')} at seeds beside those of the plan included.")
    if frames.num_left_out:
        verb = "is" if frames.num_left_out == 1 else "are"
        notes.append(f"{count(frames.num_left_out, 'record')} of other configs {verb} left out.")
    if frames.sweep.operations:
        notes.append(_published_note())
    notes += [f"A record cannot be read and is left out: {fault}" for fault in frames.unreadable]
    notes += [f"No untrained encoder: {fault}" for fault in frames.untrained_faults]
    return notes


def _published_note() -> str:
    """What the paper prints of its matrices; of another dataset than any that can be run here."""
    published = load_published()
    figure = published[published["table"] == "Figure 4"]
    told = ", ".join(
        f"{row['column']} of {row['row']} {row['value']:.1f} %"
        for _, row in figure[figure["column"].isin(["mean", "max"])].iterrows()
    )
    return (
        f"{figure['source'].iloc[0]}, Figure 4, on the ten digits of Speech Commands after 1000 "
        f"epochs: {told}; no single cell is printed. Another dataset: no target for this run."
    )


def _failures(frames: RunFrames) -> list[tuple[str, str, str]]:
    ended_badly = frames.trials[frames.trials["state"].isin(["failed", "diverged"])]
    return [
        (str(row["name"]), str(row["state"]), "" if pd.isna(row["note"]) else str(row["note"]))
        for _, row in ended_badly.iterrows()
    ]


def _page(
    frames: RunFrames,
    sections: Sequence[_Section],
    drawings: Sequence[Drawing],
    remarks: Remarks,
    names: Sequence[str],
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=lambda value: percent(None if pd.isna(value) else value),
        seconds=lambda value: "–" if pd.isna(value) else f"{value:,.1f}",
        chain=chain_codes,
    )
    figures = [_figure(drawing) for drawing in drawings]
    return environment.get_template("index.html.j2").render(
        sweep=frames.sweep,
        sections=sections,
        state_counts=_counts(frames.trials),
        num_trials=len(frames.trials),
        main_figures=[figure for figure in figures if not figure.aside],
        further_figures=[figure for figure in figures if figure.aside],
        trials=[_shown(row) for _, row in frames.trials.iterrows()],
        metrics=TEST_METRICS,
        metric_names=METRIC_NAMES,
        files=sorted(names),
        **remarks._asdict(),
    )


class _Figure(NamedTuple):
    name: str
    caption: str
    svg: Markup
    aside: bool  # folded away at first
    width: int  # pixels at which its texts are as large as the page's


def _figure(drawing: Drawing) -> _Figure:
    metric = next((name for name in TEST_METRICS if name in drawing.name), None)
    labels = "; ".join(panel.label for panel in drawing.panels)
    if metric is None:
        caption = f"Gain of each cell over the untrained encoder: {labels}"
    else:
        caption = f"Test top-1 of all pairs, {METRIC_NAMES[metric]}: {labels}"
    return _Figure(
        name=drawing.name,
        caption=caption,
        svg=inline_svg(drawing.svg),
        aside=metric not in (MAIN_METRIC, None),
        width=round(PIXELS_PER_POINT * drawing.width_points),
    )


def inline_svg(svg: bytes) -> Markup:
    """An SVG document as an element of a page.

    Without its prologue, its metadata, and the ids of groups: two figures would share them.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    # Matplotlib escapes what it writes into a text element.
    return Markup(text)


class _Shown(NamedTuple):
    """A row of the page's table of trials."""

    row: dict[str, object]
    chain: str
    state: State
    state_text: str


def _shown(row: "pd.Series[Any]") -> _Shown:
    values = {str(name): value for name, value in row.items()}
    state = next(state for state in STATES if state == values["state"])
    text = state_text(state, epoch=int(str(values["epoch"])), epochs=int(str(values["epochs"])))
    return _Shown(
        row=values,
        chain=chain_codes(str(values["chain"]).split("+")),
        state=state,
        state_text="missing" if state == "missing" else text,
    )
