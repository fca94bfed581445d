"""The command line: what it shows, what it imports, how fast it starts."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clar_sweeps import records
from clar_sweeps.cli import app
from clar_sweeps.cli.options import find_trial, parse_seeds
from clar_sweeps.config import Trial
from clar_sweeps.errors import ConfigError
from clar_sweeps.run_folder import opened
from clar_sweeps.sweep import Sweep, json_schema, load_sweep

GRID = """
name: grid
fixed: {width: 4}
axes:
  augment: {pairs: [PS, FD, TM]}
seeds: [0, 1]
"""


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """A sweep file in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("grid.yaml").write_text(GRID)
    return load_sweep(Path("grid.yaml"))


def clar_sweep(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def finish(trial: Trial, top1: float) -> None:
    folder = records.trial_folder(Path("runs/grid"), trial)
    records.write_config(folder, trial)
    metrics = {"test_top1": top1}
    cost = {"total_seconds": 9.84}
    records.write_summary(folder, trial, state="done", metrics=metrics, cost=cost, provenance={})


def fail(trial: Trial) -> None:
    folder = records.trial_folder(Path("runs/grid"), trial)
    records.write_config(folder, trial)
    error = {"type": "ValueError", "message": "clip 7 is empty", "traceback": ""}
    records.write_summary(
        folder, trial, state="failed", metrics={}, cost={}, provenance={}, error=error
    )


def test_plan_lists_trials_and_shows_the_grid_with_a_sign_for_each_seed(grid: Sweep) -> None:
    finish(find_trial(grid, "PS-TM_2d_spoken-digits_s0"), 0.5)
    fail(find_trial(grid, "PS-TM_2d_spoken-digits_s1"))
    lines = clar_sweep("plan", "grid.yaml").stdout.splitlines()
    rows = [line.split() for line in lines]
    for trial in grid.trials:
        state = {"PS-TM_2d_spoken-digits_s0": "done", "PS-TM_2d_spoken-digits_s1": "failed"}
        assert [trial.id, trial.name, state.get(trial.name, "missing")] in rows
    assert ["PS", "··", "··", "✓✗"] in rows
    assert ["TM", "··", "··", "··"] in rows
    assert lines[-5:] == [
        "grid: 18 trials (1 done, 1 failed, 16 missing)",
        "records: runs/grid",
        "to run: 16 trials, and 2 untrained encoders to evaluate",
        "1 failed before; --retry-failed takes them up again",
        "spoken-digits medium: not prepared; disk 196 MB",
    ]


def test_plan_shows_a_matrix_for_each_setting_of_the_other_fields(grid: Sweep) -> None:
    Path("both.yaml").write_text(GRID + "zips:\n  - encoder: [resnet18_1d, resnet18_2d]\n")
    lines = clar_sweep("plan", "both.yaml").stdout.splitlines()
    titles = [line for line in lines if line.startswith("encoder=")]
    assert len(titles) == 2
    assert [title.strip() for title in titles] == ["encoder=resnet18_1d", "encoder=resnet18_2d"]
    assert sum(line.split() == ["PS", "··", "··", "··"] for line in lines) == 2


def test_a_dry_run_shows_the_plan_and_writes_nothing(grid: Sweep) -> None:
    result = clar_sweep("run", "grid.yaml", "--dry-run", "--seeds", "7")
    assert result.exit_code == 0
    assert "to run: 9 trials, and 1 untrained encoder to evaluate" in result.stdout
    assert re.search(r"^(\d+ at once|one at a time), 1 CPU each$", result.stdout, re.MULTILINE)
    assert not Path("runs").exists()


def test_overrides_make_a_run_folder_of_their_own(grid: Sweep) -> None:
    result = clar_sweep("plan", "grid.yaml", "--set", "width=8", "--set", "dataset=fsdd")
    assert "records: runs/grid_dataset=fsdd_width=8" in result.stdout


@pytest.fixture
def begun(grid: Sweep) -> Sweep:
    """A run folder with one trial that is done, one that failed, and one that is unfinished."""
    finish(grid.trials[0], 0.432)
    fail(grid.trials[1])
    records.write_config(records.trial_folder(Path("runs/grid"), grid.trials[2]), grid.trials[2])
    with opened(Path("runs/grid"), grid):
        pass
    return grid


COUNTS = "runs/grid: 1 done, 1 failed, 1 unfinished, 15 missing"


def test_status_tells_results_and_faults_from_records_alone(begun: Sweep) -> None:
    result = clar_sweep("status", "--trials")
    rows = [line.split() for line in result.stdout.splitlines()]
    done, failed, unfinished = begun.trials[:3]
    assert [done.id, done.name, "done", "0/1000", "43.2", "%", "9.8", "s"] in rows
    why = ["clip", "7", "is", "empty"]
    assert [failed.id, failed.name, "failed", "0/1000", *why] in rows
    assert [unfinished.id, unfinished.name, "unfinished", "0/1000"] in rows
    assert result.stdout.splitlines()[-1] == COUNTS


def test_status_draws_the_matrix_and_says_that_nobody_drives(begun: Sweep) -> None:
    lines = clar_sweep("status").stdout.splitlines()
    assert lines[0].startswith("grid  ")
    assert lines[0].endswith("2/18 trials   1 failed")
    assert ["PS", "43.2…", "✗", "…"] in [line.split() for line in lines]
    assert lines[-2:] == [
        "nobody drives it; go on with: clar-sweep run FILE --run-dir runs/grid",
        COUNTS,
    ]


def test_status_is_one_object_of_json(begun: Sweep) -> None:
    told = json.loads(clar_sweep("status", "runs/grid", "--json").stdout)
    assert told["counts"] == {"done": 1, "failed": 1, "unfinished": 1, "missing": 15}
    assert (told["driver"], told["running"], told["left"]) == (None, [], None)
    assert told["trials"][0]["top1"] == 0.432


def drive(since: float, *running: Trial) -> None:
    folders = tuple(f"trials/{trial.folder}" for trial in running)
    driver = records.Driver("gpu7", 123, since, time.time(), 1, folders, 0, False)
    records.write_driver(Path("runs/grid"), driver)


@contextmanager
def watching(*options: str) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-c",
        "from clar_sweeps.cli import main; main()",
        "status",
        "--watch",
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *options], stdout=pipe, stderr=pipe, text=True) as watch:
        try:
            yield watch
        finally:
            watch.kill()


