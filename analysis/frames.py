"""Run folders as frames: a row a trial, a row an epoch."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd

from analysis.clips import COLUMNS as CLIPS
from analysis.clips import clips_in
from analysis.histories import Histories, Provenance, is_fraction, is_number, sound_rows, told
from analysis.settings import Settings
from clar_sweeps.collector import paused
from clar_sweeps.config import Trial, TrialConfig, identity
from clar_sweeps.errors import RecordError
from clar_sweeps.faults import one_line
from clar_sweeps.records import Record, State, read_json, read_record, trial_folder
from clar_sweeps.sweep import Sweep, plan_from_json

METRICS = (
    "test_top1",
    "valid_top1",
    "test_linear_top1",
    "valid_linear_top1",
    "test_knn_top1",
    "valid_knn_top1",
)
_METRICS = frozenset(METRICS)
REQUIRED_METRICS = ("test_top1", "valid_top1")
TEST_METRICS = tuple(name for name in METRICS if name.startswith("test_"))
UNTRAINED = tuple(f"untrained_{name}" for name in TEST_METRICS)
COSTS = ("train_seconds", "eval_seconds", "total_seconds", "clips_per_second")
STATES: tuple[State, ...] = get_args(State)

_TEXTS = (
    "id",
    "name",
    "state",
    "note",
    "panel",
    "dataset",
    "condition",
    "folder",
    "encoder",
    "setting",
    "profile",
    "method",
    "supervised_budget",
    "label_subset",
    "digest",
)
_TEXTS_OF_CHAIN = ("chain", "first", "second")
_COUNTS = ("seed", "epoch", "epochs")
COLUMNS = (
    *_TEXTS,
    *_TEXTS_OF_CHAIN,
    "label_fraction",
    *_COUNTS,
    *CLIPS,
    "planned",
    *METRICS,
    *COSTS,
    *UNTRAINED,
    "gain",
)
ENCODER_SIZES = {"resnet18_1d": "1-D", "resnet18_2d": "2-D"}


# pairs: matrices (Figure 4); inputs: datasets and encoders (Table 1); labels: methods on shares of
# the labels (Table 2, Figure 5).
Study = Literal["pairs", "inputs", "labels"]


class RunFrames(NamedTuple):
    """What a run folder holds, as frames.

    `trials` has the columns `COLUMNS`: a row a planned trial, then a row for each record at a seed
    that the plan does not have. Metrics are fractions and NaN unless the state is done. `panel`
    says what all cells of one matrix share; `setting` is the part of it that the sweep varies
    beside dataset and encoder, as far as it applies to the trial. `label_fraction` is NaN where no
    label is used. `note` is why a trial failed. `digest` and the counts of clips
    are of what a done trial was trained and judged on, absent where its record does not say.
    `untrained_...` are the metrics of the
    encoder that the trial starts from, `gain` is that of `test_top1` over it. `history` has a row
    an epoch.
    """

    sweep: Sweep
    study: Study
    configs: dict[str, TrialConfig]  # of all rows of `trials`, by id
    trials: pd.DataFrame
    history: pd.DataFrame
    provenance: dict[str, tuple[str, ...]]  # the distinct texts of all done trials
    num_left_out: int  # sound records of other configs
    unreadable: tuple[str, ...]  # a line for each damaged record that no planned trial owns
    untrained_faults: tuple[str, ...]  # a line for each untrained encoder that failed


class _Read(NamedTuple):
    """A folder as read: its record, or why there is none."""

    record: Record | None
    fault: str


@paused()
def load_run(run: Path) -> RunFrames:
    """Read a run folder.

    A damaged record takes only its own trial down: a row in state failed, with the fault as note.

    Raises:
        RecordError: The plan is absent, damaged or of another version.
    """
    sweep = plan_from_json(read_json(run / "plan.json"), run / "plan.json")
    baselines = [_read(folder) for folder in _opened_folders(run / "untrained")]
    untrained = _Untrained(baselines)
    folders = {trial_folder(run, trial): trial for trial in sweep.trials}
    planned = {folder.name for folder in folders}
    others = [_read(folder) for folder in _opened_folders(run / "trials", without=planned)]
    cells = _Cells()
    of_plan = dict.fromkeys(cells.of(trial.config) for trial in sweep.trials)
    cell_ids = {identity(cell) for cell in of_plan}
    planned_ids = {trial.id for trial in sweep.trials}
    extras = [read.record for read in others if read.record and _is_extra(read.record, cell_ids)]
    extras = [record for record in extras if record.trial.id not in planned_ids]
    extras.sort(key=lambda record: record.trial.config.seed)
    study = study_of(sweep)
    settings = Settings(of_plan, in_label_tables=study == "labels")
    gathered = _Gathered(settings, untrained, cells)
    for folder, trial in folders.items():
        gathered.add(trial, _read(folder, trial), planned=True)
    for record in extras:
        gathered.add(record.trial, _Read(record, ""), planned=False)
    return RunFrames(
        sweep=sweep,
        study=study,
        configs={trial.id: trial.config for trial in sweep.trials}
        | {record.trial.id: record.trial.config for record in extras},
        trials=_trials_frame(gathered.rows),
        history=gathered.histories.frame(),
        provenance=gathered.provenance.texts(),
        num_left_out=sum(read.record is not None for read in others) - len(extras),
        unreadable=tuple(read.fault for read in others if read.fault),
        untrained_faults=tuple(_untrained_faults(baselines)),
    )


def study_of(sweep: Sweep) -> Study:
    """Which of the paper's studies a sweep is laid out as."""
    if sweep.operations:
        return "pairs"
    return "labels" if any(trial.config.method != "simclr" for trial in sweep.trials) else "inputs"


