"""What came of a round, and of a copy."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.chaos.running import Wound
from benchmarks.chaos.stages import StageName
from benchmarks.chaos.sweeps import Shape


class Reference(NamedTuple):
    """A sweep that ran undisturbed."""

    shape: Shape
    file: Path
    run: Path
    code: int
    num_trials: int  # baselines included
    seconds: float


@dataclass
class Round:
    """One disturbance and its consequence."""

    number: int
    sweep: str
    stage: StageName
    kind: str
    what: str
    at_seconds: float  # since the copy's first command
    early: bool  # while the command was still starting
    exit_code: int | None  # of the command that it ended
    epochs_lost: int  # trained, and to be trained again
    wound: Wound
    faults: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """As the result keeps it."""
        interrupted = sorted(folder.name for folder in self.wound.hit)
        plain = {name: value for name, value in vars(self).items() if name != "wound"}
        back = self.wound.back_seconds
        return {
            **plain,
            "at_seconds": round(self.at_seconds, 1),
            "interrupted": interrupted,
            "back_seconds": None if back is None else round(back, 1),
        }

    def line(self) -> str:
        """What a reader is told while it goes on."""
        hit, back = len(self.wound.hit), self.wound.back_seconds
        ended = "" if self.exit_code is None else f", exit code {self.exit_code}"
        again = f", back after {back:.1f} s" if back is not None else ""
        told = f"{hit} interrupted, {self.epochs_lost} epochs lost{ended}{again}"
        faults = "".join(f"\n     FAULT {fault}" for fault in self.faults)
        head = f"{self.number:3} {self.sweep} ({self.stage}) at {self.at_seconds:.0f} s"
        return f"{head}: {self.what}: {told}{faults}"


@dataclass
class Copy:
    """A copy of a sweep after its disturbances."""

    sweep: str
    stage: StageName
    work: Path
    rounds: list[Round] = field(default_factory=list)
    attempts: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    ended_at: float = 0.0  # monotonic

    def row(self) -> dict[str, Any]:
        """As the result keeps it."""
        return {
            "sweep": self.sweep,
            "stage": self.stage,
            "rounds": [each.number for each in self.rounds],
            "commands": self.attempts,
            "seconds": round(self.seconds, 1),
            "faults": self.faults,
        }
