"""What a trial leaves behind: a folder of plain files, the same with and without Ray.

    RUN/
      plan.json            the sweep as it was expanded last
      trials/NAME_ID/      one folder a trial; untrained/NAME_ID/ the encoders before training
        config.json        format, semantics, id, name, config: written first
        labelled.json      names and sha256 of the clips whose label training sees, if not all do
        history.jsonl      a line an epoch: losses, learning rate, time; metrics where evaluated
        summary.json       state, metrics, error, cost, provenance: written last, by rename

The presence of `summary.json` means that the trial has ended; nothing else does.
"""

from clar_sweeps.records.files import (
    locked,
    read_json,
    remove_leftovers,
    write_atomically,
    write_json,
)
from clar_sweeps.records.trials import (
    FORMAT,
    EndState,
    Record,
    State,
    append_history,
    cut_history,
    read_history,
    read_record,
    reopen,
    state_of,
    trial_folder,
    write_config,
    write_summary,
)

__all__ = [
    "FORMAT",
    "EndState",
    "Record",
    "State",
    "append_history",
    "cut_history",
    "locked",
    "read_history",
    "read_json",
    "read_record",
    "remove_leftovers",
    "reopen",
    "state_of",
    "trial_folder",
    "write_atomically",
    "write_config",
    "write_json",
    "write_summary",
]
