"""What is kept of an error that ends a trial's process."""

import logging
from pathlib import Path

import torch

from clar_sweeps import provenance, records
from clar_sweeps.errors import DiskFullError, RankLostError

logger = logging.getLogger(__name__)

# What CUDA and its libraries say where torch itself has no OutOfMemoryError.
_OUT_OF_MEMORY = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "DEVICE_ALLOCATION_FAILED",
)


def kind_of(error: Exception) -> str:
    """Name of an error's kind: its class, unless a GPU had no room, here or on another rank."""
    if isinstance(error, torch.OutOfMemoryError):
        return records.OUT_OF_MEMORY
    # A rank that is lost is told of by the words of its own error.
    has_words = isinstance(error, RuntimeError | RankLostError)
    if has_words and any(text in str(error) for text in _OUT_OF_MEMORY):
        return records.OUT_OF_MEMORY
    return type(error).__name__


def keep_failure(folder: Path, run: Path, error: Exception) -> None:
    """Write why a trial was interrupted into its `failures.jsonl`.

    Raises:
        DiskFullError: There is no room; the message tells of the error as well.
    """
    kind = kind_of(error)
    uses_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    failure = records.describe_failure(
        error,
        kind=kind,
        log=run / "run.log",
        provenance=provenance.describe(torch.device("cuda" if uses_gpu else "cpu")),
    )
    try:
        records.append_failure(folder, failure)
    except DiskFullError as full:
        first_line = (str(error).splitlines() or [""])[0]
        told = f"{full}. Training had ended by {kind}: {first_line}"
        raise DiskFullError(told) from error
    except OSError as unwritable:
        logger.error("%s", unwritable)
        error.add_note(f"not kept in failures.jsonl: {unwritable}")
