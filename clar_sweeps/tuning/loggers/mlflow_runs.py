"""Runs of MLflow: an experiment a run folder, a run a trial, found again by its tag."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clar_sweeps.config import Trial
from clar_sweeps.records import State
from clar_sweeps.tuning.loggers.tracking import flat_fields

# MLflow gives ids of its own.
_TAG = "clar_sweeps.trial"
_STATUS = {"done": "FINISHED", "failed": "FAILED", "diverged": "FAILED", "unfinished": "KILLED"}


class MlflowRuns:
    """See `Tracker`."""

    def __init__(self, run: Path) -> None:
        """Write where MLFLOW_TRACKING_URI says, else into a run folder's `mlflow.db`."""
        from mlflow.tracking import MlflowClient

        # It tells of each step of making its database.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        # A database, for MLflow refuses its folders of files by now.
        own = f"sqlite:///{run.absolute() / 'mlflow.db'}"
        where = os.environ.get("MLFLOW_TRACKING_URI") or own
        self._client = MlflowClient(tracking_uri=where)
        name = run.absolute().name
        known = self._client.get_experiment_by_name(name)
        self._experiment = known.experiment_id if known else self._client.create_experiment(name)

    def open(self, trial: Trial) -> "_MlflowRun":
        """Begin the trial's run, or continue it."""
        found = self._client.search_runs(
            [self._experiment], filter_string=f"tags.`{_TAG}` = '{trial.id}'", max_results=1
        )
        if found:
            run_id = found[0].info.run_id
            self._client.update_run(run_id, status="RUNNING")
        else:
            run_id = self._begin(trial)
        losses = self._client.get_metric_history(run_id, "loss") if found else []
        return _MlflowRun(
            self._client, run_id, last_epoch=max((loss.step for loss in losses), default=0)
        )

    def _begin(self, trial: Trial) -> str:
        from mlflow.entities import Param

        run = self._client.create_run(self._experiment, run_name=trial.name, tags={_TAG: trial.id})
        fields = flat_fields(trial).items()
        params = [Param(name, str(value)) for name, value in fields]
        run_id: str = run.info.run_id
        self._client.log_batch(run_id, params=params)
        return run_id


class _MlflowRun:
    def __init__(self, client: Any, run_id: str, *, last_epoch: int) -> None:
        self._client = client
        self._run_id = run_id
        self.last_epoch = last_epoch

    def write(self, epoch: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, epoch) for name, value in numbers.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def close(self, state: State, metrics: Mapping[str, float]) -> None:
        final = {f"final/{name}": value for name, value in metrics.items()}
        self.write(self.last_epoch, final)
        self._client.set_tag(self._run_id, "clar_sweeps.state", state)
        self._client.set_terminated(self._run_id, status=_STATUS[state])
