"""An audit as tables: a row an operation, and a row a chain."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from clar_sweeps.audit.auditing import Audit, Audited
from clar_sweeps.audit.examining import ChainFacts, OperationFacts
from clar_sweeps.audit.levels import Levels

_LEVELS = ("silent", "≥ full scale", "one sign", "mean moved")


def tables(audit: Audit) -> Iterator[Table]:
    """Two tables for each dataset: operations by themselves, then chains."""
    for dataset, num_clips in audit.num_clips.items():
        about = f"{dataset}, {num_clips} clips"
        yield _table(
            f"{about}: operations",
            ("", "drawn", "unchanged", *_LEVELS, ""),
            [_operation_row(each) for each in _of(dataset, audit.operations)],
        )
        yield _table(
            f"{about}: chains (dB: log-mel distance)",
            ("", "views apart", "from clean", "SNR", "both clean", *_LEVELS, "order matters", ""),
            [_chain_row(each) for each in _of(dataset, audit.chains)],
        )


def _of(dataset: str, audited: Sequence[Audited[Any, Any]]) -> list[Audited[Any, Any]]:
    return [each for each in audited if each.planned.clips.title == dataset]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for place, column in enumerate(columns):
        is_text = place in (0, len(columns) - 1) or column == "drawn"
        table.add_column(column, justify="left" if is_text else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _operation_row(audited: Audited[Any, OperationFacts]) -> list[str]:
    levels, drawn = audited.facts.levels, "; ".join(s.describe() for s in audited.facts.spreads)
    unchanged = _percent(levels.unchanged_share)
    return [audited.title, drawn, unchanged, *_level_cells(levels), _verdict(audited)]


def _chain_row(audited: Audited[Any, ChainFacts]) -> list[str]:
    facts = audited.facts
    cells = ["", "", ""]
    order = ""
    if facts.effect is not None:
        apart = facts.effect.distances
        cells = [f"{apart.views_db:.1f} dB", f"{apart.clean_db:.1f} dB", f"{apart.snr_db:.1f} dB"]
        if len(audited.planned.operations) > 1:
            order = _percent(1 - facts.effect.same_in_reverse_share)
    both = _percent(facts.both_unchanged_share)
    levels = _level_cells(facts.levels)
    return [audited.title, *cells, both, *levels, order, _verdict(audited)]


def _level_cells(levels: Levels) -> list[str]:
    shares = (levels.silent_share, levels.clipped_share, levels.one_sided_share)
    return [*map(_percent, shares), f"{levels.dc_added:.2f} RMS"]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else f"{100 * share:.1f} %"


def _verdict(audited: Audited[Any, Any]) -> str:
    """The first broken rule, in capitals where it refuses."""
    if audited.refused:
        return f"REFUSED: {audited.refused[0].name}"
    return ", ".join(rule.name for rule in audited.notable) or "ok"
