from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.axes import Axes
from read_report import svg_texts
from written_run import Run

from analysis.figures import draw_input_table
from analysis.figures import gains as gains_figure
from analysis.frames import load_run
from analysis.input_table import input_tables
from analysis.report import write_report
from analysis.studies import find
from clar_sweeps.config import Trial

MakeTrial = Callable[..., Trial]


def test_the_figure_of_gains_says_what_it_shows(square: Run, make: MakeTrial) -> None:
    square.done(make("FD", "TM", seed=1), test=0.88)
    square.untrained(make("FD", "TM", seed=1), test=0.40)
    write_report(square.path)
    texts = svg_texts(square.path / "report" / "gain.svg")
    assert "test top-1 minus that of the untrained encoder, points" in texts
    assert "points; whiskers: 95% t-interval" in texts


def test_the_axis_of_gains_ends_at_100_points(square: Run, make: MakeTrial) -> None:
    square.done(make("FD", "TM", seed=1), test=0.10)
    square.untrained(make("FD", "TM", seed=1), test=0.40)
    (section,) = find(load_run(square.path)).sections
    half = max(cell.gain.half_width for cell in section.cells if cell.gain.n > 1)
    assert half > 1  # of two seeds, far apart
    assert gains_figure._reach(section.cells) == (-100.0, 100.0)


def test_marks_at_the_edge_are_not_cut(
    run: Run, make: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipped = []
    plot = Axes.plot

    def watched(axes: Axes, *arguments: Any, **style: Any) -> Any:
        lines = plot(axes, *arguments, **style)
        clipped.extend(line.get_clip_on() for line in lines if line.get_marker() != "None")
        return lines

    monkeypatch.setattr(Axes, "plot", watched)
    run.plan(make("FD", "TM", dataset="sc10"))
    run.done(make("FD", "TM", dataset="sc10"), test=0.05)
    (table,) = input_tables(load_run(run.path).trials)
    draw_input_table(table, "a_name")
    assert clipped == [False, False]  # ours and the paper's


def test_print_figures_have_their_fonts_within(square: Run) -> None:
    report = write_report(square.path)
    pdf = (report.page.parent / "matrix_test_top1.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
