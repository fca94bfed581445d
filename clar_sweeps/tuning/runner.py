"""A sweep's missing trials through Ray Tune, a fresh experiment each time."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from clar_sweeps.config import Trial
from clar_sweeps.sweep import Resources
from clar_sweeps.tuning.cluster import ray_running
from clar_sweeps.tuning.progress import Progress
from clar_sweeps.tuning.slots import Slots, share_out
from clar_sweeps.tuning.trainable import Order, train_in_ray

_STORAGE = ".ray"  # Tune's own files, of no use once it has ended


def run_with_ray(
    trials: Sequence[Trial],
    run: Path,
    *,
    resources: Resources,
    slots: Slots | None,
    progress: Progress,
    set_up: Callable[[Path], object],
) -> None:
    """Train trials, as many at once as fit; each leaves a record, whatever happens to it.

    Args:
        trials: The missing ones, in order.
        run: The run folder, on a path that all machines of a cluster share.
        resources: What a trial asks for.
        slots: Of this machine; None on a cluster, where Ray tells what there is.
        progress: Told of starts, epochs and ends.
        set_up: Called in each process of Ray's with the run folder, such as to set up its log.

    Raises:
        ConfigError: A trial asks for more than a cluster has, or the cluster cannot be reached.
        OSError: A record cannot be written.
    """
    with ray_running(run, slots=slots, progress=progress) as machine:
        if slots is None:
            slots = share_out(machine, resources, trials)
            progress.use_slots(slots.num)
            progress.note(f"on the cluster: {slots.describe()}")
        orders = [
            Order(
                config=trial.config.model_dump(mode="json"),
                run=str(run.absolute()),
                cpus=slots.cpus,
                gpus=slots.gpus,
                set_up=set_up,
            )._asdict()
            for trial in trials
        ]
        storage = run.absolute() / _STORAGE
        shutil.rmtree(storage, ignore_errors=True)  # of a run that was killed
        try:
            _tune(orders, run, storage, slots=slots, progress=progress)
        finally:
            shutil.rmtree(storage, ignore_errors=True)


def _tune(
    orders: list[dict[str, Any]], run: Path, storage: Path, *, slots: Slots, progress: Progress
) -> None:
    from ray import tune

    from clar_sweeps.tuning.experiment import Bookkeeper, InOrder

    in_order = InOrder(orders, limit=slots.num)
    bookkeeper = Bookkeeper(in_order, progress, run)
    tuner = tune.Tuner(
        tune.with_resources(train_in_ray, {"cpu": slots.cpus, "gpu": slots.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=in_order,
            num_samples=len(orders),
            # 0.2 s a trial, not 2 to 5; a trial of minutes had better have a clean process.
            reuse_actors=not slots.gpus,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name="experiment",
            storage_path=str(storage),
            # Of a process that died; a trial that fails by itself returns, with its record.
            failure_config=tune.FailureConfig(max_failures=2),
            callbacks=[bookkeeper],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except tune.TuneError as error:
        if bookkeeper.fault:
            raise bookkeeper.fault from error
        raise


def _name(trial: Any) -> str:
    return Order(**trial.config).trial.folder
