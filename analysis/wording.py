"""Names and numbers as a reader sees them; percent exists from here on only."""

import math
from collections.abc import Mapping, Sequence

from analysis.cells import Cell, Panel
from analysis.frames import ENCODER_SIZES, dataset_label
from analysis.matrices import PairMatrix
from analysis.published import matrix_scalar
from analysis.stats import Estimate
from clar_sweeps.records import State

OPERATION_NAMES = {
    "PS": "pitch shift",
    "FD": "fade in/out",
    "WN": "white noise",
    "MN": "mixed noise",
    "TM": "time mask",
    "TS": "time shift",
    "TST": "time stretch",
    "TSR": "stretch, resampled",
}
METHOD_NAMES = {"supervised": "supervised", "simclr": "SimCLR", "clar": "CLAR"}
ENCODER_NAMES = {
    "resnet18_1d": "1-D encoder (ResNet-18)",
    "resnet18_2d": "2-D encoder (ResNet-18)",
}
METRIC_NAMES = {
    "test_top1": "evaluation head",
    "test_linear_top1": "linear probe",
    "test_knn_top1": "nearest neighbours",
}


def percent(fraction: float | None) -> str:
    """A fraction in percent with one decimal, without the sign; a dash where there is none."""
    if fraction is None or math.isnan(fraction):
        return "–"
    return f"{100 * fraction:.1f}"


def operation_name(code: str) -> str:
    """Full name of an operation; the code itself if it has none."""
    return OPERATION_NAMES.get(code, code)


def chain_codes(chain: Sequence[str]) -> str:
    """A chain as codes, in the order of application."""
    return " → ".join(chain) or "no operation"


def chain_words(chain: Sequence[str]) -> str:
    """A chain as words."""
    names = [operation_name(code) for code in chain]
    return ", then ".join(names) + (" alone" if len(names) == 1 else "")


def state_text(state: State, *, epoch: int, epochs: int) -> str:
    """What stands in a cell that has no result."""
    match state:
        case "unfinished":
            return f"epoch {epoch}/{epochs}"
        case "missing":
            return "–"
        case _:
            return state


def states_text(counts: Mapping[State, int]) -> str:
    """How many trials are in which state."""
    return ", ".join(f"{number} {state}" for state, number in counts.items() if number)


def cell_text(matrix: PairMatrix, row: int, column: int) -> str:
    """What stands in a cell of a matrix."""
    if matrix.num_done[row, column]:
        return percent(float(matrix.means[row, column]))
    return state_text(
        matrix.states[row][column],
        epoch=int(matrix.epochs_reached[row, column]),
        epochs=matrix.panel.epochs,
    )


def cell_detail(matrix: PairMatrix, row: int, column: int) -> str:
    """The interval of a cell, and how many of its seeds are done if some are not."""
    done, trials = int(matrix.num_done[row, column]), int(matrix.num_trials[row, column])
    if not done:
        return ""
    seeds = f"n {done} of {trials}" if done < trials else ""
    interval = f"± {percent(float(matrix.half_widths[row, column]))}" if done > 1 else ""
    return " · ".join(part for part in (interval, seeds) if part)


def margin_detail(num_cells: int, size: int) -> str:
    """How many cells a mean averages, if it misses some."""
    return "" if num_cells == size else f"{num_cells} of {size}"


def count(number: int, word: str) -> str:
    """A number and its word, in the plural where it belongs."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def seeds_text(found: Sequence[Cell]) -> str:
    """How many seeds the cells have, and what that allows to say."""
    numbers = sorted({cell.estimate.n for cell in found if cell.estimate.n})
    if not numbers:
        return ""
    if numbers == [1]:
        return "One seed a cell, so no interval can be given."
    span = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return f"Means over {span} seeds a cell; ± is half of a 95% t-interval, given from 2 seeds on."


def data_text(panel: Panel) -> str:
    """Dataset and its condition."""
    return dataset_label(panel.dataset, panel.condition, panel.folder)


def title_text(panel: Panel) -> str:
    """Dataset and encoder."""
    return f"{data_text(panel)}, {ENCODER_NAMES.get(panel.encoder, panel.encoder)}"


def setting_text(panel: Panel) -> str:
    """The setting of a panel, to stand before something else."""
    return f"{panel.setting} · " if panel.setting else ""


def paper_matrix_text(encoder: str) -> str:
    """What the paper prints of the matrix of an encoder, in words."""
    mean, highest = matrix_scalar(encoder, "mean"), matrix_scalar(encoder, "max")
    spread = matrix_scalar(encoder, "mean_plus_minus")
    text = f"The paper, on SC-10: mean {percent(mean)}"
    text += f" ± {100 * spread:.2f}" if spread is not None else ""
    return text + (f", highest {percent(highest)}" if highest is not None else "")


def row_text(encoder: str, chain: Sequence[str]) -> str:
    """A row of Table 1 in one piece."""
    return f"{ENCODER_SIZES[encoder]} {chain_codes(chain)}"


def method_text(method: str, budget: str | None) -> str:
    """A method, and its budget where that is not the paper's."""
    return METHOD_NAMES[method] + (", equal steps" if budget == "steps" else "")


def share_text(share: float | None) -> str:
    """A labelled share as the head of a column."""
    return "no labels" if share is None else f"{100 * share:g}%"


def points_text(difference: float | None) -> str:
    """A difference in points with its sign; empty where there is none."""
    if difference is None or math.isnan(difference):
        return ""
    return f"{100 * difference:+.1f}".replace("-", "−")


def value_text(estimate: Estimate) -> str:
    """A mean in percent, and its interval if there is one."""
    if estimate.n > 1:
        return f"{percent(estimate.mean)} ± {percent(estimate.half_width)}"
    return percent(estimate.mean)