def line_of(watch: "subprocess.Popen[str]") -> str:
    assert watch.stdout is not None
    return watch.stdout.readline()


def test_a_watch_tells_in_lines_what_happens_until_the_run_ends(begun: Sweep) -> None:
    trial, since = begun.trials[2], time.time()
    drive(since, trial)
    with watching("--every", "0.1") as watch:
        assert line_of(watch).startswith(f"2/18 trials, 1 failed; {trial.name} 0.0/1000 epochs")
        finish(trial, 0.5)
        drive(since)
        assert line_of(watch) == "3/18 trials, 1 failed\n"
        records.end_driver(Path("runs/grid"))
        out, err = watch.communicate(timeout=60)
    assert (watch.returncode, err) == (0, "")
    assert out.splitlines()[-2].startswith("nobody drives it; go on with: ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_watch_is_left_by_a_signal_with_nothing_said(
    begun: Sweep, number: int, code: int
) -> None:
    drive(time.time())
    with watching() as watch:
        assert line_of(watch)
        watch.send_signal(number)
        assert watch.communicate(timeout=60) == ("", "")
    assert watch.returncode == code


def test_stop_reaches_a_run_on_a_machine_whose_lock_is_not_seen_here(grid: Sweep) -> None:
    run = Path("runs/grid")
    with opened(run, grid):
        driver = records.read_driver(run)
    assert driver is not None
    records.write_driver(run, driver._replace(host="\x1b[2Jelsewhere", at=time.time() - 3600))
    assert "nothing to stop" in clar_sweep("stop", str(run)).stdout
    records.write_driver(run, driver._replace(host="\x1b[2Jelsewhere"))
    told = clar_sweep("stop", str(run)).stdout
    assert f"asked process {driver.pid} on [2Jelsewhere to stop" in told
    assert records.stop_requested(run)


