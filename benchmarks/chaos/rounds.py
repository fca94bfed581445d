"""Which round does what, and what came of it."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.chaos.compare import differences, strays, summaries
from benchmarks.chaos.damage import Done
from benchmarks.chaos.deeds import choose_deed
from benchmarks.chaos.outcome import Copy, Reference, Round
from benchmarks.chaos.processes import is_at_work, processes_in
from benchmarks.chaos.running import Running, StandstillError, Wound
from benchmarks.chaos.stages import STAGES, Place, StageName
from benchmarks.chaos.sweeps import SHAPES, Shape
from clar_sweeps import records
from clar_sweeps.checkpoint import load_checkpoint, previous
from clar_sweeps.errors import CheckpointError

# Less than the retries that a trial has: random kills alone must not fail it.
ROUNDS_OF_A_COPY = 5
_MOST_ATTEMPTS = 4 * ROUNDS_OF_A_COPY
_LONGEST_DELAY_SECONDS = 4.0
_LONGEST_END_SECONDS = 60.0
_SHARE_EARLY = 0.3


class Block(NamedTuple):
    """Rounds that are done to one copy, if it lasts."""

    number: int
    shape: Shape
    stage: StageName


def block_of(number: int) -> Block:
    """The block of a round; sweeps and stages take turns."""
    block = (number - 1) // ROUNDS_OF_A_COPY
    return Block(block, SHAPES[block % len(SHAPES)], STAGES[block % len(STAGES)])


def disturb_copy(
    reference: Reference,
    place: Place,
    stage: StageName,
    numbers: Iterable[int],
    *,
    seed: int,
    tell: Callable[[str], None],
) -> Copy:
    """Run a copy, disturb it in rounds, let it finish, and judge what it leaves.

    Rounds that come when the copy has finished are left over.
    """
    copy = Copy(reference.shape.name, stage, place.work)
    running = Running(reference.file, place, num_trials=reference.num_trials)
    kept: dict[Path, tuple[int, bytes]] = {}
    started = time.monotonic()
    running.start()
    try:
        for number in numbers:
            draws = random.Random(f"{seed}/{number}")
            moment = _Moment(number, copy.sweep, stage, started)
            done = _disturb(running, moment, draws, kept)
            if done is None:
                break
            _close_last(copy, running, tell)
            copy.rounds.append(done)
        running.finish(most_attempts=_MOST_ATTEMPTS)
        _close_last(copy, running, tell)
        copy.faults += _judge(running, reference, kept)
    except StandstillError as error:
        running.faults.append(f"{error}; {processes_in(place.work)}")
        _close_last(copy, running, tell)
        running.end()
    except BaseException:
        running.end()
        raise
    copy.attempts, copy.ended_at = running.attempts, time.monotonic()
    copy.seconds = copy.ended_at - started
    return copy


def _close_last(copy: Copy, running: Running, tell: Callable[[str], None]) -> None:
    """Tell of the last round, now that its consequence is known."""
    if copy.rounds:
        copy.rounds[-1].faults += running.faults
        tell(copy.rounds[-1].line())
    else:
        copy.faults += running.faults
    running.faults.clear()


class _Moment(NamedTuple):
    """What is known of a round before it is done."""

    number: int
    sweep: str
    stage: StageName
    started: float


def _disturb(
    running: Running,
    moment: _Moment,
    draws: random.Random,
    kept: dict[Path, tuple[int, bytes]],
) -> Round | None:
    """Wait for the moment, do the deed, see what it hit; None where the sweep finished before."""
    deed = choose_deed(moment.stage, draws)
    early = deed.early and draws.random() < _SHARE_EARLY
    delay = draws.uniform(0, _LONGEST_DELAY_SECONDS)
    done: Done | None = None
    while done is None:
        if not _await_moment(running, in_training=not early, delay=delay):
            return None
        earlier = len(running.faults)
        kept |= summaries(running.place.run)
        before = {folder: live.pid for folder, live in running.live().items()}
        trained = {folder: _epochs(folder) for folder in before}
        at = time.monotonic()
        done = deed.do(running, draws)
    code = _await_end(running, done)
    started = (
        summaries(running.place.run).keys()
        - kept.keys()
        - {folder / "summary.json" for folder in before}
    )
    if done.ends and code not in done.ends and started:
        running.faults.append(f"the command trained {len(started)} more trials nevertheless")
    hit = {
        folder: pid
        for folder, pid in before.items()
        if not (folder / "summary.json").exists()
        and (code is not None or not is_at_work(pid, running.place.work))
    }
    wound = Wound(at, hit)
    running.wounds.append(wound)
    running.may_end = done.may_end
    faults = running.faults[earlier:]
    del running.faults[earlier:]
    lost = sum(max(0, trained[folder] - _kept_epoch(folder)) for folder in hit)
    return Round(
        number=moment.number,
        sweep=moment.sweep,
        stage=moment.stage,
        kind=deed.kind,
        what=done.what,
        at_seconds=at - moment.started,
        early=early,
        exit_code=code,
        epochs_lost=lost,
        wound=wound,
        faults=faults,
    )


def _await_moment(running: Running, *, in_training: bool, delay: float) -> bool:
    """Wait until a trial is in training, and then some time; False where the sweep finished."""
    if in_training:
        running.wait_until(lambda: not running.go_on() or running.in_training())
    running.wait_until(lambda: not running.go_on(), seconds=delay)
    return not running.is_finished()


def _await_end(running: Running, done: Done) -> int | None:
    """Wait for the end of a command that must end now; give its exit code and the next command."""
    if not done.ends:
        time.sleep(0.3)  # until a process that was killed is gone
        return None
    if not running.wait_until(
        lambda: running.exit_code() is not None, seconds=_LONGEST_END_SECONDS
    ):
        running.faults.append(f"the command did not end within {_LONGEST_END_SECONDS:.0f} s")
        os.killpg(running.driver, signal.SIGKILL)
    running.may_end = done.ends
    code = running.wait()
    running.go_on()
    return code


def _epochs(folder: Path) -> int:
    """Epochs that a trial has trained, by its history."""
    return max((row["epoch"] for row in records.read_history(folder)), default=0)


def _kept_epoch(folder: Path) -> int:
    """The epoch from which a trial goes on: that of its last sound checkpoint."""
    trial = records.read_record(folder).trial
    last = folder / "checkpoint.pt"
    for path in (last, previous(last)):
        try:
            return int(load_checkpoint(path, trial_id=trial.id)["epoch"])
        except (CheckpointError, OSError):  # unsound, or there is none
            continue
    return 0


def _judge(
    running: Running, reference: Reference, kept: Mapping[Path, tuple[int, bytes]]
) -> list[str]:
    """All in a finished copy that is not as it should be."""
    run = running.place.run
    faults = differences(reference.run, run) + strays(run)
    now = summaries(run)
    faults += [
        f"{path.relative_to(run)}: was written again after its trial had ended"
        for path, content in kept.items()
        if now.get(path) != content
    ]
    if running.exit_code() != reference.code:
        faults.append(f"exit code is {running.exit_code()}, was {reference.code}")
    for folder in sorted(run.glob("*/*/")):
        with records.locked(folder, timeout_seconds=0.0) as acquired:
            if not acquired:
                faults.append(f"{folder.name}: a process still holds its lock")
    return faults
