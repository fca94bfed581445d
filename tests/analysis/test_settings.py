import itertools
import time

import pytest

from analysis.settings import Nesting, includes

SETTINGS = [
    ", ".join(part for part in parts if part)
    for parts in itertools.product(
        ("", "temperature 0.1", "temperature 0.5"), ("", "width 8", "width 16"), ("", "stem paper")
    )
]


@pytest.mark.parametrize("number", [1, 3, 7, len(SETTINGS)])
def test_nesting_is_what_comparing_all_with_all_finds(number: int) -> None:
    for start in range(len(SETTINGS) - number + 1):
        chosen = SETTINGS[start : start + number]
        nesting = Nesting(chosen)
        parts_of = {setting: set(setting.split(", ")) - {""} for setting in chosen}
        assert nesting.widest() == [
            one for one in chosen if not any(parts_of[one] < parts for parts in parts_of.values())
        ]
        for setting in chosen:
            expected = {other for other in chosen if includes(setting, other)}
            assert set(nesting.within(setting)) == expected


def test_ten_thousand_settings_are_nested_at_once() -> None:
    settings = [f"temperature {i}, width {j}" for i in range(100) for j in range(100)]
    nesting = Nesting([*settings, *(f"width {j}" for j in range(100))])
    began = time.process_time()
    assert nesting.widest() == settings
    assert time.process_time() - began < 2.0  # 10,100 squared comparisons take minutes
