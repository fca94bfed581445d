"""Times of the parts of trials, taken in a process that computes as a trial's does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor

from clar_sweeps import data, records, rng
from clar_sweeps.augment import Chain, build_chain
from clar_sweeps.calibration.parts import Evaluation, Operation, Part, Steps
from clar_sweeps.calibration.stopwatch import timed
from clar_sweeps.config import SAMPLE_RATE, TrialConfig
from clar_sweeps.data import SPLITS, Split, Waveforms
from clar_sweeps.trainer import Trainer
from clar_sweeps.trainer.device import build_features, choose_device
from clar_sweeps.trainer.loading import WaveformLoader

# Of one part, once it is warm; a part that takes longer is timed once.
_SECONDS = 4.0
_SECONDS_OF_OPERATION = 1.0
_MOST_TIMES = 60
_WARM_UP_STEPS = 2
_FEW_CLIPS = 128


class Times(NamedTuple):
    """What a part takes where no other process wants the CPU."""

    seconds: float  # a step, an evaluation, an operation on a batch
    build_seconds: float = 0.0  # of a trainer, with its data mapped
    save_seconds: float = 0.0  # of a checkpoint and a line of history
    checkpoint_bytes: int = 0

    def times_as_long(self, slowdown: float) -> "Times":
        """The same where all takes so many times as long."""
        return self._replace(
            seconds=slowdown * self.seconds,
            build_seconds=slowdown * self.build_seconds,
            save_seconds=slowdown * self.save_seconds,
        )


def time_part(part: Part, scratch: Path) -> Times:
    """Time a part as often as fits into a few seconds, and at least once.

    Args:
        part: Of a trial.
        scratch: Folder for a checkpoint, on the disk of the run folder.

    Raises:
        UsageError: As of a trial: clips, a precision, an option that cannot be.
        DiskFullError: A checkpoint did not fit.
    """
    if isinstance(part, Steps):
        return _time_steps(part.config, scratch)
    if isinstance(part, Evaluation):
        return _time_evaluation(part.config)
    return _time_operation(part.config)


def warm_up(parts: Sequence[Part]) -> float:
    """Seconds that a process loses with its first trial, beside what any trial takes.

    Loops that are not compiled yet are compiled first, which happens once on a machine and does
    not count.
    """
    for part in parts:
        _compile(part)
    chosen = next(part for part in parts if not isinstance(part, Operation))
    first, again = (timed(lambda: _short_trial(chosen.config))[0] for _ in range(2))
    return max(0.0, first - again)


def _compile(part: Part) -> None:
    waveforms = _waveforms(part.config, clips=2)
    if isinstance(part, Operation):
        _chain(part.config)(waveforms, rng.generator(0, "augment", 0, device=waveforms.device))
    else:
        build_features(part.config).to(waveforms.device)(waveforms)


def _short_trial(config: TrialConfig) -> None:
    trainer = _trainer(config)
    if config.epochs:
        _train(trainer, num_steps=1)
    trainer.waveforms = _excerpt(trainer.waveforms, share=0.0)
    trainer.evaluate()


def _time_steps(config: TrialConfig, scratch: Path) -> Times:
    build_seconds, trainer = timed(lambda: _trainer(config))
    seconds = _train(trainer, num_steps=1)
    if seconds < _SECONDS:  # in a longer step it is lost that it was the first
        seconds = _train(trainer, num_steps=_WARM_UP_STEPS)
        seconds = _train(trainer, num_steps=_times(seconds, within=_SECONDS))
    path = scratch / "checkpoint.pt"
    for _ in range(2):  # of which the first makes the files
        save_seconds, _ = timed(lambda: _save(trainer, path))
    return Times(seconds, build_seconds, save_seconds, path.stat().st_size)


def _save(trainer: Trainer, path: Path) -> None:
    records.append_history(path.parent, {"epoch": 1})
    trainer.save(path, trial_id="", progress={})


def _trainer(config: TrialConfig) -> Trainer:
    waveforms = data.load(*config.clips)
    return Trainer(config, waveforms)


def _train(trainer: Trainer, *, num_steps: int) -> float:
    """Seconds of one of some steps; fewer are taken where an epoch has no more."""
    whole = trainer.training_set.steps_per_epoch
    trainer.training_set.steps_per_epoch = min(num_steps, whole)
    trainer.epoch = 0
    try:
        return timed(trainer.train_epoch)[0] / trainer.training_set.steps_per_epoch
    finally:
        trainer.training_set.steps_per_epoch = whole


def _time_evaluation(config: TrialConfig) -> Times:
    build_seconds, trainer = timed(lambda: _trainer(config))
    whole = trainer.waveforms
    seconds, share = 0.0, 0.0
    # First a few clips, by which the share is found that takes the time that is to be given.
    for _ in range(2):
        trainer.waveforms = _excerpt(whole, share=share)
        seconds, _ = timed(trainer.evaluate)
        seconds *= len(whole.samples) / sum(map(bool, trainer.waveforms.splits))
        share = min(1.0, _SECONDS / seconds)
    return Times(seconds, build_seconds)


def _excerpt(waveforms: Waveforms, *, share: float) -> Waveforms:
    """The first clips of each split, some at the least; all others are in none."""
    splits = [""] * len(waveforms.splits)
    for split in SPLITS:
        clips = waveforms.indices(split)
        for clip in clips[: max(_FEW_CLIPS, round(share * len(clips)))]:
            splits[clip] = split
    return replace(waveforms, splits=cast(tuple[Split, ...], tuple(splits)))


def _time_operation(config: TrialConfig) -> Times:
    chain = _chain(config)
    waveforms = _waveforms(config, clips=config.batch_size)
    draws = rng.generator(config.seed, "augment", 0, device=waveforms.device)

    def repeat(times: int) -> None:
        for _ in range(times):
            chain(waveforms, draws)
        if waveforms.device.type == "cuda":
            torch.cuda.synchronize()

    repeat(1)
    once, _ = timed(lambda: repeat(1))
    times = _times(once, within=_SECONDS_OF_OPERATION)
    return Times(timed(lambda: repeat(times))[0] / times)


def _chain(config: TrialConfig) -> Chain:
    return build_chain(
        config.augment,
        probabilities=config.augment_probability,
        backend=config.augment_backend,
        sample_rate=SAMPLE_RATE,
        definition=config.augment_definition,
    )


def _waveforms(config: TrialConfig, *, clips: int) -> Tensor:
    """The first training clips, (clips, time), on the config's device."""
    waveforms = data.load(*config.clips)
    loader = WaveformLoader(waveforms, choose_device(config.device))
    (batch,) = loader.batches([torch.from_numpy(waveforms.indices("train")[:clips])])
    return batch


def _times(seconds: float, *, within: float) -> int:
    """How often something is done."""
    return max(1, min(_MOST_TIMES, int(within / max(seconds, 1e-6))))
