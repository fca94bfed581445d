"""Small run folders, written with the functions that write real ones."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clar_sweeps import records
from clar_sweeps.config import Trial, TrialConfig, make_trial
from clar_sweeps.sweep import Recovery, Resources, Sweep, plan_to_json

PROVENANCE = {"torch": "2.11.0", "device": "a processor", "dataset_digest": "0123abcd"}
EPOCHS = 6


def trial_of(*augment: str, seed: int = 0, **fields: Any) -> Trial:
    """A small trial of a chain of operations."""
    settings = {"epochs": EPOCHS, "warmup_epochs": 1.0, "width": 8, "eval_every": 6, **fields}
    config = TrialConfig.model_validate({**settings, "augment": augment, "seed": seed})
    return make_trial(config)


def label_trials(
    *, seed: int = 0, chain: tuple[str, ...] = ("FD", "TM"), **fields: Any
) -> list[Trial]:
    """The nine trials of a table of labelled shares: supervised, SimCLR, CLAR."""
    shares = (1.0, 0.2, 0.1, 0.01)
    return [
        *(trial_of(*chain, seed=seed, method="supervised", label_fraction=share, **fields)
          for share in shares),
        trial_of(*chain, seed=seed, **fields),
        *(trial_of(*chain, seed=seed, method="clar", label_fraction=share, **fields)
          for share in shares),
    ]  # fmt: skip


def metrics_of(test: float, valid: float | None = None) -> dict[str, float]:
    """All six metrics: the linear probe is 0.05 better than the head, the neighbours 0.05 worse."""
    chosen = test if valid is None else valid
    metrics = {
        "test_top1": test,
        "valid_top1": chosen,
        "test_linear_top1": test + 0.05,
        "valid_linear_top1": chosen + 0.05,
        "test_knn_top1": test - 0.05,
        "valid_knn_top1": chosen - 0.05,
    }
    return {name: min(1.0, value) for name, value in metrics.items()}


class Run:
    """A run folder in the making."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def plan(self, *trials: Trial, operations: tuple[str, ...] = ()) -> None:
        """Write the plan of these trials."""
        baselines = dict.fromkeys(make_trial(trial.config.untrained()) for trial in trials)
        sweep = Sweep(
            name="tiny",
            description="A sweep of a test",
            operations=operations,  # type: ignore[arg-type]  # names of the test's own
            trials=trials,
            baselines=tuple(baselines),
            resources=Resources.model_validate({}),
            recovery=Recovery.model_validate({}),
        )
        records.write_json(self.path / "plan.json", plan_to_json(sweep))

    def plan_pairs(
        self, *operations: str, seeds: tuple[int, ...] = (0,), **fields: Any
    ) -> list[Trial]:
        """Write the plan of all ordered pairs of operations, and give its trials."""
        pairs = list(itertools.product(operations, repeat=2))
        trials = [trial_of(*pair, seed=seed, **fields) for seed in seeds for pair in pairs]
        self.plan(*trials, operations=operations)
        return trials

    def folder(self, trial: Trial) -> Path:
        """The trial's folder."""
        return records.trial_folder(self.path, trial)

    def open(self, trial: Trial, *, epochs: int) -> None:
        """Write a trial that has trained so many epochs and not ended."""
        self.evaluated(trial, {}, epochs=epochs)

    def evaluated(self, trial: Trial, curve: Mapping[int, float], *, epochs: int) -> None:
        """Write a trial that has trained so many epochs, with test top-1 at those of `curve`."""
        folder = self.folder(trial)
        records.write_config(folder, trial)
        for epoch in range(1, epochs + 1):
            row = {"epoch": epoch, "step": 4 * epoch, "loss": 5.0 - epoch, "seconds": 2.0}
            metrics = metrics_of(curve[epoch]) if epoch in curve else {}
            records.append_history(folder, row | {"learning_rate": 0.001} | metrics)

    def done(
        self,
        trial: Trial,
        *,
        test: float,
        valid: float | None = None,
        curve: Mapping[int, float] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a trial that is done, or an untrained encoder."""
        self.evaluated(trial, curve or {}, epochs=trial.config.epochs)
        self._close(trial, "done", metrics_of(test, valid), None, provenance)

    def failed(self, trial: Trial, *, message: str = "out of memory") -> None:
        """Write a trial that ended in an error after an evaluation."""
        self.open(trial, epochs=2)
        error = {"type": "RuntimeError", "message": message, "traceback": "a long text"}
        self._close(trial, "failed", metrics_of(0.99), error)

    def diverged(self, trial: Trial) -> None:
        """Write a trial whose loss was not finite."""
        self.open(trial, epochs=1)
        error = {"type": "DivergedError", "message": "loss is nan", "traceback": "a long text"}
        self._close(trial, "diverged", {}, error)

    def untrained(self, trial: Trial, *, test: float) -> None:
        """Write the untrained encoder that a trial starts from."""
        self.done(make_trial(trial.config.untrained()), test=test)

    def _close(
        self,
        trial: Trial,
        state: records.EndState,
        metrics: dict[str, float],
        error: dict[str, str] | None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        records.write_summary(
            self.folder(trial),
            trial,
            state=state,
            metrics=metrics,
            cost={"train_seconds": 12.5, "eval_seconds": 2.0, "total_seconds": 15.0},
            provenance=PROVENANCE | dict(provenance or {}),
            error=error,
        )


def write_labels(run: Run) -> None:
    """Write the nine trials of a table of labelled shares, evaluated at epochs 3 and 6."""
    trials = label_trials(eval_every=3)
    run.plan(*trials)
    tests = (0.90, 0.80, 0.60, 0.20, 0.70, 0.95, 0.85, 0.75, 0.65)
    for trial, test in zip(trials, tests, strict=True):
        run.done(trial, test=test, curve={3: test / 2, 6: test})
    run.untrained(trials[0], test=0.30)
