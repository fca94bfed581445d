"""Logging, set up here only: into the run folder, and warnings to stderr."""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from rich.console import Console

from clar_sweeps.records import open_itself
from clar_sweeps.watching.wording import without_controls

LOG = "run.log"


@contextlib.contextmanager
def logging_into(run: Path) -> Iterator[Console]:
    """Log into the run folder, and warnings to stderr, above what is live there."""
    stderr = _copy_of_stderr()
    console = Console(file=stderr, highlight=False)
    logging.captureWarnings(True)
    warnings = _ConsoleHandler(console)
    warnings.setLevel(logging.WARNING)
    project = logging.getLogger("clar_sweeps")
    level = project.level
    project.addHandler(warnings)
    file = log_to(run)
    try:
        yield console
    finally:
        project.setLevel(level)
        project.removeHandler(warnings)
        for name in ("clar_sweeps", "py.warnings"):
            logging.getLogger(name).removeHandler(file)
        file.close()
        logging.captureWarnings(False)
        if stderr is not sys.stderr:
            stderr.close()


def _copy_of_stderr() -> TextIO:
    """Leads where stderr leads now, also while Ray's output is led elsewhere."""
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding)
    except io.UnsupportedOperation:  # something else stands for stderr, as in a test
        return sys.stderr


def log_to(run: Path) -> logging.Handler:
    """Let this process log into a run folder; a second call with the same folder adds nothing."""
    path = str((run / LOG).absolute())
    project = logging.getLogger("clar_sweeps")
    for handler in project.handlers:
        if isinstance(handler, logging.FileHandler) and handler.baseFilename == path:
            return handler
    file = _LogFile(path, encoding="utf-8")
    file.setFormatter(
        logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    )
    project.setLevel(logging.INFO)
    for name in ("clar_sweeps", "py.warnings"):
        logging.getLogger(name).addHandler(file)
    return file


class _LogFile(logging.FileHandler):
    def _open(self) -> io.TextIOWrapper:
        """As the handler does, but not where a link in a stranger's run folder leads."""
        file = open_itself(Path(self.baseFilename), self.mode, encoding=self.encoding)
        assert isinstance(file, io.TextIOWrapper)
        return file

    def handleError(self, record: logging.LogRecord) -> None:
        """On a full disk a line is lost; logging itself would print a trace for each."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what is left does not fit either
            super().close()


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        self.console.print(without_controls(text), markup=False, soft_wrap=True)
