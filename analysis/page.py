"""The report as one HTML page that needs nothing beside it, and the page that links all reports."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from analysis.cells import Row
from analysis.cost import HEADER
from analysis.figures import Drawing
from analysis.frames import STATES, TEST_METRICS, RunFrames
from analysis.layout import TextTable
from analysis.markdown import Remarks
from analysis.matrix_view import matrix_views, palette
from analysis.protocol import Protocol
from analysis.studies import Findings
from analysis.verdicts import Verdict, by_reason, summary_text
from analysis.wording import METRIC_NAMES, chain_codes, method_text, percent, state_text
from clar_sweeps.records import State

# Of a figure on the page: its smaller texts stay readable there.
PIXELS_PER_POINT = 1.55
# A browser is slow with a table of ten thousand rows; trials.csv has them all.
MOST_TRIALS = 500


class Figure(NamedTuple):
    """A drawing within a page."""

    name: str
    caption: str
    svg: Markup
    width: int  # pixels at which its texts are as large as the page's


class IndexEntry(NamedTuple):
    """One run on the page of all runs."""

    name: str
    address: str  # of its page; empty where there is none
    headlines: tuple[str, ...]
    protocols: tuple[str, ...]  # the line below each headline; may be empty
    states: str
    fault: str  # why there is no report


def report_page(
    frames: RunFrames,
    findings: Findings,
    *,
    tables: Sequence[TextTable],
    verdicts: Sequence[Verdict],
    drawings: Sequence[Drawing],
    counts: Mapping[State, int],
    remarks: Remarks,
    names: Sequence[str],
    pages: Mapping[str, str],
) -> str:
    """The page of one run.

    Args:
        frames: The run.
        findings: Its numbers.
        tables: Those that stand beside published numbers.
        verdicts: On what the paper prints.
        drawings: In their order.
        counts: Trials by state.
        remarks: What stands beside the numbers.
        names: Of the files that lie beside the page.
        pages: Address of a trial's page by id, of those that have one.
    """
    matrices = findings.matrices
    shown = [section for study in matrices for section in study.sections]
    rows = {str(row["id"]): row for row in findings.trials.rows}
    main, aside = (
        [figure_of(drawing) for drawing in drawings if drawing.is_aside == wanted]
        for wanted in (False, True)
    )
    return template("report.html.j2").render(
        sweep=frames.sweep,
        findings=findings,
        sections=findings.sections,
        views=matrix_views(shown, rows, pages),
        palette=palette(shown),
        pages=pages,
        protocols=_protocols(findings),
        tables=tables,
        verdicts=by_reason(verdicts),
        verdict_summary=summary_text(verdicts),
        state_counts=counts,
        num_trials=len(frames.trials),
        main_figures=main,
        further_figures=aside,
        trials=[_shown(row) for row in frames.trials[:MOST_TRIALS].to_dict("records")],
        has_methods=frames.study == "labels",
        has_panels=len(set(frames.trials["panel"])) > 1,
        metrics=TEST_METRICS,
        metric_names=METRIC_NAMES,
        files=sorted(names),
        cost_header=HEADER,
        **remarks._asdict(),
    )  # fmt: skip


def index_page(entries: Sequence[IndexEntry]) -> str:
    """The page that links the reports of all runs."""
    return template("runs.html.j2").render(entries=entries)


def _protocols(findings: Findings) -> list[Protocol]:
    """What differs from the paper, once where studies share it."""
    found = [study.protocol for study in findings.matrices]
    found += [study.protocol for study in findings.inputs]
    found += [study.protocol for study in findings.labels]
    return list(dict.fromkeys(found))


@cache
def template(name: str) -> jinja2.Template:
    """A page to be filled in."""
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
    return environment.get_template(name)


def figure_of(drawing: Drawing) -> Figure:
    """A drawing as a page shows it."""
    return Figure(
        name=drawing.name,
        caption=drawing.caption,
        svg=inline_svg(drawing.svg),
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
    method: str
    share: str
    state: State
    state_text: str


def _shown(row: Row) -> _Shown:
    values = {str(name): value for name, value in row.items()}
    state = next(state for state in STATES if state == values["state"])
    text = state_text(state, epoch=int(str(values["epoch"])), epochs=int(str(values["epochs"])))
    share = float(str(values["label_fraction"]))
    return _Shown(
        row=values,
        chain=chain_codes(str(values["chain"]).split("+")),
        method=method_text(str(values["method"]), str(values["supervised_budget"])),
        share="–" if pd.isna(share) else f"{100 * share:g}",
        state=state,
        state_text="missing" if state == "missing" else text,
    )
