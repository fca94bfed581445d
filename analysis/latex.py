r"""Tables as LaTeX fragments: `\input{...}` in a document that loads booktabs."""

from collections.abc import Sequence

from analysis.layout import TextCell, TextRow, TextTable

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "→": r"$\rightarrow$",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": r"--",
    "←": r"$\leftarrow$",
    "·": r"$\cdot$",
}


def escape(text: str) -> str:
    """A text that LaTeX sets as it is."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def table_tex(table: TextTable) -> str:
    """A floating table with caption, label and notes."""
    width = len(table.columns) + 1
    lines = [
        r"\begin{table}[t]",
        r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{escape(table.caption)}.}}",
        rf"  \label{{tab:{_label(table.name)}}}",
        rf"  \begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"    \toprule",
        _line([escape(table.corner), *(escape(column.label) for column in table.columns)]),
        r"    \midrule",
        *_body(table.rows, width),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"",
        r"  \smallskip",
        rf"  \parbox{{\linewidth}}{{\footnotesize \textbf{{{escape(table.protocol)}}}",
        *(rf"    {escape(note)}" for note in (*_column_notes(table), *table.notes)),
        r"  }",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _label(name: str) -> str:
    return name.replace("_", "-")


def _line(parts: Sequence[str]) -> str:
    return "    " + " & ".join(parts) + r" \\"


def _column_notes(table: TextTable) -> list[str]:
    return [f"{column.label}: {column.note}." for column in table.columns if column.note]


def _body(rows: Sequence[TextRow], width: int) -> list[str]:
    lines: list[str] = []
    for place, row in enumerate(rows):
        if not row.cells:
            lines += [r"    \midrule"] if place else []
            lines.append(rf"    \multicolumn{{{width}}}{{l}}{{{escape(row.label)}}} \\")
            continue
        # Levels to compare with stand apart from the results above them.
        if not row.is_result and place and rows[place - 1].is_result:
            lines.append(r"    \midrule")
        lines.append(_line([escape(row.label), *map(_ours, row.cells)]))
        if any(cell.published for cell in row.cells):
            lines.append(_line([r"\quad\footnotesize paper", *map(_papers, row.cells)]))
    return lines


def _ours(cell: TextCell) -> str:
    text = escape(cell.text)
    text = rf"\textbf{{{text}}}" if cell.is_best else text
    text += rf" {{\scriptsize ({escape(cell.seeds)})}}" if cell.seeds else ""
    return _spanned(text, cell)


def _papers(cell: TextCell) -> str:
    if not cell.published:
        return _spanned("", cell)
    difference = f" ({escape(cell.difference)})" if cell.difference else ""
    return _spanned(rf"\footnotesize {escape(cell.published)}{difference}", cell)


def _spanned(text: str, cell: TextCell) -> str:
    return rf"\multicolumn{{{cell.span}}}{{c}}{{{text}}}" if cell.span > 1 else text
