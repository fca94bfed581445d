import pytest

from analysis.published import load_published, published_fraction

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
        ("Table 1", "2D FD", "SC-full", 13.7),
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
        "SC-full": 131.7,
        "NSynth-11": 234.4,
        "NSynth-128": 350.6,
    }


def test_what_the_paper_does_not_print_is_absent() -> None:
    assert published_fraction(CLAR, "Figure 4", "2D FD", "TM") is None


def test_every_number_has_a_place() -> None:
    published = load_published()
    assert published["place"].str.len().min() > 0
    assert (published["fraction"].between(0, 1)).all()