def check_columns(frame: pd.DataFrame, place: str) -> None:
    """Refuse a frame that is not a trials frame.

    Raises:
        RecordError: Columns are absent.
    """
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise RecordError(f"{place}: columns {', '.join(absent)} are absent; load it with load_run")


def _opened_folders(place: Path, *, without: Collection[str] = ()) -> list[Path]:
    """Folders that hold a record, by name; those in `without` are not looked into."""
    folders = place.iterdir() if place.is_dir() else ()
    chosen = sorted(folder for folder in folders if folder.name not in without)
    return [folder for folder in chosen if (folder / "config.json").exists()]


def _read(folder: Path, trial: Trial | None = None) -> _Read:
    """Read and check one folder; a planned trial without a folder has neither record nor fault."""
    if not any((folder / name).exists() for name in ("config.json", "summary.json")):
        return _Read(None, "")
    try:
        record = read_record(folder, planned=trial)
        check_record(record)
        # Equal configs have equal ids, and are told faster than two hashes are made.
        config = record.trial.config
        is_planned = trial is None or config is trial.config or config == trial.config
        if trial is not None and not is_planned and identity(record.trial.config) != trial.id:
            raise RecordError(
                f"{folder / 'config.json'}: id is {identity(record.trial.config)}, "
                f"expected {trial.id}; remove the folder and run again"
            )
    except RecordError as error:
        return _Read(None, _within_run(folder, str(error)))
    except OSError as error:
        return _Read(None, _within_run(folder, f"{folder}: cannot be read ({error.strerror})"))
    return _Read(record._replace(history=sound_rows(record.history, metrics=_METRICS)), "")


def _within_run(folder: Path, fault: str) -> str:
    """A fault with its place in the run: the same line wherever the run lies."""
    return one_line(fault.removeprefix(f"{folder.parent.parent}/"))


def check_record(record: Record) -> None:
    """Refuse a result that cannot be.

    Raises:
        RecordError: A done trial's metric is absent or no fraction.
    """
    place = record.folder / "summary.json"
    if record.state == "done":
        metrics = record.summary["metrics"]
        for name in dict.fromkeys([*REQUIRED_METRICS, *(set(metrics) & set(METRICS))]):
            value = metrics.get(name)
            if not is_fraction(value):
                raise RecordError(
                    f"{place}: {name} is {value!r}, expected a fraction in [0, 1]; "
                    "remove it and run again"
                )


def _is_extra(record: Record, cell_ids: set[str]) -> bool:
    """Whether a record is a planned cell at some seed, run with this meaning of the fields."""
    config = record.trial.config
    return record.trial.id == identity(config) and identity(config.cell()) in cell_ids


class _Cells:
    """The config at seed 0 of each trial, one object a cell: looked up by many, derived once."""

    def __init__(self) -> None:
        self._cells: dict[TrialConfig, TrialConfig] = {}

    def of(self, config: TrialConfig) -> TrialConfig:
        """The cell that a trial belongs to."""
        cell = config.cell()
        return self._cells.setdefault(cell, cell)


class _Untrained:
    """Untrained encoders on disk, those of further seeds too, which are in no plan."""

    def __init__(self, reads: Iterable[_Read]) -> None:
        self._metrics: dict[str, dict[str, float]] = {
            read.record.trial.id: read.record.summary["metrics"]
            for read in reads
            if read.record and read.record.state == "done"
        }
        # Thousands of trials start from few encoders: each is derived and hashed once.
        self._of_cell: dict[TrialConfig, TrialConfig] = {}
        self._starts = _Cells()
        self._ids: dict[tuple[TrialConfig, int], str] = {}

    def metrics(self, cell: TrialConfig, seed: int) -> dict[str, float]:
        """Of the encoder that a trial starts from; empty where it is not evaluated."""
        if cell not in self._of_cell:
            self._of_cell[cell] = self._starts.of(cell.untrained())
        start = self._of_cell[cell]
        if (start, seed) not in self._ids:
            self._ids[start, seed] = identity(start.model_copy(update={"seed": seed}))
        return self._metrics.get(self._ids[start, seed], {})


