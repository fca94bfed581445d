"""Reports and tables of runs, from their records alone."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.notebook import RunTables

__all__ = ["load"]


def load(run: str | Path) -> "RunTables":
    """Read a run as tidy pandas frames; docs/notebook.md tells their columns.

    Args:
        run: A run folder, or a bundle of one.

    Raises:
        RecordError: Neither, or its plan cannot be read.
    """
    from analysis.notebook import load_tables  # pandas, which `import analysis` does without

    return load_tables(Path(run))
