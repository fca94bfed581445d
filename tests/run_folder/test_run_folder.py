"""What a plan and its records together leave to do."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from tiny import tiny_config

from clar_sweeps import records, run_folder
from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.data import Waveforms
from clar_sweeps.errors import RecordError, RunLockedError
from clar_sweeps.records import EndState
from clar_sweeps.sweep import Recovery, Resources, Sweep


def trial(seed: int) -> Trial:
    return make_trial(TrialConfig.model_validate({"augment": ("FD",), "seed": seed}))


def close(run: Path, trial: Trial, state: EndState) -> None:
    folder = records.trial_folder(run, trial)
    records.write_config(folder, trial)
    records.write_summary(folder, trial, state=state, metrics={}, cost={}, provenance={})


@pytest.fixture
def sweep() -> Sweep:
    trials = tuple(trial(seed) for seed in range(5))
    return Sweep(
        "small", "", (), trials, (), Resources.model_validate({}), Recovery.model_validate({})
    )


@pytest.fixture
def half_done(sweep: Sweep, tmp_path: Path) -> Path:
    """One trial of each state."""
    for each, state in zip(sweep.trials, ("done", "failed", "diverged"), strict=False):
        close(tmp_path, each, state)
    records.write_config(records.trial_folder(tmp_path, sweep.trials[3]), sweep.trials[3])
    return tmp_path


def test_missing_and_unfinished_trials_run_and_failed_ones_wait(
    sweep: Sweep, half_done: Path
) -> None:
    work = run_folder.find_work(sweep, half_done)
    assert work.to_run == sweep.trials[3:]
    assert work.waiting == sweep.trials[1:3]
    assert list(work.states.values()) == ["done", "failed", "diverged", "unfinished", "missing"]


def test_failed_trials_run_on_request(sweep: Sweep, half_done: Path) -> None:
    work = run_folder.find_work(sweep, half_done, retry_failed=True)
    assert work.to_run == sweep.trials[1:]
    assert work.waiting == ()


def test_baselines_run_first(sweep: Sweep, tmp_path: Path) -> None:
    baseline = make_trial(sweep.trials[0].config.untrained())
    work = run_folder.find_work(sweep._replace(baselines=(baseline,)), tmp_path)
    assert work.to_run == (baseline, *sweep.trials)


def test_an_open_run_names_its_owner_and_refuses_others(sweep: Sweep, tmp_path: Path) -> None:
    with run_folder.opened(tmp_path, sweep):
        assert json.loads((tmp_path / "run.json").read_text())["pid"] == os.getpid()
        assert run_folder.read_plan(tmp_path) == sweep
        with (
            pytest.raises(RunLockedError, match=f"process {os.getpid()} on .* works in it"),
            run_folder.opened(tmp_path, sweep),
        ):
            pass
    assert not (tmp_path / "run.json").exists()
    with run_folder.opened(tmp_path, sweep):
        pass


def test_who_only_looks_whether_a_run_is_driven_keeps_nobody_out(
    sweep: Sweep, tmp_path: Path
) -> None:
    looks = threading.Event()

    def look() -> None:
        with records.locked(tmp_path, timeout_seconds=0.0):
            looks.set()
            time.sleep(0.2)

    looking = threading.Thread(target=look)
    looking.start()
    looks.wait()
    with run_folder.opened(tmp_path, sweep):
        pass
    looking.join()


def test_what_a_killed_calibration_left_goes_when_the_folder_is_held(
    sweep: Sweep, tmp_path: Path
) -> None:
    scratch = tmp_path / f"{run_folder.SCRATCH}abcd" / "0"
    scratch.mkdir(parents=True)
    (scratch / "checkpoint.pt").touch()
    with run_folder.held(tmp_path):
        assert not scratch.parent.exists()


def test_the_newest_plan_is_the_newest_run(sweep: Sweep, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no run; start one with 'clar-sweep run FILE'"):
        run_folder.newest_run(tmp_path)
    for age, name in enumerate(("c", "a", "b")):
        with run_folder.opened(tmp_path / name, sweep):
            pass
        os.utime(tmp_path / name / "plan.json", (1000 - age, 1000 - age))
    assert run_folder.newest_run(tmp_path) == tmp_path / "c"


def test_a_folder_of_something_else_is_left_alone(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with (
        pytest.raises(RecordError, match="is no run folder and not empty"),
        run_folder.opened(tmp_path, sweep),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_sweep_of_other_configs_is_refused_and_the_plan_stands(
    sweep: Sweep, half_done: Path
) -> None:
    with run_folder.opened(half_done, sweep):
        pass
    config = TrialConfig.model_validate({"augment": ("TM",)})
    other = sweep._replace(trials=(make_trial(config),))
    with (
        pytest.raises(RecordError, match="holds 4 trials of other configs and none of this sweep"),
        run_folder.opened(half_done, other),
    ):
        pass
    assert run_folder.read_plan(half_done) == sweep


def test_a_plan_of_fewer_seeds_keeps_the_seeds_that_ran(sweep: Sweep, half_done: Path) -> None:
    with run_folder.opened(half_done, sweep):
        pass
    with run_folder.opened(half_done, sweep._replace(trials=sweep.trials[:1])):
        pass
    assert run_folder.read_plan(half_done).trials == sweep.trials[:4]


def test_a_summary_that_cannot_be_read_counts_as_failed_and_is_kept_aside(
    sweep: Sweep, half_done: Path
) -> None:
    folder = records.trial_folder(half_done, sweep.trials[0])
    (folder / "summary.json").write_text("{")
    assert run_folder.find_work(sweep, half_done).waiting == sweep.trials[:3]
    records.reopen(half_done, sweep.trials[0])
    assert (folder / "summary.damaged").read_text() == "{"
    assert records.state_of(half_done, sweep.trials[0]) == "unfinished"


@pytest.mark.parametrize("made_from", ["these", "others"])
def test_results_of_other_clips_are_not_added_to(
    digits: Waveforms, tmp_path: Path, made_from: str
) -> None:
    # The plan on disk has a done trial that the new one, of another seed, does not name.
    done, missing = (make_trial(tiny_config(seed=seed)) for seed in (0, 1))
    plan = Sweep(
        "small", "", (), (done,), (), Resources.model_validate({}), Recovery.model_validate({})
    )
    folder = records.trial_folder(tmp_path, done)
    with run_folder.opened(tmp_path, plan):
        records.write_config(folder, done)
        digest = digits.digest if made_from == "these" else "f00" * 20
        metrics, provenance = {"test_top1": 0.5, "valid_top1": 0.5}, {"dataset_digest": digest}
        records.write_summary(
            folder, done, state="done", metrics=metrics, cost={}, provenance=provenance
        )
    with run_folder.opened(tmp_path, plan._replace(trials=(missing,))):
        if made_from == "these":
            run_folder.refuse_other_clips([missing], tmp_path)
        else:
            with pytest.raises(RecordError, match="trained on other clips of spoken-digits"):
                run_folder.refuse_other_clips([missing], tmp_path)
            # Clips that the new trials do not use may be gone.
            run_folder.refuse_other_clips([], tmp_path)
