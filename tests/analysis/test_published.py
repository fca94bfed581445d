import re
from importlib.resources import files

import pytest

from analysis.published import load_published, paper_dataset, published_fraction

CLAR = "CLAR (arXiv:2010.09542)"


def test_every_printed_number_is_there_once() -> None:
    counts = load_published().groupby("table").size().to_dict()
    assert counts == {"Figure 4": 5, "Table 1": 36, "Table 2": 9}


@pytest.mark.parametrize(
    ("table", "row", "column", "percent"),
    [
        ("Table 1", "1D FD", "ESC-10", 12.5),
        ("Table 1", "1D FD+TST", "SC-10", 84.2),
        ("Table 1", "1D FD+TST+PS", "NSynth-128", 10.8),
        ("Table 1", "2D FD", "SC-35", 13.7),
        ("Table 1", "2D FD+TM", "SC-10", 89.3),
        ("Table 1", "2D FD+TM+TS", "ESC-50", 40.4),
        ("Table 2", "supervised", "1%", 28.6),
        ("Table 2", "SimCLR", "all", 84.8),
        ("Table 2", "CLAR", "100%", 96.1),
        ("Figure 4", "1D", "mean", 68.6),
        ("Figure 4", "2D", "mean", 67.0),
        ("Figure 4", "2D", "max", 89.3),
    ],
)
def test_published_numbers_are_the_printed_ones(
    table: str, row: str, column: str, percent: float
) -> None:
    assert published_fraction(CLAR, table, row, column) == pytest.approx(percent / 100)


def test_columns_of_table_1_have_the_sums_of_the_printed_ones() -> None:
    # Sums of the columns as printed, added by hand: they catch a number in the wrong place.
    table = load_published().query("table == 'Table 1'")
    sums = table.groupby("column")["value"].sum().round(1).to_dict()
    assert sums == {
        "ESC-10": 252.0,
        "ESC-50": 103.3,
        "SC-10": 475.9,
        "SC-35": 131.7,
        "NSynth-11": 234.4,
        "NSynth-128": 350.6,
    }


def test_what_the_paper_does_not_print_is_absent() -> None:
    assert published_fraction(CLAR, "Figure 4", "2D FD", "TM") is None


def test_every_number_has_a_place() -> None:
    published = load_published()
    assert published["place"].str.len().min() > 0
    assert (published["fraction"].between(0, 1)).all()


def transcription(part: str) -> list[str]:
    """Lines of a part of the paper's text, as it is printed."""
    text = (files("analysis") / "published" / "clar_transcription.txt").read_text("utf-8")
    parts = dict(zip(*[iter(re.split(r"^# (.*)$", text, flags=re.MULTILINE)[1:])] * 2, strict=True))
    return [line for line in parts[part].splitlines() if line]


def numbers_of(table: str) -> dict[tuple[str, str], float]:
    rows = load_published().query("table == @table")
    return dict(zip(zip(rows["row"], rows["column"], strict=True), rows["value"], strict=True))


def test_table_1_is_the_transcribed_one_place_by_place() -> None:
    printed_names = {"ECS-10": "ESC-10", "ECS-50": "ESC-50", "SC-50": "SC-35"}
    _, heads, *lines, _ = [line.split("\t") for line in transcription("Table 1")]
    columns = [printed_names.get(name, name) for name in heads[1:]]
    encoder, found = heads[0], {}
    for label, *cells in lines:
        if not cells:
            encoder = label
            continue
        values = [float(re.sub(r"</?b>", "", cell)) for cell in cells]
        row = f"{encoder} {label.replace(' ', '')}"
        found |= {(row, name): value for name, value in zip(columns, values, strict=True)}
    assert len(found) == 36
    assert numbers_of("Table 1") == found


def test_table_2_is_the_transcribed_one_place_by_place() -> None:
    _, _, heads, supervised, simclr, clar = [line.split("\t") for line in transcription("Table 2")]
    found = {("SimCLR", "all"): float(simclr[0])}
    for row, cells in (("supervised", supervised), ("CLAR", clar)):
        found |= {(row, head): float(cell) for head, cell in zip(heads, cells, strict=True)}
    assert len(simclr) == 1
    assert numbers_of("Table 2") == found


def test_scalars_of_figure_4_are_those_of_the_sentence() -> None:
    (sentence,) = transcription("Section 4")
    found = {}
    for row in ("1D", "2D"):
        match = re.search(rf"{row}: +\$([\d.]+) \\pm ([\d.]+)\$", sentence)
        assert match
        found |= {(row, "mean"): float(match[1]), (row, "mean_plus_minus"): float(match[2])}
    match = re.search(r"the (2D) variant .* maximum recorded performance \(([\d.]+)%\)", sentence)
    assert match
    assert numbers_of("Figure 4") == found | {(match[1], "max"): float(match[2])}


def test_a_dataset_that_is_not_the_papers_stands_beside_the_nearest_one() -> None:
    assert paper_dataset("sc35") == ("SC-35", True, False)
    assert paper_dataset("sc35", is_part=True) == ("SC-35", False, True)
    assert paper_dataset("spoken-digits") == ("SC-10", False, False)
    assert paper_dataset("instrument-notes") == ("NSynth-128", False, False)
    assert paper_dataset("folder") is None
