"""Numbers and foreign texts as a terminal shows them."""

import unicodedata
from collections.abc import Mapping
from typing import Any

# Control characters, invisible marks that turn the direction of writing, line separators.
_UNSHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def without_controls(text: str) -> str:
    """A text of several lines, as a terminal shows it; of names and messages see `plain`."""
    return "\n".join(_shown(line.expandtabs()) for line in text.splitlines())


def plain(text: object) -> str:
    """A text from a record as one line that can do nothing to a terminal.

    Names, hosts and messages are data: of an escape sequence the control characters go, and what
    is left of it is seen. For rich put it into a `Text`, which reads no markup.
    """
    return _shown(" ".join(str(text).split()))


def _shown(line: str) -> str:
    return "".join(each for each in line if unicodedata.category(each) not in _UNSHOWN)


def last_line_of_error(summary: Mapping[str, Any]) -> str:
    """Why a trial failed, in one line; empty where its summary tells of no error."""
    error = summary.get("error")
    if not isinstance(error, Mapping):
        return ""
    lines = str(error.get("message", "")).strip().splitlines() or [""]
    return plain(lines[-1]) or plain(error.get("type", "unknown error"))


def format_seconds(seconds: float) -> str:
    """A measured time: `9.8 s`, `2 min 5 s`, `1 h 3 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def format_duration(seconds: float) -> str:
    """A rough time: `40 s`, `3 min`, `2 h 10 min`, `3 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes / 60 / 24:.0f} days"


def format_bytes(number: float) -> str:
    """A rough amount of memory: `310 MB`, `1.4 GB`."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
