"""The program itself: its commands, and what becomes of a fault in one."""

import atexit
import errno
import functools
import gc
import importlib.metadata
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Annotated, NoReturn, ParamSpec

import typer
from rich.console import Console

from clar_sweeps.errors import UsageError
from clar_sweeps.watching.wording import without_controls

Arguments = ParamSpec("Arguments")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"clar-sweeps {importlib.metadata.version('clar-sweeps')}")
        raise typer.Exit


@app.callback(help="Augmentation ablations of contrastive audio learning.")
def _program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminate)
    # Else the interpreter searches all of torch and Ray for cycles before it ends, for two seconds.
    atexit.register(gc.freeze)
    app()


_is_terminated = threading.Event()


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    """Leave by way of all `finally` clauses, as Ctrl-C does.

    Not by SystemExit: where Ray's C++ meets one it makes it into another, with exit code 1.
    """
    _is_terminated.set()
    raise KeyboardInterrupt


def interrupted_code() -> int:
    """Exit code after a KeyboardInterrupt, by the signal that it stands for."""
    return 128 + (signal.SIGTERM if _is_terminated.is_set() else signal.SIGINT)


_REMEDIES = {
    errno.ENOSPC: "free some space and give the same command again: what is done stays",
    errno.EROFS: "give a folder that can be written",
    errno.EACCES: "give a folder that can be written",
    errno.ENAMETOOLONG: "give a shorter name",
}


def command(
    group: typer.Typer, name: str
) -> Callable[[Callable[Arguments, int]], Callable[Arguments, None]]:
    """Register a command that returns its exit code; an expected error is a line, not a trace."""

    def register(function: Callable[Arguments, int]) -> Callable[Arguments, None]:
        @functools.wraps(function)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            try:
                code = function(*args, **kwargs)
            except UsageError as error:
                code = _complain(str(error))
            except BrokenPipeError:
                raise  # typer's: the reader of a pipe has gone
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                remedy = _REMEDIES.get(error.errno or 0, "check the path")
                code = _complain(f"{where}{error.strerror or error}; {remedy}")
            except KeyboardInterrupt:
                print(
                    "interrupted; the same command goes on from what was kept",
                    file=sys.stderr,
                )
                code = interrupted_code()
            raise typer.Exit(code)

        return group.command(name)(guarded)

    return register


def _complain(message: str) -> int:
    print(without_controls(message), file=sys.stderr)
    return 2


def stdout_console() -> Console:
    """Tables keep their width in a pipe."""
    return Console(highlight=False, width=None if sys.stdout and sys.stdout.isatty() else 200)
