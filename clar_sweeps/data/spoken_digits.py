"""The built-in dataset: ten digits spoken by espeak-ng, made in seconds without a download."""

import errno
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from clar_sweeps.data import speech_commands_layout
from clar_sweeps.data.waveforms import Listing, Progress
from clar_sweeps.errors import DataError, DependencyError

NUM_SPEAKERS = 60
NUM_TAKES = 5
MANIFEST = "MANIFEST.json"
_WORKER = "clar_sweeps.data.spoken_digits_worker"


def list_clips(
    folder: Path,
    *,
    condition: str,
    num_speakers: int = NUM_SPEAKERS,
    num_takes: int = NUM_TAKES,
    progress: Progress | None = None,
) -> Listing:
    """Speak the set into `folder`, an empty one, and list its clips.

    Raises:
        DependencyError: espeakng-loader is not installed.
        DataError: the worker failed.
    """
    generate(
        folder,
        condition=condition,
        num_speakers=num_speakers,
        num_takes=num_takes,
        progress=progress,
    )
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    listing = speech_commands_layout.list_clips(folder)
    return listing._replace(expected_sha256=manifest["pcm_sha256"])


def generate(
    folder: Path,
    *,
    condition: str,
    num_speakers: int = NUM_SPEAKERS,
    num_takes: int = NUM_TAKES,
    seed: int = 0,
    espeak_data: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a set of spoken digits in Speech Commands layout, with a manifest.

    Equal arguments give equal samples on one machine. A separate process speaks: espeak-ng
    is under the GPL, keeps state from clip to clip, and may end the process that it is in.

    Args:
        folder: Absent or empty.
        condition: How hard the set is: "clean", "field", "medium" or "hard".
        num_speakers: Three fifths for training, a fifth each for validation and test.
        num_takes: Clips of each speaker and digit.
        seed: Draws speakers, rooms and noise.
        espeak_data: The library's data folder; None takes the one installed with it.
        progress: Called with ("speak", done, total).

    Raises:
        DependencyError: espeakng-loader is not installed.
        DataError: the worker failed.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise DependencyError(
            "spoken-digits: package espeakng-loader is not installed, needed to speak the "
            "clips; run 'pip install \"clar-sweeps[demo]\"'"
        )
    command = [sys.executable, "-m", _WORKER, "--out", str(folder), "--condition", condition]
    command += ["--speakers", str(num_speakers), "--takes", str(num_takes), "--seed", str(seed)]
    if espeak_data is not None:
        command += ["--espeak-data", str(espeak_data)]
    _run_worker(command, progress)


def _run_worker(command: list[str], progress: Progress | None) -> None:
    # The worker finds this package also where it was put on sys.path by hand.
    package_parent = str(Path(__file__).resolve().parents[2])
    search_path = os.pathsep.join(filter(None, [package_parent, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": search_path}
    # A file, not a pipe: nobody reads it while the worker runs, and a full pipe would block.
    with tempfile.TemporaryFile("w+") as stderr:
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
        )
        with worker:
            try:
                assert worker.stdout is not None
                _report(worker.stdout, progress)
            except BaseException:
                worker.kill()
                raise
        if worker.returncode != 0:
            stderr.seek(0)
            raise DataError(_failure(worker.returncode, stderr.read()))


def _report(lines: IO[str], progress: Progress | None) -> None:
    for line in lines:
        done, _, total = line.strip().partition(" ")
        if progress is not None and done.isdigit() and total.isdigit():
            progress("speak", int(done), int(total))


def _failure(returncode: int, stderr: str) -> str:
    if returncode < 0:
        ending = f"by signal {signal.Signals(-returncode).name}"
    else:
        ending = f"with exit code {returncode}"
    last_line = (stderr.strip().splitlines() or ["no message"])[-1].strip()
    if os.strerror(errno.ENOSPC) in last_line:
        return (
            f"spoken-digits: {last_line}; free 200 MB, or set CLAR_SWEEPS_CACHE to a folder on "
            "another disk"
        )
    return (
        f"spoken-digits: the espeak-ng worker ended {ending} ({last_line}), expected exit code "
        "0; reinstall espeakng-loader and run it again"
    )
