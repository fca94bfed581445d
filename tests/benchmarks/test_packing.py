import pytest

from benchmarks.packing import Load, Trained, figure_hours, load_of, rows_of, together
from benchmarks.step import SIZES
from clar_sweeps import data


def test_rates_of_processes_side_by_side_add_up() -> None:
    assert together([Trained(100, 2.0), Trained(90, 3.0)]) == pytest.approx(80.0)


def test_hours_are_those_of_36_trials_of_1000_epochs() -> None:
    # A trial of 18,620,000 clips at 18,620 a second takes 1000 s.
    assert figure_hours([18_620.0]) == pytest.approx(10.0)
    # A chain of twice the rate takes half: the mean is of the times.
    assert figure_hours([18_620.0, 37_240.0]) == pytest.approx(7.5)


def test_a_row_an_encoder_and_number_of_trials() -> None:
    loads = [Load("2-D", "FD+TM", 1, 200.0), Load("2-D", "FD+TM", 2, 300.0)]
    head, one, two = rows_of(loads)
    assert head[:3] == ["encoder", "trials at once", "FD+TM"]
    assert (one[1:3], two[1:3]) == (["1", "200"], ["2", "300"])
    assert float(two[3].replace(",", "")) == pytest.approx(figure_hours([300.0]), rel=0.01)


@pytest.mark.slow
def test_two_processes_train_at_once() -> None:
    data.prepare("spoken-digits", condition="medium")
    load = load_of(SIZES[2], ("FD", "TM"), packed=2, batch=32, seconds=1.0)
    assert load.packed == 2
    assert load.clips_per_second > 10
