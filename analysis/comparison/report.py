"""Two runs to a comparison: page, Markdown, CSV, matrices of differences."""

import shlex
from pathlib import Path
from typing import NamedTuple

from analysis.bundle import run_name
from analysis.comparison.cells import CellPair, comparison_frame, pair_cells
from analysis.comparison.matrices import DifferenceMatrix, difference_matrices
from analysis.comparison.page import Shown, Side, comparison_markdown, comparison_page
from analysis.comparison.protocols import unlike
from analysis.comparison.tables import panel_tables
from analysis.comparison.wording import headlines, tiles, unlike_text
from analysis.figures import Drawing
from analysis.figures.differences import draw_differences
from analysis.frames import STATES, TEST_METRICS, RunFrames, load_run
from analysis.table_files import table_files
from analysis.wording import count, states_text
from clar_sweeps.records import write_atomically

# Side by side in one figure: a dataset's two encoders.
_A_FIGURE = 2
# Drawn; a sweep may have hundreds of settings, and comparison.csv has them all.
_MOST_FIGURES = 12
# Lines of the tables on the page and in the Markdown.
_MOST_LINES = 500


class ComparisonReport(NamedTuple):
    """What was written, and the lines of a terminal."""

    page: Path
    files: tuple[Path, ...]  # the page first
    headlines: tuple[str, ...]
    protocol: str  # what differs beside the numbers

    def __str__(self) -> str:
        """What a terminal shows."""
        return "\n".join([*self.headlines, self.protocol, f"comparison: {self.page}"])


def comparison_folder(one: Path, two: Path) -> Path:
    """Where the comparison of two run folders lies if nothing else is said: with B's report."""
    return two / "report" / f"comparison-with-{run_name(one)}"


def write_comparison(one: Path, two: Path, out: Path) -> ComparisonReport:
    """Compare two runs cell by cell and write what comes out, each file at once or not at all.

    Args:
        one: Run folder A.
        two: Run folder B; differences are B minus A.
        out: Folder of the comparison.

    Raises:
        RecordError: A run folder has no plan, or one that cannot be read.
    """
    frames = (load_run(one), load_run(two))
    by_metric = {metric: pair_cells(*frames, metric) for metric in TEST_METRICS}
    pairs = by_metric[TEST_METRICS[0]]
    names = (run_name(one), run_name(two))
    drawings = _drawings(frames, pairs, names)
    differing = unlike(*frames, pairs)
    told = headlines(pairs)
    shown = Shown(
        sides=(_side("A", names[0], frames[0]), _side("B", names[1], frames[1])),
        headlines=told,
        tiles=tiles(pairs),
        protocol=unlike_text(differing),
        unlike=differing,
        notes=_notes(pairs),
        tables=panel_tables(pairs[:_MOST_LINES]),
        command=shlex.join(["clar-sweep", "report", *names, "--out", "DIR"]),
    )
    contents = table_files({"comparison": comparison_frame(by_metric)})
    for drawing in drawings:
        contents[f"{drawing.name}.png"] = drawing.png
        contents[f"{drawing.name}.svg"] = drawing.svg
    pictures = [drawing.name for drawing in drawings]
    contents["comparison.md"] = comparison_markdown(shown, pictures=pictures).encode()
    page = comparison_page(shown, drawings=drawings, names=list(contents))
    for name, content in contents.items():
        write_atomically(out / name, content)
    page_path = out / "comparison.html"
    write_atomically(page_path, page.encode())  # last, for it leads to the others
    files = (page_path, *(out / name for name in contents))
    return ComparisonReport(page_path, files, tuple(told), shown.protocol)


def _side(letter: str, name: str, frames: RunFrames) -> Side:
    counts = {state: int((frames.trials["state"] == state).sum()) for state in STATES}
    states = f"{count(len(frames.trials), 'trial')}: {states_text(counts)}."
    return Side(letter, name, frames.sweep.description, states)


def _drawings(
    frames: tuple[RunFrames, RunFrames], pairs: tuple[CellPair, ...], names: tuple[str, str]
) -> list[Drawing]:
    """Matrices of differences where both runs are studies of pairs; panels two by two."""
    one, two = frames
    if not one.study == two.study == "pairs":
        return []
    operations = list(dict.fromkeys([*one.sweep.operations, *two.sweep.operations]))
    matrices = [matrix for matrix in difference_matrices(pairs, operations) if _has_any(matrix)]
    groups = [matrices[at : at + _A_FIGURE] for at in range(0, len(matrices), _A_FIGURE)]
    return [
        draw_differences(group, "differences" if len(groups) == 1 else f"differences_{number}",
                         runs=_drawn(names))
        for number, group in enumerate(groups[:_MOST_FIGURES], start=1)
    ]  # fmt: skip


def _drawn(names: tuple[str, str]) -> tuple[str, str]:
    """Names that every font has and that are no formula; letters in place of others."""
    is_plain = all(name.isascii() and "$" not in name for name in names)
    return names if is_plain and names[0] != names[1] else ("A", "B")


def _has_any(matrix: DifferenceMatrix) -> bool:
    return any(pair.difference.n for pair in matrix.pairs)


def _notes(pairs: tuple[CellPair, ...]) -> list[str]:
    notes = [
        "B − A is the mean over the seeds that both runs have of test top-1 in B minus that in A, "
        "within the seed, in points; ± is half of its 95% t-interval. A and B are each the mean "
        "over all of its own seeds.",
        "p is of a two-sided paired t-test, corrected by Holm's method for the number of cells; "
        "where the seeds do not differ at all there is no test.",
        "Cells are matched by dataset, encoder, operations, method, labelled share and the fields "
        "that either sweep varies. A cell without a shared seed is in no mean.",
    ]
    if len(pairs) > _MOST_LINES:
        notes.append(
            f"The first {_MOST_LINES} of {len(pairs)} cells are shown; comparison.csv has them all."
        )
    return notes
