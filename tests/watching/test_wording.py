"""Numbers and foreign texts as a terminal shows them."""

import pytest

from clar_sweeps.watching.wording import (
    format_bytes,
    format_duration,
    format_seconds,
    last_line_of_error,
    plain,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("FD-TM_2d_sc10_s0", "FD-TM_2d_sc10_s0"),
        ("[bold]loud[/bold]", "[bold]loud[/bold]"),
        ("\x1b[2J\x1b]0;title\x07", "[2J]0;title"),
        ("one\r\n  two\tthree", "one two three"),
        ("\x9b31mred\u202eder\u2066\ud800", "31mredder"),
        ("Düsseldorf 東京", "Düsseldorf 東京"),
    ],
)
def test_a_foreign_text_is_one_line_that_can_do_nothing(text: str, line: str) -> None:
    assert plain(text) == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ({"type": "ValueError", "message": "first\nlast"}, "last"),
        ({"type": "ValueError", "message": ""}, "ValueError"),
        ({"type": "ValueError"}, "ValueError"),
        ({}, "unknown error"),
        (None, ""),
        ("a text", ""),
    ],
)
def test_an_error_is_told_by_its_last_line(error: object, line: str) -> None:
    assert last_line_of_error({"error": error}) == line


@pytest.mark.parametrize(
    ("seconds", "exact", "rough"),
    [
        (0.04, "0.0 s", "0 s"),
        (59.94, "59.9 s", "60 s"),
        (59.96, "1 min 0 s", "60 s"),
        (125.0, "2 min 5 s", "2 min"),
        (3599.8, "1 h 0 min", "1 h 0 min"),
        (3 * 86400.0, "72 h 0 min", "3 days"),
    ],
)
def test_times_are_told_as_exactly_as_they_are_known(
    seconds: float, exact: str, rough: str
) -> None:
    assert (format_seconds(seconds), format_duration(seconds)) == (exact, rough)


def test_memory_is_told_roughly() -> None:
    assert (format_bytes(3.1e8), format_bytes(1.44e9)) == ("310 MB", "1.4 GB")
