"""The measurement of whole sweeps: what it sums up, and that each way trains what it says."""

import os
import time
from pathlib import Path

import pytest

from benchmarks.chaos.sweeps import Shape, write_sweep, write_tones
from benchmarks.sweep.__main__ import measure, part_rows, rows_of
from benchmarks.sweep.job import Job, Spent, job_of, prepare, sum_of
from benchmarks.sweep.timeline import Span, Timeline, ideal_seconds, idle_at_end, parts_of
from benchmarks.sweep.ways import WAYS, Measured, Way, _call
from clar_sweeps import data

TWO_TRIALS = Shape(
    "two",
    """
  epochs: 1
  eval_every: 1
  warmup_epochs: 0
  learning_rate: 1e-3
axes:
  augment: [[FD], [TM]]
""",
    "two trials of an epoch",
)

# Two slots, from 10 to 20: A 10-14 and B 14.5-18 in the one, C 11-20 in the other.
SPANS = (
    Span(started=10.0, prepared=10.5, ended=14.0, training=2.0, evaluation=1.0),
    Span(started=14.5, prepared=14.75, ended=18.0, training=2.0, evaluation=1.0),
    Span(started=11.0, prepared=12.0, ended=20.0, training=5.0, evaluation=2.0),
)
RUN = Timeline(
    began=1.0,
    opened=2.0,
    ray_began=2.5,
    ray_ready=7.0,
    trials=SPANS,
    ended=23.0,
    report_seconds=1.5,
)


def test_ideal_is_the_work_shared_out_evenly() -> None:
    assert ideal_seconds(253.0, 62.0, slots=2) == 157.5


def test_parts_of_a_run_have_the_known_seconds() -> None:
    assert parts_of(RUN, slots=2) == pytest.approx(
        {
            "imports and plan": 1.0,
            "data and audit": 0.5,
            "Ray's start": 4.5,
            "start of the first process": 3.0,
            "trainers built": 0.875,  # 0.5, 0.25 and 1.0 of one slot
            "training": 4.5,
            "evaluation": 2.0,
            "checkpoints and records": 0.875,  # 0.5, 0.25 and 1.0 of one slot
            "between trials": 0.75,  # C begins a second late, B half a second
            "idle at the end": 1.0,  # from 18 to 20 in one slot
            "Ray's end": 3.0,
            "report": 1.5,
        }
    )


@pytest.mark.parametrize("slots", [2, 3, 8])
def test_parts_add_up_to_the_wall(slots: int) -> None:
    wall = RUN.ended - RUN.began + RUN.report_seconds
    assert sum(parts_of(RUN, slots=slots).values()) == pytest.approx(wall)


def test_trainer_whose_building_was_not_seen_counts_as_records_and_the_sum_stays() -> None:
    unseen = RUN._replace(trials=tuple(span._replace(prepared=None) for span in SPANS))
    parts = parts_of(unseen, slots=2)
    assert parts["trainers built"] == 0.0
    assert parts["checkpoints and records"] == pytest.approx(1.75)
    assert sum(parts.values()) == pytest.approx(sum(parts_of(RUN, slots=2).values()))


def test_slots_are_idle_at_the_end_only_after_the_last_trial_has_begun() -> None:
    assert idle_at_end(SPANS, slots=2) == 2.0
    assert idle_at_end(SPANS[:1], slots=1) == 0.0
    assert idle_at_end(SPANS, slots=3) == 2.0 + 5.5  # a third slot has nothing from 14.5 on


def test_costs_of_trials_are_summed() -> None:
    costs = [{"train_seconds": 2.0, "eval_seconds": 0.5}, {"train_seconds": 3.0, "eval_seconds": 1}]
    assert sum_of(costs) == Spent(5.0, 1.5)


def test_tables_show_medians_of_the_rounds() -> None:
    rounds = [
        Measured("clar-sweep", seconds, ideal, 0.0, 0.0, {"report": part})
        for seconds, ideal, part in ((110.0, 100.0, 2.0), (130.0, 100.0, 4.0), (240.0, 200.0, 6.0))
    ]
    assert rows_of(rounds)[1][:4] == ["clar-sweep", "130.0 s", "100.0 s", "1.20"]
    assert part_rows(rounds)[1] == ["report", "4.0", "3.0%"]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Two trials on 80 recordings of tones, prepared."""
    write_tones(tmp_path / "data")
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path / "data"))
    found = job_of(write_sweep(tmp_path, TWO_TRIALS), cache=tmp_path / "cache")
    prepare(found)
    return found


def test_job_has_the_untrained_encoder_too_and_trains_on_cpus(job: Job) -> None:
    assert [trial.config.epochs for trial in job.trials] == [0, 1, 1]
    assert {trial.config.device for trial in job.trials} == {"cpu"}


def test_command_that_fails_ends_the_benchmark_with_its_last_lines(
    job: Job, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"(?s)exit code 3.*no such luck"):
        _call(["sh", "-c", "echo no such luck; exit 3"], job, tmp_path / "log.txt")


def test_nothing_is_left_running_when_the_benchmark_is_interrupted(
    job: Job, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"

    def interrupt() -> None:
        if log.read_text().endswith("\n"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _call(["sh", "-c", "sleep 60 & echo $!; wait"], job, log, look=interrupt)
    assert _has_ended(int(log.read_text()))


def _has_ended(pid: int) -> bool:
    """Within two seconds; a zombie has."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_trains_all_trials(way: Way, job: Job, tmp_path: Path) -> None:
    (found,) = measure(job, [way], tmp_path / "measured", rounds=1)
    assert found.training > 0
    assert found.evaluation > 0
    assert found.ideal == pytest.approx((found.training + found.evaluation) / job.slots)
    assert found.ratio > 1
    if way.name == "clar-sweep":
        assert sum(found.parts.values()) == pytest.approx(found.seconds)
        assert min(found.parts.values()) >= 0
        assert found.parts["Ray's start"] > 0
