"""A comparison of two runs as one HTML page that needs nothing beside it, and as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.comparison.protocols import Unlike
from analysis.comparison.tables import PanelTable
from analysis.comparison.wording import Tile
from analysis.figures import Drawing
from analysis.markdown import plain, table
from analysis.page import figure_of, template


class Side(NamedTuple):
    """One of the two runs."""

    letter: str
    name: str
    description: str
    states: str  # how many trials are in which state


class Shown(NamedTuple):
    """All that a comparison shows, as texts."""

    sides: tuple[Side, Side]
    headlines: list[str]
    protocol: str  # what differs beside the numbers, in a line
    tiles: list[Tile]
    unlike: list[Unlike]
    notes: list[str]
    tables: list[PanelTable]
    command: str


def comparison_page(shown: Shown, *, drawings: Sequence[Drawing], names: Sequence[str]) -> str:
    """The page.

    Args:
        shown: Its texts.
        drawings: In their order.
        names: Of the files that lie beside the page.
    """
    return template("comparison.html.j2").render(
        **shown._asdict(),
        figures=[figure_of(drawing) for drawing in drawings],
        files=sorted(names),
    )


def comparison_markdown(shown: Shown, *, pictures: Sequence[str]) -> str:
    """The same as Markdown.

    Args:
        shown: Its texts.
        pictures: Names of the drawings that lie beside it.
    """
    one, two = shown.sides
    parts = [f"# {plain(two.name)} (B) against {plain(one.name)} (A)", *shown.headlines]
    parts.append(f"**{plain(shown.protocol)}**")
    parts.append(
        "\n".join(f"- {side.letter}: {plain(side.name)}. {side.states}" for side in shown.sides)
    )
    parts += [f"![{name}]({name}.png)" for name in pictures]
    parts.append("## What differs beside the numbers")
    if shown.unlike:
        rows = [
            [entry.words + (" (in part)" if entry.in_part else ""), entry.one, entry.two]
            for entry in shown.unlike
        ]
        parts.append(table(["", "A", "B"], [[plain(text) for text in row] for row in rows]))
    else:
        parts.append("Nothing that the records tell.")
    for panel in shown.tables:
        parts += [f"## {panel.panel}", _markdown_table(panel)]
    parts += ["## Notes", "\n".join(f"- {note}" for note in shown.notes)]
    parts += ["## Rebuild", f"```sh\n{shown.command}\n```"]
    return "\n\n".join(parts) + "\n"


def _markdown_table(panel: PanelTable) -> str:
    rows = [[*line.names, *line.numbers, line.verdict] for line in panel.lines]
    if panel.mean:
        absent = len(panel.names) - 1
        rows.append(["mean", *[""] * absent, "", "", f"**{panel.mean}**", "", "", ""])
    return table([*panel.names, *panel.numbers, "B against A"], rows, numbers=True)
