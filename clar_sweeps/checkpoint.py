"""One file that holds all a trial needs to go on."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from clar_sweeps.errors import CheckpointError
from clar_sweeps.records import write_atomically

_DIGEST_BYTES = 32


def save_checkpoint(path: Path, state: dict[str, Any], *, trial_id: str) -> None:
    """Write tensors and plain values, behind their sha256, aside and rename them into place.

    Raises:
        OSError: The disk is full or not writable; the checkpoint before this one stands.
    """
    buffer = io.BytesIO()
    torch.save({"trial_id": trial_id, "state": state}, buffer)
    content = buffer.getvalue()
    write_atomically(path, hashlib.sha256(content).digest() + content)


def load_checkpoint(
    path: Path, *, trial_id: str, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """Read the state that `save_checkpoint` wrote.

    Raises:
        CheckpointError: Truncated, damaged, not a checkpoint, or of another trial.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    # torch checks no tensor's bytes: a flipped one would be trained on.
    if hashlib.sha256(content).digest() != digest:
        raise CheckpointError(f"{path}: is truncated or damaged (its sha256 does not fit)")
    try:
        # weights_only: a checkpoint may come from anywhere, and a pickle can run code.
        loaded = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
        found, state = loaded["trial_id"], loaded["state"]
    except (RuntimeError, pickle.UnpicklingError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read ({reason})") from error
    if found != trial_id:
        raise CheckpointError(f"{path}: belongs to trial {found}, expected {trial_id}")
    assert isinstance(state, dict)
    return state
