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

    The checkpoint before this one is kept beside it; see `previous`.

    Raises:
        DiskFullError: There is no room; both earlier checkpoints stand.
        OSError: Not writable; likewise.
    """
    buffer = io.BytesIO()
    torch.save({"trial_id": trial_id, "state": state}, buffer)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).digest()
    write_atomically(path, digest + content, keep_as=previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_suffix(f".previous{path.suffix}")


def put_aside(path: Path) -> Path:
    """Rename a checkpoint that is of no use, in place of one put aside earlier."""
    return path.replace(path.with_suffix(".damaged"))


def keep_only_last(path: Path) -> None:
    """Remove what is kept beside the last checkpoint: one is enough for what is done."""
    for other in (path, previous(path)):
        other.with_suffix(".damaged").unlink(missing_ok=True)
    previous(path).unlink(missing_ok=True)


def load_checkpoint(path: Path, *, trial_id: str) -> dict[str, Any]:
    """Read the state that `save_checkpoint` wrote, into memory of the CPU.

    Raises:
        CheckpointError: Truncated, damaged, not a checkpoint, or of another trial.
        OSError: Not readable now, which says nothing about what stands in it.
    """
    content = path.read_bytes()
    digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    # torch checks no tensor's bytes: a flipped one would be trained on.
    if hashlib.sha256(content).digest() != digest:
        raise CheckpointError(f"{path}: is truncated or damaged (its sha256 does not fit)")
    try:
        # weights_only: a checkpoint may come from anywhere, and a pickle can run code.
        # To the CPU: a GPU that is full must not pass for a checkpoint that is damaged.
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        found, state = loaded["trial_id"], loaded["state"]
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        if "allocate memory" in str(error):
            raise  # nor must a machine whose memory is full
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read ({reason})") from error
    if found != trial_id:
        raise CheckpointError(f"{path}: belongs to trial {found}, expected {trial_id}")
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: cannot be read (its state is no mapping)")
    return state
