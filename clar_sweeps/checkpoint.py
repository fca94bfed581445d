"""One file that holds all a trial needs to go on."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from clar_sweeps.errors import CheckpointError
from clar_sweeps.records import write_atomically


def save_checkpoint(path: Path, state: dict[str, Any], *, trial_id: str) -> None:
    """Write tensors and plain values aside and rename them into place.

    Raises:
        OSError: The disk is full or not writable; the checkpoint before this one stands.
    """
    buffer = io.BytesIO()
    torch.save({"trial_id": trial_id, "state": state}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(
    path: Path, *, trial_id: str, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """Read the state that `save_checkpoint` wrote.

    Raises:
        CheckpointError: Truncated, not a checkpoint, or of another trial.
    """
    try:
        # weights_only: a checkpoint may come from anywhere, and a pickle can run code.
        content = torch.load(path, map_location=device, weights_only=True)
        found, state = content["trial_id"], content["state"]
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read ({reason})") from error
    if found != trial_id:
        raise CheckpointError(f"{path}: belongs to trial {found}, expected {trial_id}")
    assert isinstance(state, dict)
    return state
