"""Every kind of bad input gives a clear line for each fault, exit code 2, and no traceback."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clar_sweeps.cli import app
from clar_sweeps.run_folder import opened
from clar_sweeps.sweep import load_sweep

GOOD = """\
name: good
fixed:
  dataset: fsdd
  width: 4
axes:
  augment: [[FD], [TM]]
"""
PICTURE = "features: {num_bands: 48}"
UNEQUAL = "zips:\n  - {temperature: [0.1, 0.5], epochs: [20]}\n"

# What is wrong with a file: its text, and what stderr says, a pattern a line.
FILES: dict[str, tuple[str, list[str]]] = {
    "not YAML": ("name: [good", [r"bad\.yaml:1: not valid YAML: .+"]),
    "not a mapping": ("- PS\n- FD\n", [r"bad\.yaml: is not a mapping; see the sweep files .+"]),
    "an empty file": ("", [r"bad\.yaml: is not a mapping; see .+"]),
    "no name": (
        GOOD.replace("name: good\n", ""),
        [r"bad\.yaml:\d+: name: is required and not given"],
    ),
    "a name that is no folder's": (
        GOOD.replace("name: good", "name: ../good"),
        [r"bad\.yaml:1: name: '\.\./good' has other signs than .+; rename it"],
    ),
    "an unknown field": (
        GOOD.replace("width", "widht"),
        [r"bad\.yaml:4: fixed\.widht: unknown field; did you mean width\?"],
    ),
    "an unknown section": (
        GOOD + "axis: {width: [4]}\n",
        [r"bad\.yaml:7: axis: unknown field; did you mean axes\?"],
    ),
    "an unknown operation": (
        GOOD.replace("[TM]", "[TMM]"),
        [r"bad\.yaml:6: axes\.augment\[1\]\[0\]: 'TMM' is not one of PS, .+; did you mean TM\?"],
    ),
    "an unknown dataset": (
        GOOD.replace("fsdd", "fsd"),
        [r"bad\.yaml:3: fixed\.dataset: 'fsd' is not one of spoken-digits, .+; did you .+"],
    ),
    "a wrong type": (
        GOOD.replace("width: 4", "width: wide"),
        [r"bad\.yaml:4: fixed\.width: 'wide' is not a whole number"],
    ),
    "a value out of range": (
        GOOD.replace("width: 4", "width: 0"),
        [r"bad\.yaml:4: fixed\.width: 0 is not at least 1; raise it"],
    ),
    "an empty axis": (
        GOOD.replace("[[FD], [TM]]", "[]"),
        [r"bad\.yaml:6: axes\.augment: is an empty list; give at least one value"],
    ),
    "zips of unequal length": (
        GOOD + UNEQUAL,
        [r"bad\.yaml:8: zips\[0\]: lists of unequal length \(temperature 2, epochs 1\); give .+"],
    ),
    "a field set twice": (
        GOOD + "  width: [4, 8]\n",
        [r"bad\.yaml:7: axes\.width: is set in fixed\.width as well; keep one of the two"],
    ),
    "a duplicate key": (
        GOOD.replace("  width: 4\n", "  width: 4\n  width: 8\n"),
        [r"bad\.yaml:\d+: not valid YAML: .*duplicate key.*"],
    ),
    "a picture that its FFT cannot give": (
        GOOD.replace("width: 4", PICTURE),
        [r"bad\.yaml:4: fixed\.features\.n_fft: 2048 is not a multiple of .+ = 96; use \d+"],
    ),
    "several faults at once": (
        GOOD.replace("width: 4", "width: 0").replace("[TM]", "[XX]"),
        [r"bad\.yaml:4: fixed\.width: .+", r"bad\.yaml:6: axes\.augment\[1\]\[0\]: 'XX' .+"],
    ),
}

# What is wrong with a command: its arguments, and what stderr says.
COMMANDS: dict[str, tuple[list[str], str]] = {
    "a missing file": (["plan", "none.yaml"], r"none\.yaml: cannot be read \(No such file .+"),
    "a folder for a file": (["plan", "."], r"\.: cannot be read \(Is a directory\); check .+"),
    "an override without a value": (
        ["plan", "good.yaml", "--set", "width"],
        r"--set width: is not field=value; write it so",
    ),
    "an override of no field": (
        ["plan", "good.yaml", "--set", "widht=8"],
        r"--set widht: unknown field; did you mean width\?",
    ),
    "an override of a wrong type": (
        ["plan", "good.yaml", "--set", "epochs=no"],
        r"--set epochs: 'no' is not a whole number",
    ),
    "seeds that are no numbers": (
        ["plan", "good.yaml", "--seeds", "0,x"],
        r"--seeds 0,x: 'x' is not a whole number; write 0,1",
    ),
    "recordings of one's own that are not on disk": (
        ["data", "prepare", "folder", "--folder", "birds"],
        r"folder: CLAR_SWEEPS_DATA is not set, expected a folder that holds birds/CLASS.+; .+",
    ),
    "recordings of one's own without a name": (
        ["run", "good.yaml", "--local", "--set", "dataset=folder"],
        r"good\.yaml:\d+: fixed\.folder: is required with dataset folder; name your .+",
    ),
    "a source that is not there": (
        ["data", "prepare", "fsdd", "--source", "nowhere.zip"],
        r"fsdd: --source nowhere\.zip is not there, expected recordings/.+; correct the path",
    ),
    "a download of many gigabytes that nobody asked for": (
        ["run", "good.yaml", "--local", "--set", "dataset=nsynth11"],
        r"nsynth11: not prepared, and 25\.2 GB are to be downloaded; run '.+' first",
    ),
    "GPUs that are not there": (
        ["run", "good.yaml", "--gpus-per-trial", "1"],
        r"resources\.gpus_per_trial: 1 is more than the 0 GPUs there are; lower it, .+",
    ),
    "a negative number of GPUs": (
        ["run", "good.yaml", "--gpus-per-trial", "-1"],
        r"--gpus-per-trial: -1\.0 is not at least 0; raise it",
    ),
    "no trials at once": (
        ["run", "good.yaml", "--max-concurrent", "0"],
        r"--max-concurrent: 0 is not at least 1; raise it",
    ),
    "CPUs that are not there": (
        ["run", "greedy.yaml"],
        r"resources\.cpus_per_trial: 4096 is more than the \d+ CPUs there are; lower it",
    ),
    "a run folder in use": (
        ["run", "good.yaml", "--run-dir", "busy"],
        r"busy: process \d+ on \S+ works in it; wait for it, or end it by 'clar-sweep stop busy'",
    ),
    "a file for a run folder": (
        ["run", "good.yaml", "--run-dir", "good.yaml"],
        r"good\.yaml: is a file, not a run folder; give another --run-dir",
    ),
    "a file on the way to a run folder": (
        ["run", "good.yaml", "--run-dir", "good.yaml/run"],
        r"good\.yaml/run: Not a directory; check the path",
    ),
    "a report of what is no run": (
        ["report", "empty"],
        r"empty: is not a run folder \(it has no plan\.json\); check the path",
    ),
    "a report where no run is": (
        ["report"],
        r"runs: holds no run; start one with 'clar-sweep run FILE'",
    ),
    "a status of a damaged plan": (
        ["status", "damaged"],
        r"damaged/plan\.json: is not readable JSON; remove it and run again",
    ),
    "a negative number of retries": (
        ["run", "good.yaml", "--max-retries", "-1", "--dry-run"],
        r"--max-retries: -1 is not at least 0; raise it",
    ),
    "no time to hang": (
        ["run", "good.yaml", "--hang-timeout-minutes", "0", "--dry-run"],
        r"--hang-timeout-minutes: 0\.0 is not .*0; raise it",
    ),
    "a watch for hangs without Ray": (
        ["run", "good.yaml", "--local", "--hang-timeout-minutes", "5", "--dry-run"],
        r"--hang-timeout-minutes: nobody watches with --local; drop one of them",
    ),
    "a stop of what is no run": (
        ["stop", "nowhere"],
        r"nowhere: is not a run folder \(it has no plan\.json\); check the path",
    ),
    "a stop of an unknown trial": (
        ["stop", "busy", "TMM_2d_fsdd_s0"],
        r"TRIAL TMM_2d_fsdd_s0: is not a trial of good; did you mean TM_2d_fsdd_s0\?",
    ),
    "a status in two ways at once": (
        ["status", "--watch", "--json"],
        r"--watch, --trials, --json: are given together; choose one",
    ),
    "a watch without a pause": (
        ["status", "--watch", "--every", "0"],
        r"--every 0: is not between 0\.1 and 3600 seconds; change it",
    ),
    "an unknown trial": (
        ["train", "good.yaml", "--trial", "TMM_2d_fsdd_s0"],
        r"--trial TMM_2d_fsdd_s0: is not a trial of good; did you mean TM_2d_fsdd_s0\?",
    ),
    "a dataset nobody knows": (
        ["data", "prepare", "fsd"],
        r"dataset: 'fsd' is not one of 'spoken-digits', .+",
    ),
    "a condition that a dataset lacks": (
        ["data", "prepare", "fsdd", "--condition", "clean"],
        r"condition: 'clean' is given, but fsdd has none; leave it out",
    ),
    "a dataset verified before it is made": (
        ["data", "verify", "fsdd"],
        r"cache \S+: not prepared; run 'clar-sweep data prepare fsdd'",
    ),
}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a good sweep, a damaged run, and a run that is in use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLAR_SWEEPS_CACHE", str(tmp_path / "cache"))
    for name in ("CLAR_SWEEPS_DATA", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("clar_sweeps.tuning.slots._GPU_DRIVERS", ())
    Path("good.yaml").write_text(GOOD)
    Path("greedy.yaml").write_text(GOOD + "resources: {cpus_per_trial: 4096}\n")
    Path("empty").mkdir()
    Path("damaged").mkdir()
    Path("damaged/plan.json").write_text("{")
    with opened(Path("busy"), load_sweep(Path("good.yaml"))):
        yield tmp_path


def assert_refused(arguments: list[str], patterns: list[str]) -> None:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    lines = result.stderr.splitlines()
    assert result.exit_code == 2, result.stderr
    assert len(lines) == len(patterns), result.stderr
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("fault", FILES)
def test_a_bad_file_is_told_line_by_line(fault: str) -> None:
    text, patterns = FILES[fault]
    Path("bad.yaml").write_text(text)
    assert_refused(["plan", "bad.yaml"], patterns)


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("fault", COMMANDS)
def test_a_bad_command_is_told_in_a_line(fault: str) -> None:
    arguments, pattern = COMMANDS[fault]
    assert_refused(arguments, [pattern])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument 'FILE'"),
        (["pla", "good.yaml"], "No such command 'pla'"),
        (["plan", "good.yaml", "--sed", "1"], "No such option"),
        (["run", "good.yaml", "--max-concurrent", "two"], "Invalid value for '--max-concurrent'"),
    ],
    ids=["no file", "no such command", "no such option", "no number"],
)
def test_a_misspelt_command_line_is_told_with_its_usage(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert message in result.stderr.splitlines()[-1]


@pytest.mark.usefixtures("workplace")
def test_a_full_disk_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_json(path: Path, data: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("clar_sweeps.records.write_json", write_json)
    assert_refused(
        ["run", "good.yaml"],
        [r"runs/good/plan\.json: No space left on device; free some space and .+"],
    )


@pytest.mark.usefixtures("workplace")
def test_a_run_without_ray_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    expected = r"Ray is not installed; use --local, or run pip install 'ray\[default,tune\]'"
    assert_refused(["run", "good.yaml"], [expected])


@pytest.mark.usefixtures("workplace")
def test_a_data_folder_that_is_not_there_is_told_before_any_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLAR_SWEEPS_DATA", "nowhere")
    fault = r"fsdd: CLAR_SWEEPS_DATA is nowhere, expected a folder; correct it or unset it"
    assert_refused(["run", "good.yaml", "--local"], [fault])
