"""What a run refuses to add to: links to elsewhere, and results of other clips."""

import os
from collections.abc import Iterable
from pathlib import Path

from clar_sweeps import records
from clar_sweeps.config import Trial
from clar_sweeps.errors import RecordError
from clar_sweeps.run_folder.plan import read_plan, state_of


def refuse_links(run: Path) -> None:
    """Refuse what lies elsewhere: a stranger's run folder must not have us write or delete there.

    The run folder itself may be reached by a link, and so may be its report.

    Raises:
        RecordError: A link in the run folder leads out of it.
    """
    inside = run.resolve()
    for folder in (run, run / "trials", run / "untrained"):
        for place in folder.iterdir() if folder.is_dir() else ():
            # Not by Path.resolve, which raises where a link leads to itself.
            end = Path(os.path.realpath(place)) if place.is_symlink() else inside
            if not end.is_relative_to(inside) and place != run / "report":
                raise RecordError(f"{place}: is a link out of the run folder; remove it")


def refuse_other_clips(to_run: Iterable[Trial], run: Path) -> None:
    """Compare the clips of a run's results with those that are prepared now.

    Args:
        to_run: The trials that are to be added; only their datasets are looked at.
        run: The run folder, with the plan of all its trials.

    Raises:
        RecordError: A result is of other clips, so those to come could not be compared with it.
    """
    from clar_sweeps import data  # numpy, which `plan` and `status` do without

    prepared = {
        clips: data.load(*clips).digest for clips in {trial.config.clips for trial in to_run}
    }
    plan = read_plan(run)
    for trial in (*plan.baselines, *plan.trials):
        if trial.config.clips not in prepared or state_of(run, trial) != "done":
            continue
        place = records.trial_folder(run, trial) / "summary.json"
        before = records.read_json(place)["provenance"].get("dataset_digest")
        now = prepared[trial.config.clips]
        if before != now:
            raise RecordError(
                f"{place}: trained on other clips of {trial.config.folder or trial.config.dataset} "
                f"(digest {str(before)[:12]}) than are prepared now ({now[:12]}); give another "
                "--run-dir or prepare those of before"
            )
