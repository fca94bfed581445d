import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from written_run import Run, label_trials, trial_of

from analysis import load
from analysis.bundle import write_bundle
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "notebook.md"
MakeTrial = Callable[..., Trial]


@pytest.fixture
def aug_pairs(tmp_path: Path) -> Run:
    """FD and TM on both encoders over two seeds, done, evaluated and with untrained encoders."""
    run = Run(tmp_path / "runs" / "aug-pairs")
    pairs = list(itertools.product(("FD", "TM"), repeat=2))
    trials = [
        trial_of(*pair, seed=seed, encoder=encoder)
        for encoder in ("resnet18_1d", "resnet18_2d")
        for seed in (0, 1)
        for pair in pairs
    ]
    run.plan(*trials, operations=("FD", "TM"))
    for place, trial in enumerate(trials):
        run.done(trial, test=0.30 + 0.01 * place, curve={6: 0.30 + 0.01 * place})
    for trial in trials[::4]:
        run.untrained(trial, test=0.2)
    return run


def test_the_example_of_the_document_runs(
    aug_pairs: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(aug_pairs.path.parents[1])
    found: dict[str, object] = {}
    exec(compile(code, str(DOCUMENT), "exec"), found)
    matrix, best, loss = found["matrix"], found["best"], found["loss"]
    assert isinstance(matrix, pd.DataFrame)
    assert isinstance(best, pd.DataFrame)
    assert isinstance(loss, pd.DataFrame)
    # The 2-D encoder's trials are the last eight: FD-TM has 0.39 and 0.43.
    assert matrix.loc["FD", "TM"] == pytest.approx(0.41)
    assert best["chain"].tolist() == ["TM", "TM+FD", "FD+TM", "FD", "TM"]
    assert len(loss) == 6
    assert "42.0" in capsys.readouterr().out


def test_the_document_names_the_columns_that_there_are(aug_pairs: Run) -> None:
    named = set(re.findall(r"`(\w+)`", DOCUMENT.read_text(encoding="utf-8")))
    run = load(aug_pairs.path)
    untrained = {"untrained_test_linear_top1", "untrained_test_knn_top1"}
    for frame in (run.trials, run.history, run.cells):
        assert set(frame.columns) - untrained <= named


def test_frames_are_tidy(aug_pairs: Run) -> None:
    run = load(aug_pairs.path)
    assert run.name == "aug-pairs"
    assert len(run.trials) == 16
    assert len(run.history) == 16 * 6
    assert len(run.cells) == 8 * 3
    assert not run.history["chain"].isna().any()
    assert set(run.history[run.history["id"] == run.trials["id"][3]]["first"]) == {"TM"}
    assert run.cells["encoder"].tolist() == ["resnet18_1d"] * 12 + ["resnet18_2d"] * 12


def test_a_bundle_gives_the_frames_of_its_run(aug_pairs: Run, tmp_path: Path) -> None:
    write_bundle(aug_pairs.path, tmp_path / "records.zip")
    one, two = load(aug_pairs.path), load(str(tmp_path / "records.zip"))
    assert one.name == two.name
    for name in ("trials", "history", "cells"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name))


def test_a_cell_without_a_result_is_missing_in_a_matrix(ragged: Run) -> None:
    matrix = load(ragged.path).matrix()
    assert matrix.index.tolist() == matrix.columns.tolist() == ["PS", "FD", "TM"]
    assert matrix.loc["PS", "FD"] == pytest.approx(0.70)
    assert matrix.isna().sum().sum() == 6
    assert load(ragged.path).matrix(value="num_trials").sum().sum() == 9


def test_what_is_no_matrix_is_told(aug_pairs: Run, tmp_path: Path) -> None:
    run = load(aug_pairs.path)
    with pytest.raises(ValueError, match="panel: None is not one of 'spoken-digits"):
        run.matrix()
    with pytest.raises(ValueError, match="metric: 'loss' is not one of test_top1"):
        run.matrix("loss", panel=run.panels[0])
    with pytest.raises(ValueError, match="value: 'mean' is not one of "):
        run.matrix(panel=run.panels[0], value="mean")
    labels = Run(tmp_path / "labels")
    labels.plan(*label_trials())
    with pytest.raises(ValueError, match="has several cells a pair"):
        load(labels.path).matrix()


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is neither a run folder nor a bundle"):
        load(tmp_path / "absent")


def test_importing_analysis_is_light() -> None:
    unwanted = ["pandas", "numpy", "matplotlib", "torch", "ray"]
    code = f"import sys, analysis; print([name for name in {unwanted} if name in sys.modules])"
    code += "\nanalysis.load\nimport analysis.notebook; print('matplotlib' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert answer.stdout.split() == ["[]", "False"]
