"""Names and numbers as a reader sees them; percent exists from here on only."""

import math
from collections.abc import Mapping, Sequence

from analysis.matrices import Cell, PairMatrix, Panel
from clar_sweeps.records import State

OPERATION_NAMES = {
    "PS": "pitch shift",
    "FD": "fade in/out",
    "WN": "white noise",
    "MN": "mixed noise",
    "TM": "time mask",
    "TS": "time shift",
    "TST": "time stretch",
}
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
    return f"{panel.dataset} ({panel.condition})" if panel.condition else panel.dataset


def title_text(panel: Panel) -> str:
    """Dataset and encoder."""
    return f"{data_text(panel)}, {ENCODER_NAMES.get(panel.encoder, panel.encoder)}"


def headline(
    panel: Panel,
    found: Sequence[Cell],
    *,
    best: Cell | None,
    untrained: float,
    mean: float,
) -> str:
    """The result of one panel in a sentence or two; true at any moment of a run.

    Args:
        panel: The panel.
        found: Its cells.
        best: The one chosen on validation.
        untrained: Test top-1 of the untrained encoder; NaN while not evaluated.
        mean: Of all cells that are done.
    """
    where = f"On {data_text(panel)} with the {ENCODER_NAMES[panel.encoder].partition(' (')[0]}"
    where += f", {panel.setting}," if panel.setting else ""
    done = [cell for cell in found if cell.estimate.n]
    if best is None:
        return f"{where} none of {count(len(found), 'cell')} has a result yet."
    interval = f" ± {percent(best.estimate.half_width)}" if best.estimate.n > 1 else ""
    so_far = "so far the best cell" if len(done) < len(found) else "the best cell"
    text = (
        f"{where} {so_far} is {chain_words(best.chain)} ({chain_codes(best.chain)}), "
        f"with {percent(best.estimate.mean)}%{interval} test top-1"
    )
    text += (
        "; the untrained encoder is not evaluated yet. "
        if math.isnan(untrained)
        else f" against {percent(untrained)}% for the untrained encoder. "
    )
    lowest = min(cell.estimate.mean for cell in done)
    highest = max(cell.estimate.mean for cell in done)
    which = (
        f"The {count(len(done), 'cell')}"
        if len(done) == len(found)
        else f"The {len(done)} of {len(found)} cells that have a result"
    )
    if len(done) == 1:
        return text.strip() + (f" It is 1 of {len(found)} cells." if len(found) > 1 else "")
    span = f"from {percent(lowest)}% to {percent(highest)}%"
    return f"{text}{which} average {percent(mean)}%, {span}."
