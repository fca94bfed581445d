"""Runs of Weights & Biases: a project a run folder, a run a trial, with the trial's id."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clar_sweeps.config import Trial
from clar_sweeps.errors import ConfigError
from clar_sweeps.records import State


def check_wandb_login() -> None:
    """Refuse to start where W&B would ask for a key in the middle of the run.

    Raises:
        ConfigError: It is to be reached and no key is known.
    """
    import wandb

    settings = wandb.setup().settings
    if settings.mode == "online" and not settings._offline and not wandb.api.api_key:
        raise ConfigError(
            "--log wandb: no API key is known; run 'wandb login', set WANDB_API_KEY, or set "
            "WANDB_MODE=offline and send it later by 'wandb sync'"
        )


class WandbRuns:
    """See `Tracker`."""

    def __init__(self, run: Path) -> None:
        """Keep W&B's own files in a run folder's `wandb`; its name is the project's."""
        self._run = run

    def open(self, trial: Trial) -> "_WandbRun":
        """Begin the trial's run, or continue it."""
        import wandb

        return _WandbRun(
            wandb.init(
                dir=str(self._run),
                project=self._run.absolute().name,
                id=trial.id,
                name=trial.name,
                config=trial.config.model_dump(mode="json"),
                resume="allow",
                reinit="create_new",  # trials that train at once have a run each
                settings=wandb.Settings(
                    console="off",
                    silent=True,
                    save_code=False,
                    disable_git=True,
                    # Of the driver's machine, which trains nothing.
                    x_disable_stats=True,
                    x_disable_machine_info=True,
                ),
            )
        )


class _WandbRun:
    def __init__(self, run: Any) -> None:
        self._run = run
        # A continued run starts behind its last step; offline it starts at 0, and a step that the
        # server has is not taken twice.
        self.last_epoch = max(0, run.starting_step - 1)

    def write(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self._run.log({"epoch": epoch, **numbers}, step=epoch, commit=True)

    def close(self, state: State, metrics: Mapping[str, float]) -> None:
        final = {f"final/{name}": value for name, value in metrics.items()}
        self._run.summary.update({**final, "state": state})
        self._run.finish(exit_code=int(state in ("failed", "diverged")))
