"""Run folders of a test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from written_run import Run, trial_of, write_labels

from clar_sweeps.config import Trial


@pytest.fixture(autouse=True, scope="session")
def coarse_pictures() -> Iterator[None]:
    """Few pixels: what is tested are numbers and texts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.figures.drawing.DPI", 30)
        yield


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """An empty run folder."""
    return Run(tmp_path / "run")


@pytest.fixture
def make() -> Callable[..., Trial]:
    """Give the maker of small trials."""
    return trial_of


@pytest.fixture
def square(run: Run) -> Run:
    """FD and TM, all done: FD 0.50, FD-TM 0.90, TM-FD 0.70, TM 0.60; untrained 0.40."""
    trials = run.plan_pairs("FD", "TM")
    for trial, test in zip(trials, (0.50, 0.90, 0.70, 0.60), strict=True):
        run.done(trial, test=test)
    run.untrained(trials[0], test=0.40)
    return run


@pytest.fixture
def ragged(run: Run) -> Run:
    """PS, FD and TM in all states: two done in the first row, one in the second.

    PS 0.50, PS-FD 0.70, PS-TM failed; FD-PS diverged, FD 0.60, FD-TM at epoch 3 of 6; TM never ran.
    """
    trials = run.plan_pairs("PS", "FD", "TM")
    run.done(trials[0], test=0.50)
    run.done(trials[1], test=0.70)
    run.failed(trials[2])
    run.diverged(trials[3])
    run.done(trials[4], test=0.60)
    run.open(trials[5], epochs=3)
    return run


@pytest.fixture
def labels(run: Run) -> Run:
    """Nine trials, all done and evaluated at epochs 3 and 6; untrained 0.30.

    Supervised 0.90 0.80 0.60 0.20, SimCLR 0.70, CLAR 0.95 0.85 0.75 0.65; half of it at epoch 3.
    """
    write_labels(run)
    return run
