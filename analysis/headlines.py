"""Results in a sentence or two, with their uncertainty; true at any moment of a run."""

import math
from collections.abc import Sequence

from analysis.cells import Cell, Panel
from analysis.input_table import Duel, InputTable
from analysis.label_table import LabelRow, LabelTable, Lead
from analysis.stats import Estimate
from analysis.wording import (
    ENCODER_NAMES,
    chain_codes,
    chain_words,
    count,
    data_text,
    method_text,
    percent,
    row_text,
    share_text,
    value_text,
)


def pairs_headline(
    panel: Panel,
    found: Sequence[Cell],
    *,
    best: Cell | None,
    untrained: float,
    mean: float,
) -> str:
    """The result of one matrix in a sentence or two.

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
    so_far = "so far the pair" if len(done) < len(found) else "the pair"
    text = (
        f"{where} {so_far} chosen on validation is {chain_words(best.chain)} "
        f"({chain_codes(best.chain)}), with {percent(best.estimate.mean)}%{interval} test top-1"
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


def inputs_headline(table: InputTable) -> str:
    """The row that validation chooses on each dataset, and whether 2-D beats 1-D."""
    where = f"With {table.setting}: " if table.setting else ""
    planned = [entry.cell for row in table.rows for entry in row.entries if entry.cell is not None]
    done = [cell for cell in planned if cell.estimate.n]
    if not table.duels:
        return f"{where}None of {count(len(planned), 'cell')} has a result yet."
    text = where + _score(table.duels) + " ".join(map(_duel_sentence, table.duels))
    if len(done) < len(planned):
        text += f" So far {len(done)} of {count(len(planned), 'cell')} have a result."
    return text


def _score(duels: Sequence[Duel]) -> str:
    """On how many datasets each encoder leads beyond its interval; empty for a single one."""
    both = [duel.difference for duel in duels if duel.difference and duel.difference.n > 1]
    if len(duels) < 2 or not both:
        return ""
    surely = [one for one in both if abs(one.mean) > one.half_width]
    two = sum(one.mean > 0 for one in surely)
    return (
        f"By their rows chosen on validation 2-D leads 1-D on {two} of "
        f"{count(len(both), 'dataset')}, 1-D leads 2-D on {len(surely) - two}, "
        f"and {len(both) - len(surely)} cannot be told apart. "
    )


def _duel_sentence(duel: Duel) -> str:
    best = f"{row_text(duel.best_encoder, duel.best.chain)}"
    text = f"On {duel.column.label} the row chosen on validation is {best}, "
    text += f"with {_percent(duel.best.estimate)} on test"
    if duel.difference is None or not duel.difference.n:
        return f"{text}."
    return f"{text}; {_told_apart('2-D', '1-D', duel.difference)}."


def _percent(estimate: Estimate) -> str:
    interval = f" ± {percent(estimate.half_width)}" if estimate.n > 1 else ""
    return f"{percent(estimate.mean)}%{interval}"


def _told_apart(one: str, two: str, difference: Estimate) -> str:
    """Whether one beats another, by how much, and whether the seeds can tell."""
    leads, trails = (one, two) if difference.mean >= 0 else (two, one)
    if difference.n < 2 and percent(abs(difference.mean)) == "0.0":
        return f"{one} and {two} lie level at the one seed that both have"
    if difference.n < 2:
        points = f"{percent(abs(difference.mean))} points"
        return f"{leads} lies {points} above {trails} at the one seed that both have"
    points = f"{percent(abs(difference.mean))} ± {percent(difference.half_width)} points"
    if difference.is_told:
        return f"{leads} leads {trails} by {points}"
    told_apart = f"which {difference.n} seeds do not tell apart"
    return f"{leads} lies {points} above {trails}, {told_apart}"


def labels_headline(table: LabelTable) -> str:
    """Which method leads on each labelled share, and by how much."""
    where = f"On {data_text(table.panel)} with the {_encoder(table.panel)}"
    where += f", {table.panel.setting}" if table.panel.setting else ""
    where += f", trained with {chain_codes(table.chain)}"
    if not table.leads:
        return _too_few(table, where)
    told = "; ".join(_lead_sentence(lead) for lead in table.leads)
    untrained = (
        f" The untrained encoder has {percent(table.untrained.mean)}%."
        if table.untrained.n
        else " The untrained encoder is not evaluated yet."
    )
    planned = [entry.cell for row in table.rows for entry in row.entries if entry.cell is not None]
    distinct = {cell.ids: cell for cell in planned}
    done = sum(cell.estimate.n > 0 for cell in distinct.values())
    so_far = (
        f" So far {done} of {len(distinct)} cells have a result." if done < len(distinct) else ""
    )
    return f"{where}: {told}.{untrained}{so_far}"


def _encoder(panel: Panel) -> str:
    return ENCODER_NAMES[panel.encoder].partition(" (")[0]


def _too_few(table: LabelTable, where: str) -> str:
    cells = [entry.cell for row in table.rows for entry in row.entries if entry.cell is not None]
    done = [cell for cell in cells if cell.estimate.n]
    if not done:
        return f"{where}, none of {count(len(cells), 'cell')} has a result yet."
    told = ", ".join(
        f"{method_text(row.method, row.budget)} "
        f"({share_text(entry.cell.label_fraction)}) {value_text(entry.cell.estimate)}%"
        for row in table.rows
        for entry in row.entries
        if entry.cell is not None and entry.cell.estimate.n
    )
    return f"{where}: {told}; no share has two methods to compare yet."


def _lead_sentence(lead: Lead) -> str:
    leader, second = _name(lead.leader), _name(lead.second)
    share = f"with {share_text(lead.share)} of the labels"
    if not lead.difference.n:
        return f"{share} {leader} is ahead of {second} on validation, at no seed that both have"
    told = _told_apart(leader, second, lead.difference)
    return f"{share} {leader} is chosen on validation, and on test {told}"


def _name(row: LabelRow) -> str:
    return method_text(row.method, row.budget)
