"""The command `audit`, and its short form before a run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clar_sweeps.augment import OPERATIONS
from clar_sweeps.cli import app
from clar_sweeps.data import Waveforms

SWEEP = """
name: small
fixed:
  dataset: spoken-digits
  condition: clean
  width: 2
  features: {num_bands: 32, window_length: 512, hop_length: 256, n_fft: 512}
  batch_size: 48
  epochs: 1
  warmup_epochs: 0
  optimizer: adamw
  learning_rate: 1e-3
  device: cpu
axes:
  augment: {pairs: [FD, TM]}
"""


def clar_sweep(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SWEEP)


@pytest.fixture
def silent_fade(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault to be found."""
    fault = OPERATIONS["FD"]._replace(apply=lambda waveforms, *parameters: 0 * waveforms)
    monkeypatch.setitem(OPERATIONS, "FD", fault)


def test_it_tells_of_each_chain_and_writes_numbers_and_picture(digits: Waveforms) -> None:
    result = clar_sweep("audit", "small.yaml", "--clips", "16", "--out", "out")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "spoken-digits clean, 16 clips: operations" in lines[0]
    starts = [line.split()[0] for line in lines if line.strip()]
    assert all(name in starts for name in ("FD", "TM", "FD-TM", "TM-FD"))
    assert lines[-1].startswith("4 chains keep all ")
    written = json.loads(Path("out/audit.json").read_text())
    assert [each["title"] for each in written["chains"]] == ["FD", "FD-TM", "TM-FD", "TM"]
    assert Path("out/gallery_spoken-digits.png").stat().st_size > 10_000
    assert "out/gallery_spoken-digits.png" in lines


def test_a_fault_ends_it_with_one_line_and_exit_code_2(
    digits: Waveforms, silent_fade: None
) -> None:
    result = clar_sweep("audit", "small.yaml", "--clips", "8", "--out", "out")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "operation FD of spoken-digits clean (in FD, FD-TM, TM-FD): silent: 100 % of the clips "
        "become silent (at most 25 %); two silent views are told apart by nothing; narrow its "
        "parameters, or choose clips with sound throughout"
    ]
    assert "REFUSED: silent" in result.stdout
    written = json.loads(Path("out/audit.json").read_text())
    assert written["refused"] == result.stderr.splitlines()


def test_a_run_is_refused_before_anything_is_trained(digits: Waveforms, silent_fade: None) -> None:
    result = clar_sweep("run", "small.yaml", "--local")
    assert result.exit_code == 2
    assert "operation FD of spoken-digits clean (in FD, FD-TM, TM-FD): silent" in result.stderr
    assert not list(Path("runs/small").rglob("history.jsonl"))


def test_a_run_says_that_its_chains_were_audited(digits: Waveforms) -> None:
    options = ("small.yaml", "--local", "--set", "epochs=1")
    run = clar_sweep("run", *options)
    assert run.exit_code == 0
    assert "audit: 4 chains keep all " in run.stdout
    again = clar_sweep("run", *options)
    assert again.exit_code == 0
    assert "audit" not in again.stdout  # nothing is to run