def _untrained_faults(reads: Iterable[_Read]) -> Iterator[str]:
    for read in reads:
        if read.fault:
            yield read.fault
        elif read.record and read.record.state in ("failed", "diverged"):
            yield f"{read.record.trial.name}: {_error_line(read.record.summary) or 'failed'}"


class _Gathered:
    """The rows of both frames, as the records are read."""

    def __init__(self, settings: Settings, untrained: _Untrained, cells: _Cells) -> None:
        self.rows: list[dict[str, Any]] = []
        self.histories = Histories(["epoch", "step", "loss", "learning_rate", "seconds", *METRICS])
        self.provenance = Provenance()
        self._settings = settings
        self._untrained = untrained
        self._cells = cells

    def add(self, trial: Trial, read: _Read, *, planned: bool) -> None:
        """Take in one trial and what was read of it."""
        cell = self._cells.of(trial.config)
        setting = self._settings.text(cell)
        baseline = self._untrained.metrics(cell, trial.config.seed)
        self.rows.append(_row(trial, read, setting, baseline, planned=planned))
        if read.record is None:
            return
        self.histories.add(trial.id, read.record.history)
        # Where a trial failed says nothing about where the results come from.
        if read.record.state == "done":
            self.provenance.add(read.record.summary["provenance"])


def _row(
    trial: Trial,
    read: _Read,
    setting: str,
    baseline: Mapping[str, float],
    *,
    planned: bool,
) -> dict[str, Any]:
    config, record = trial.config, read.record
    state: State = "failed" if read.fault else record.state if record else "missing"
    summary = record.summary if record else {}
    # A failed trial may have evaluated before: its numbers are no result.
    metrics = summary.get("metrics", {}) if state == "done" else {}
    provenance = summary.get("provenance", {}) if state == "done" else {}
    digest = provenance.get("dataset_digest")
    first, second = _pair(config)
    return {
        "id": trial.id,
        "name": trial.name,
        "state": state,
        "note": read.fault or _error_line(summary),
        "panel": panel_label(config, setting),
        "dataset": config.dataset,
        "condition": config.condition,
        "folder": config.folder,
        "encoder": config.encoder,
        "setting": setting or None,
        "profile": config.profile,
        "method": config.method,
        "supervised_budget": config.supervised_budget,
        "label_subset": config.label_subset,
        "digest": told(digest) if isinstance(digest, str) else None,
        "chain": "+".join(config.augment),
        "first": first,
        "second": second,
        "label_fraction": config.label_fraction,
        "seed": config.seed,
        "epoch": max((row["epoch"] for row in record.history), default=0) if record else 0,
        "epochs": config.epochs,
        **dict(zip(CLIPS, clips_in(provenance), strict=True)),
        "planned": planned,
        **{name: metrics.get(name) for name in METRICS},
        **{name: _number(summary.get("cost", {}).get(name)) for name in COSTS},
        **{f"untrained_{name}": baseline.get(name) for name in TEST_METRICS},
        "gain": metrics["test_top1"] - baseline["test_top1"] if metrics and baseline else None,
    }


def _number(value: Any) -> float | None:
    try:
        return float(value) if is_number(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _error_line(summary: Mapping[str, Any]) -> str | None:
    error = summary.get("error")
    if not error:
        return None
    if not isinstance(error, dict):
        return one_line(str(error))
    return one_line(f"{error.get('type', 'error')}: {error.get('message', '')}")


def _pair(config: TrialConfig) -> tuple[str | None, str | None]:
    """First and second operation; one operation is the pair with itself (the diagonal)."""
    match config.augment:
        case (only,):
            return only, only
        case (first, second):
            return first, second
        case _:
            return None, None


def panel_label(config: TrialConfig, setting: str) -> str:
    """What all cells of one matrix share, in words."""
    data = dataset_label(config.dataset, config.condition, config.folder)
    label = f"{data}, {ENCODER_SIZES[config.encoder]} encoder"
    return f"{label}, {setting}" if setting else label


def dataset_label(dataset: str, condition: str | None, folder: str | None) -> str:
    """A dataset with its recording condition, or the name of one's own recordings."""
    if folder:
        return f"{folder} (own recordings)"
    return f"{dataset} ({condition})" if condition else dataset


def _trials_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    types = dict.fromkeys((*_TEXTS, *_TEXTS_OF_CHAIN), "string")
    types |= dict.fromkeys(_COUNTS, "int64") | dict.fromkeys(CLIPS, "Int64") | {"planned": "bool"}
    types |= dict.fromkeys((*METRICS, *COSTS, *UNTRAINED, "gain", "label_fraction"), "float64")
    return frame.astype(types)
