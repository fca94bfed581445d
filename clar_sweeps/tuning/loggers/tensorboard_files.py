"""Event files for TensorBoard: `RUN/tensorboard/TRIAL/`, one file a trial."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clar_sweeps.config import Trial
from clar_sweeps.records import State
from clar_sweeps.tuning.loggers.tracking import flat_fields

_FINAL = ("test_top1", "valid_top1")


class TensorBoardFiles:
    """See `Tracker`.

    tensorboardX comes with ray[tune]; the tensorboard package, by which torch writes, is four
    times as large. Its SummaryWriter is not used: a thread and a queue of its own for each trial
    would stand still on a full disk.
    """

    def __init__(self, run: Path) -> None:
        """Write below a run folder."""
        self._root = run / "tensorboard"

    def open(self, trial: Trial) -> "_EventFile":
        """Begin the trial's file anew: the rows come from its history, so none is there twice."""
        folder = self._root / trial.folder
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob("events.out.tfevents.*"):
            earlier.unlink()
        return _EventFile(folder, trial)


class _EventFile:
    def __init__(self, folder: Path, trial: Trial) -> None:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.summary import hparams

        self.last_epoch = 0
        # The time first: TensorBoard reads the files of a folder in the order of their names.
        path = folder / f"events.out.tfevents.{time.time_ns()}.clar-sweeps"
        self._file = RecordWriter(str(path))
        self._add(file_version="brain.Event:2")
        # One that has read the file before this one forgets its steps.
        self._add(session_log=SessionLog(status=SessionLog.START))
        metrics = dict.fromkeys(f"final/{name}" for name in _FINAL)
        experiment, begin, self._end = hparams(flat_fields(trial), metrics)
        self._add(summary=experiment)
        self._add(summary=begin)
        self._file.flush()

    def write(self, epoch: int, numbers: Mapping[str, float]) -> None:
        from tensorboardX.summary import scalar

        for name, value in numbers.items():
            self._add(step=epoch, summary=scalar(name, value))
        self._file.flush()

    def close(self, state: State, metrics: Mapping[str, float]) -> None:
        final = {f"final/{name}": value for name, value in metrics.items()}
        self.write(self.last_epoch, final)
        if state != "unfinished":
            self._add(summary=_with_status(self._end, succeeded=state == "done"))
        self._file.close()

    def _add(self, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._file.write(Event(wall_time=time.time(), **content).SerializeToString())


def _with_status(end: Any, *, succeeded: bool) -> Any:
    """The end of a session as tensorboardX says it, which knows of success only."""
    from tensorboardX.proto.api_pb2 import Status
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    status = Status.Value("STATUS_SUCCESS" if succeeded else "STATUS_FAILURE")
    plugin = end.value[0].metadata.plugin_data
    content = HParamsPluginData.FromString(plugin.content)
    content.session_end_info.status = status
    plugin.content = content.SerializeToString()
    return end
