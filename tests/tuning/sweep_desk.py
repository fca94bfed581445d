"""A working folder with a prepared dataset, sweeps of tiny trials, and the command line."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from clar_sweeps import records
from clar_sweeps.records import Record

Finished = subprocess.CompletedProcess[str]

TINY = """
name: tiny
fixed:
  dataset: fsdd
  width: 2
  features: {num_bands: 8, window_length: 256, hop_length: 1024, n_fft: 256}
  batch_size: 8
  epochs: 2
  warmup_epochs: 0
  optimizer: adamw
"""


class Desk(NamedTuple):
    """A working folder with a prepared dataset, and `clar-sweep` in it."""

    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        code = "from clar_sweeps.cli import main; main()"
        return [sys.executable, "-c", code, *arguments]

    def clar_sweep(self, *arguments: str, timeout: float = 240) -> Finished:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def write_sweep(self, name: str, axes: str) -> str:
        file = f"{name}.yaml"
        text = TINY.replace("name: tiny", f"name: {name}") + axes
        (self.folder / file).write_text(text)
        return file


def all_records(run: Path) -> list[Record]:
    folders = [path.parent for path in sorted(run.glob("*/*/config.json"))]
    return [records.read_record(folder) for folder in folders]


def results(run: Path) -> dict[str, tuple[object, ...]]:
    """What does not depend on where and how fast the trials of a run ran, by id."""
    return {record.trial.id: _results(record) for record in all_records(run)}


def _results(record: Record) -> tuple[object, ...]:
    measured = ("seconds", "clips_per_second")
    history = [
        {name: value for name, value in row.items() if name not in measured}
        for row in record.history
    ]
    error = record.summary["error"] or {}
    return (
        record.state,
        record.summary["metrics"],
        history,
        error.get("type"),
        error.get("message"),
        sorted(record.summary["provenance"]),
        (record.folder / "config.json").read_text(),
    )
