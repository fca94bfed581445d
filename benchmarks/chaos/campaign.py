"""All rounds over all sweeps: undisturbed runs, disturbed copies, and what they left behind."""

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.chaos.compare import summaries
from benchmarks.chaos.outcome import Copy, Reference
from benchmarks.chaos.processes import kill, processes_in
from benchmarks.chaos.rounds import Block, block_of, disturb_copy
from benchmarks.chaos.stages import STAGES, StageName, staged, why_not
from benchmarks.chaos.sweeps import Shape, clar_sweep, environment, write_sweep, write_tones

# What a run that was killed has started ends by itself, within seconds where nothing else is busy.
_LONGEST_LIFE_SECONDS = 30.0


class Campaign:
    """Rounds of one seed; the sweeps run undisturbed where they are first needed."""

    def __init__(self, base: Path, *, seed: int) -> None:
        """Prepare the dataset.

        Args:
            base: An empty folder with a short path: Ray's sockets lie in it.
            seed: Decides what is done when.
        """
        self.base = base
        self.seed = seed
        self.environment = environment(base)
        self.copies: list[Copy] = []
        self.not_done: dict[StageName, str] = {}
        self._references: dict[str, Reference] = {}
        (base / "ray").mkdir()
        write_tones(base / "data")
        for stage in dict.fromkeys(STAGES):
            if reason := why_not(stage, base / "trial of a stage"):
                self.not_done[stage] = reason
                _tell(f"not done: {stage}: {reason}")

    def run(self, numbers: Iterable[int]) -> None:
        """Do rounds; those that a copy finished before are done to another one."""
        blocks: dict[Block, list[int]] = {}
        for number in numbers:
            blocks.setdefault(block_of(number), []).append(number)
        for block, left in blocks.items():
            while left and block.stage not in self.not_done:
                copy = self.disturb(block.shape, block.stage, left)
                # Where it finished before the first: another copy would as well.
                left = left[max(1, len(copy.rounds)) :]
        self.await_ends()

    def disturb(self, shape: Shape, stage: StageName, numbers: list[int]) -> Copy:
        """Do rounds to one copy of a sweep, and judge it."""
        reference = self.reference(shape)
        work = self.base / f"copy_{len(self.copies) + 1:02}"
        with staged(stage, work, self.environment) as place:
            copy = disturb_copy(reference, place, stage, numbers, seed=self.seed, tell=_tell)
        self.copies.append(copy)
        faults = "".join(f"\n    FAULT {fault}" for fault in copy.faults)
        _tell(
            f"    {shape.name} ({stage}): {len(copy.rounds)} rounds, {copy.attempts} commands, "
            f"{copy.seconds:.0f} s; {'differs' if copy.faults else 'nothing lost, equal'}{faults}"
        )
        return copy

    def reference(self, shape: Shape) -> Reference:
        """A sweep that runs undisturbed, once."""
        if shape.name not in self._references:
            self._references[shape.name] = self._run_undisturbed(shape)
        return self._references[shape.name]

    def _run_undisturbed(self, shape: Shape) -> Reference:
        work = self.base / shape.name
        work.mkdir()
        file, run = write_sweep(work, shape), work / "run"
        started = time.monotonic()
        # Without Ray: as little as can be between the sweep and its records.
        finished = subprocess.run(
            clar_sweep("run", str(file), "--run-dir", str(run), "--local"),
            cwd=work,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - started
        num_trials = len(summaries(run))
        if finished.returncode != shape.exit_code or not num_trials:
            raise RuntimeError(f"{shape.name} does not run undisturbed: {finished.stderr}")
        _tell(f"    {shape.name} undisturbed: {num_trials} records in {seconds:.0f} s")
        return Reference(shape, file, run, finished.returncode, num_trials, seconds)

    def await_ends(self) -> None:
        """See that no process of any copy is left, and nothing of a Ray's; they have some time."""
        for copy in self.copies:
            while left := processes_in(copy.work):
                if time.monotonic() - copy.ended_at > _LONGEST_LIFE_SECONDS:
                    copy.faults.append(f"processes are left behind: {left}")
                    for pid in left:
                        kill(pid)
                    break
                time.sleep(0.2)
        while left_files := [path.name for path in (self.base / "ray").iterdir()]:
            if time.monotonic() - self.copies[-1].ended_at > _LONGEST_LIFE_SECONDS:
                self.copies[-1].faults.append(f"files of Ray's are left behind: {left_files}")
                break
            time.sleep(0.2)

    def faults(self) -> list[str]:
        """All that was lost, differs, or was left behind."""
        return [
            f"{copy.sweep} ({copy.stage}): {fault}"
            for copy in self.copies
            for fault in (*copy.faults, *(fault for each in copy.rounds for fault in each.faults))
        ]


def _tell(line: str) -> None:
    print(line, flush=True)
