"""Draws a snapshot for a terminal of any size; computes nothing but places and colours."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from clar_sweeps.watching.estimate import Left
from clar_sweeps.watching.panel_view import STYLES, draw_panels
from clar_sweeps.watching.snapshot import DRIVER_LATE_SECONDS, Running, Snapshot
from clar_sweeps.watching.wording import format_bytes, format_duration, plain

_MIN_WIDTH = 20
# Where nothing bounds the height, as in a pipe.
_LINES_WITHOUT_TERMINAL = 100


class Picture:
    """A snapshot as lines that fit the terminal, whatever its size.

    What does not fit is left out in this order: failures but a few, running trials but a quarter
    of the height, matrices beyond those that fit, the legend, rows of the first matrix. The count,
    the time left and two running trials stay, and what is left out is counted. In a narrow terminal
    a running trial loses its memory, its host, its clips/s, its step, and then its loss.
    """

    def __init__(self, snapshot: Snapshot, *, max_lines: int | None = None) -> None:
        """Take what is to be drawn.

        Args:
            snapshot: The run at one moment.
            max_lines: No more than that; what the terminal has if none.
        """
        self.snapshot = snapshot
        self.max_lines = max_lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        height = self.max_lines
        if height is None:
            height = console.size.height - 1 if console.is_terminal else _LINES_WITHOUT_TERMINAL
        yield from draw(self.snapshot, width=max(_MIN_WIDTH, options.max_width), height=height)


def draw(snapshot: Snapshot, *, width: int, height: int) -> list[Text]:
    """At most `height` lines, none wider than `width`."""
    header = _header(snapshot, width)
    running = _running_lines(snapshot, width)
    failed = _failed_lines(snapshot)
    room = max(0, height - len(header))
    for_running = min(len(running), max(2, room // 4))
    for_failed = min(len(failed), max(1, room // 8))
    panels = draw_panels(snapshot, width=width, height=room - for_running - for_failed)
    room -= len(panels)
    running = _cut(running, room - for_failed)
    failed = _cut(failed, room - len(running))
    lines = [*header, *panels, *running, *failed][:height]
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return lines


def _cut(lines: list[Text], room: int) -> list[Text]:
    if len(lines) <= room:
        return lines
    if room < 1:
        return []
    return [*lines[: room - 1], Text(f"  and {len(lines) - room + 1} more", "dim")]


def _header(snapshot: Snapshot, width: int) -> list[Text]:
    total = len(snapshot.sweep.trials)
    part = sum(each.share for each in snapshot.running)
    share = min(1.0, (snapshot.ended + part) / max(1, total))
    facts = [
        Text(f"{snapshot.ended}/{total} trials", "bold"),
        *([Text(f"{snapshot.unsuccessful} failed", "red")] if snapshot.unsuccessful else []),
    ]
    if snapshot.driver and snapshot.is_driven:
        slots = f"/{snapshot.driver.slots}" if snapshot.driver.slots else ""
        facts.append(Text(f"slots {len(snapshot.running)}{slots}"))
    told = Text("   ").join(facts)
    name = Text(plain(snapshot.sweep.name), "bold")
    name.truncate(max(8, width // 3), overflow="ellipsis")
    length = max(5, min(40, width - told.cell_len - name.cell_len - 4))
    done = round(length * share)
    bar = Text("━" * done, "cyan").append("─" * (length - done), "dim")
    return [Text("  ").join([name, bar, told]), *_outlook(snapshot), Text()]


def _outlook(snapshot: Snapshot) -> Iterator[Text]:
    """What is to come, and who sees to it."""
    if not snapshot.is_driven:
        return
    if snapshot.stopping:
        num = len(snapshot.running)
        soon = snapshot.stopping_seconds
        about = f" (about {format_duration(soon)})" if soon is not None else ""
        trials = "1 trial finishes its epoch" if num == 1 else f"{num} trials finish their epoch"
        again = "; Ctrl-C again to leave now" if snapshot.driver_is_us else ""
        yield Text(f"stopping: {trials}{about}{again}", "yellow")
    elif snapshot.driver and (snapshot.running or snapshot.driver.waiting):
        so_far = format_duration(snapshot.elapsed_seconds or 0.0)
        yield Text(f"{so_far} so far, {describe_left(snapshot.left)}")


def describe_left(left: Left | None) -> str:
    """Words for the time left and its spread."""
    if left is None:
        return "time left: not known before an epoch has ended"
    middle, low, high = (format_duration(seconds) for seconds in left)
    spread = f" ({low} - {high})" if low != high else ""
    return f"about {middle} left{spread}"


def describe_driver(snapshot: Snapshot) -> str:
    """Who drives the run, in one line; if nobody does, who trains, or what there is to do."""
    driver = snapshot.driver
    who = f"process {driver.pid} on {plain(driver.host)}" if driver else ""
    if driver and not snapshot.driver_is_gone:
        silent = format_duration(snapshot.driver_silent_seconds)
        if snapshot.driver_silent_seconds > DRIVER_LATE_SECONDS:
            return f"{who} drives it, but has given no sign of life for {silent}"
        return f"{who} drives it, last sign of life {silent} ago"
    gone = f"nobody drives it: {who} ended without a word" if driver else "nobody drives it"
    alone = [
        f"{plain(each.trial.name)} is trained by process {each.live.pid} on {plain(each.live.host)}"
        for each in snapshot.running
        if each.live
    ]
    if alone and not driver:
        more = [f"{len(alone) - 3} more in training"] if len(alone) > 3 else []
        return f"{gone}; {', '.join([*alone[:3], *more])}"
    go_on = f"clar-sweep run FILE --run-dir {plain(snapshot.run)}"
    if snapshot.ended < len(snapshot.sweep.trials):
        return f"{gone}; go on with: {go_on}"
    if snapshot.failed:
        return f"{gone}; take up what failed with: {go_on} --retry-failed"
    return f"{gone}; all trials are done"


def _running_lines(snapshot: Snapshot, width: int) -> list[Text]:
    """A line each running trial, in columns."""
    if not snapshot.running:
        return [Text("  starting", "dim")] if snapshot.is_driven and not snapshot.stopping else []
    hosts = {each.live.host for each in snapshot.running if each.live}
    rows = [_describe(each, with_host=len(hosts) > 1) for each in snapshot.running]
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    shown = _columns_that_fit(widths, width - 2)
    spare = width - 2 - sum(widths[place] + 2 for place in shown if place)
    widths[0] = max(8, min(widths[0], spare))
    lines = []
    for row in rows:
        line = Text("  ")
        for place in shown:
            cell = row[place].copy()
            cell.truncate(widths[place], overflow="ellipsis", pad=True)
            line.append_text(cell).append("  ")
        line.rstrip()
        lines.append(line)
    return lines


# Places of the columns that `_describe` gives.
_NAME, _LATE, _PHASE, _STEP, _LOSS, _PACE, _MEMORY, _HOST = range(8)
_LAST_TO_GO = (_LATE, _PHASE, _LOSS, _STEP, _PACE, _HOST, _MEMORY)


def _columns_that_fit(widths: Sequence[int], width: int) -> list[int]:
    """Columns with something in them, in their order; the name may be cut to a third."""
    kept = [_NAME]
    used = min(widths[_NAME], width // 3)
    for place in _LAST_TO_GO:
        if not widths[place]:
            continue
        used += widths[place] + 2
        if used > width:
            break
        kept.append(place)
    return sorted(kept)


def _describe(running: Running, *, with_host: bool) -> tuple[Text, ...]:
    live, epochs = running.live, running.trial.config.epochs
    name = Text(plain(running.trial.name), "cyan")
    if live is None:
        return (name, Text(), Text("starting", "dim"), *[Text()] * 5)
    phase: str = live.phase
    if epochs and phase == "training":
        phase = f"epoch {min(live.epoch + 1, epochs)}/{epochs}"
    elif epochs and phase == "evaluating":
        phase = f"evaluating {live.epoch}/{epochs}"
    late = Text()
    if running.is_late:
        late = Text(f"no sign of life for {format_duration(running.silent_seconds)}", "yellow")
    elif running.stopping:
        late = Text("stopping", "yellow")
    pace = live.clips_per_second
    return (
        name,
        late,
        Text(phase),
        Text(f"step {live.step}/{live.steps}" if live.steps else "", "dim"),
        Text(f"loss {live.loss:.3f}" if live.loss is not None else ""),
        Text(f"{pace:,.0f} clips/s" if pace is not None else "", "dim"),
        Text(format_bytes(live.memory_bytes) if live.memory_bytes else "", "dim"),
        Text(plain(live.host) if with_host else "", "dim"),
    )


def _failed_lines(snapshot: Snapshot) -> list[Text]:
    lines = []
    for trial in snapshot.failed:
        standing = snapshot.standings[trial.id]
        line = Text(f"{standing.state}: ", STYLES[standing.state])
        lines.append(line.append(f"{plain(trial.name)}: {standing.error}", ""))
    return lines


def one_line(snapshot: Snapshot) -> str:
    """A run in one line, for where no picture can be drawn."""
    total = len(snapshot.sweep.trials)
    failed = f", {snapshot.unsuccessful} failed" if snapshot.unsuccessful else ""
    parts = [f"{snapshot.ended}/{total} trials{failed}", *_in_training(snapshot.running)]
    parts += [line.plain for line in _outlook(snapshot)]
    return "; ".join(parts)


def _in_training(running: Iterable[Running]) -> list[str]:
    shown = [
        f"{plain(each.trial.name)} {each.epochs_trained:.1f}/{each.trial.config.epochs} epochs"
        + (f", no sign of life for {format_duration(each.silent_seconds)}" if each.is_late else "")
        for each in running
    ]
    more = [f"and {len(shown) - 4} more"] if len(shown) > 4 else []
    return [", ".join([*shown[:4], *more])] if shown else []