def test_stop_reaches_a_trial_on_a_machine_whose_lock_is_not_seen_here(grid: Sweep) -> None:
    run = Path("runs/grid")
    with opened(run, grid):
        pass
    folder = records.trial_folder(run, grid.trials[0])
    folder.mkdir(parents=True)
    records.write_live(folder, records.begin_live()._replace(host="elsewhere"))
    assert "asked to stop" in clar_sweep("stop", str(run)).stdout


@pytest.mark.usefixtures("grid")
def test_a_refusal_can_do_nothing_to_the_terminal() -> None:
    result = clar_sweep("plan", "\x1b[2J\u202e\nfile.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith("[2J\nfile.yaml: ")


def test_links_out_of_a_run_folder_are_refused(grid: Sweep, tmp_path: Path) -> None:
    run, home = Path("runs/grid"), tmp_path / "home"
    with opened(run, grid):
        pass
    home.mkdir()
    (run / "trials").mkdir()
    folder = records.trial_folder(run, grid.trials[0])
    folder.symlink_to(home)
    result = clar_sweep("stop", str(run))
    assert result.exit_code == 2
    assert result.stderr == f"{folder}: is a link out of the run folder; remove it\n"
    folder.unlink()
    (run / "elsewhere").mkdir()
    folder.symlink_to((run / "elsewhere").absolute())
    (run / "report").symlink_to(home)
    (run / "trials/loop").symlink_to("loop")
    Path("link").symlink_to(run)
    assert clar_sweep("stop", "link").exit_code == 0


def test_leftovers_of_a_killed_driver_go_with_the_next_run(grid: Sweep) -> None:
    run = Path("runs/grid")
    run.mkdir(parents=True)
    (run / ".run.json.0123abcd").touch()
    with opened(run, grid):
        assert not (run / ".run.json.0123abcd").exists()


def test_schema_is_printed_as_json() -> None:
    assert json.loads(clar_sweep("schema").stdout) == json_schema()


def test_a_trial_is_found_by_name_id_or_folder(grid: Sweep) -> None:
    trial = grid.trials[3]
    for name in (trial.name, trial.id, trial.folder):
        assert find_trial(grid, name) == trial


def test_an_ambiguous_name_is_answered_with_ids(grid: Sweep) -> None:
    sweep = load_sweep(Path("grid.yaml"), seeds=(0,))
    Path("widths.yaml").write_text(
        GRID.replace("fixed: {width: 4}", "").replace("axes:", "axes:\n  width: [4, 8]")
    )
    widths = load_sweep(Path("widths.yaml"), seeds=(0,))
    with pytest.raises(ConfigError, match=r"2 trials have this name; give an id: \w+, \w+"):
        find_trial(widths, sweep.trials[0].name)


@pytest.mark.parametrize(
    ("text", "seeds"), [(None, None), ("3", (3,)), ("0,1", (0, 1)), ("0, 1", (0, 1))]
)
def test_seeds_are_whole_numbers(text: str | None, seeds: tuple[int, ...] | None) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["plan", "grid.yaml"],
        ["schema"],
        ["data", "list"],
        ["run", "grid.yaml", "--dry-run"],
        ["status", "runs/grid"],
        ["stop", "runs/grid"],
        ["status", "runs/grid", "--json"],
        ["report", "runs/grid"],
    ],
    ids=" ".join,
)
def test_light_commands_import_neither_torch_nor_ray(grid: Sweep, arguments: list[str]) -> None:
    with opened(Path("runs/grid"), grid):
        pass
    code = (
        "import sys; from clar_sweeps.cli import app\n"
        "try: app()\n"
        "finally: print(sorted({'torch', 'ray'} & sys.modules.keys()), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.splitlines()[-1] == "[]"


def test_plan_takes_less_than_a_second(grid: Sweep) -> None:
    code = "from clar_sweeps.cli import main; main()"
    command = [sys.executable, "-c", code, "plan", "grid.yaml"]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    assert min(times) < 1.0


def test_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"clar-sweeps {version('clar-sweeps')}\n")
