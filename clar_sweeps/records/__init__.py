"""What a trial leaves behind: a folder of plain files, the same with and without Ray.

    RUN/
      plan.json            the sweep as it was expanded last
      run.json             the process that drives the run, while one does
      cost.json            what the run was predicted to cost, and what its commands took
      trials/NAME_ID/      one folder a trial; untrained/NAME_ID/ the encoders before training
        config.json        format, semantics, id, name, config: written first
        labelled.json      names and sha256 of the clips whose label training sees, if not all do
        history.jsonl      a line an epoch: losses, learning rate, time; metrics where evaluated
        checkpoint.pt      what the trial goes on from; checkpoint.previous.pt the one before it
        live.json          its process, epoch, pace and memory while it is in training
        failures.jsonl     a line each time that it was interrupted by an error
        stop.json          asks it to stop after its epoch; beside plan.json, asks the whole run
        summary.json       state, metrics, error, cost, provenance: written last, by rename

The presence of `summary.json` means that the trial has ended; nothing else does.
"""

from clar_sweeps.records.cost import COST, Cost, add_command, read_cost, write_cost
from clar_sweeps.records.driver import Driver, end_driver, read_driver, write_driver
from clar_sweeps.records.failures import (
    DIVERGED,
    OUT_OF_MEMORY,
    Failure,
    append_failure,
    describe_failure,
    read_failures,
)
from clar_sweeps.records.files import (
    find_content,
    find_json,
    locked,
    open_itself,
    read_json,
    remove_leftovers,
    write_aside,
    write_atomically,
    write_json,
)
from clar_sweeps.records.live import (
    STACK,
    Live,
    Phase,
    begin_live,
    end_live,
    read_live,
    read_stack,
    write_live,
)
from clar_sweeps.records.stopping import request_stop, stop_requested, withdraw_stop
from clar_sweeps.records.trials import (
    FORMAT,
    LOCK_TIMEOUT_SECONDS,
    EndState,
    Record,
    State,
    append_history,
    close_unsuccessful,
    read_history,
    read_record,
    reopen,
    state_of,
    trial_folder,
    write_config,
    write_history,
    write_summary,
)

__all__ = [
    "COST",
    "DIVERGED",
    "FORMAT",
    "LOCK_TIMEOUT_SECONDS",
    "OUT_OF_MEMORY",
    "STACK",
    "Cost",
    "Driver",
    "EndState",
    "Failure",
    "Live",
    "Phase",
    "Record",
    "State",
    "add_command",
    "append_failure",
    "append_history",
    "begin_live",
    "close_unsuccessful",
    "describe_failure",
    "end_driver",
    "end_live",
    "find_content",
    "find_json",
    "locked",
    "open_itself",
    "read_cost",
    "read_driver",
    "read_failures",
    "read_history",
    "read_json",
    "read_live",
    "read_record",
    "read_stack",
    "remove_leftovers",
    "reopen",
    "request_stop",
    "state_of",
    "stop_requested",
    "trial_folder",
    "withdraw_stop",
    "write_aside",
    "write_atomically",
    "write_config",
    "write_cost",
    "write_driver",
    "write_history",
    "write_json",
    "write_live",
    "write_summary",
]
