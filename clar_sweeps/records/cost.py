"""What a run was predicted to cost, and what its commands took: `cost.json` of a run folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from clar_sweeps.errors import RecordError
from clar_sweeps.records.files import find_json, write_json
from clar_sweeps.records.plain import Count, UnixTime, as_row

COST = "cost.json"

Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Id = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


class KindCost(NamedTuple):
    """Trials that cost about as much."""

    kind: Annotated[str, Field(max_length=1000)]  # in words
    trials: dict[_Id, Seconds]  # predicted, as `total_seconds` of their records


class Command(NamedTuple):
    """What one `clar-sweep run` took."""

    seconds: Seconds
    slots: Count  # trials at once
    trials: Count  # predicted ones that ended, untrained encoders included
    others: Count  # that ended too


class Cost(NamedTuple):
    """A prediction, and what was measured since."""

    format: Literal[1]
    at: UnixTime  # when it was made
    slots: Count  # trials at once
    wall_seconds: Seconds | None  # of the whole run; None on a cluster, whose slots are not known
    disk_bytes: Count  # of the records and checkpoints that the run adds, at their most
    kinds: tuple[KindCost, ...]
    commands: tuple[Command, ...] = ()

    @property
    def seconds(self) -> dict[str, float]:
        """Predicted of each trial, by id; untrained encoders included."""
        return {trial: taken for kind in self.kinds for trial, taken in kind.trials.items()}

    @property
    def slot_seconds(self) -> float:
        """Seconds of all trials together."""
        return sum(self.seconds.values())

    @property
    def measured_wall_seconds(self) -> float | None:
        """What the run took; None until the commands have ended all trials of the prediction.

        And where they did other work besides, or had other slots: that is not what was predicted.
        """
        is_like = all(not one.others and one.slots == self.slots for one in self.commands)
        return sum(one.seconds for one in self.commands) if self.is_over and is_like else None

    @property
    def is_over(self) -> bool:
        """Whether the commands have ended all trials of the prediction."""
        return sum(command.trials for command in self.commands) == len(self.seconds)


def write_cost(run: Path, cost: Cost) -> None:
    """Keep a prediction in a run folder, which need not hold a run yet.

    Raises:
        DiskFullError: There is no room.
        OSError: Not writable.
    """
    data = cost._asdict()
    data["kinds"] = [kind._asdict() for kind in cost.kinds]
    data["commands"] = [command._asdict() for command in cost.commands]
    write_json(run / COST, data)


def read_cost(run: Path) -> Cost | None:
    """The prediction that a run folder keeps; None where there is none.

    Raises:
        RecordError: It is damaged, or of another version.
    """
    data = find_json(run / COST)
    if data is None:
        return None
    cost = as_row(Cost, data)
    if cost is None:
        raise RecordError(f"{run / COST}: is no prediction of this version; remove it")
    return cost


def add_command(run: Path, *, seconds: float, slots: int, ended: Iterable[str]) -> None:
    """Enter what a `run` took beside the prediction of it, if there is one that is not over.

    Args:
        run: The run folder.
        seconds: Of the command.
        slots: Trials at once.
        ended: Ids of the trials that it brought to an end.

    Raises:
        RecordError: The prediction is damaged.
        DiskFullError: There is no room.
        OSError: Not writable.
    """
    cost = read_cost(run)
    if cost is None or cost.is_over:
        return
    all_ended = set(ended)
    predicted = cost.seconds.keys() & all_ended
    command = Command(seconds, slots, len(predicted), len(all_ended - predicted))
    write_cost(run, cost._replace(commands=(*cost.commands, command)))
