"""The command: rounds of disturbances over several sweeps, and the table of what came of them."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chaos import __doc__ as description
from benchmarks.chaos.campaign import Campaign
from benchmarks.chaos.result import render, result_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Disturb, compare, print, write; 1 where anything is lost, differs, or is left behind."""
    options = _parse(arguments)
    numbers = [options.only] if options.only else range(1, options.rounds + 1)
    started = time.monotonic()
    base = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        campaign = Campaign(base, seed=options.seed)
        campaign.run(numbers)
    finally:
        print(f"records and logs: {base}", flush=True)
    result = result_of(campaign) | {"seconds": round(time.monotonic() - started, 1)}
    print(render(result["kinds"]))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if result["faults"]:
        print("\n".join(result["faults"]))
        return 1
    shutil.rmtree(base)
    print(f"{result['rounds']} disturbances: nothing lost, all equal")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert description is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=100, help="disturbances")
    parser.add_argument("--seed", type=int, default=0, help="decides what is done when")
    parser.add_argument("--only", type=int, metavar="N", help="round N alone, to see it again")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the result (JSON)")
    return parser.parse_args(arguments)


def _become_able_to_mount() -> None:
    """Start again in a namespace of our own where only there a small disk can be mounted."""
    unshare = ["unshare", "--mount", "--map-root-user"]
    if os.geteuid() == 0 or shutil.which(unshare[0]) is None:
        return
    if subprocess.run([*unshare, "true"], capture_output=True).returncode == 0:
        os.execvp(unshare[0], [*unshare, sys.executable, "-m", "benchmarks.chaos", *sys.argv[1:]])


if __name__ == "__main__":
    # A shell lets what it starts in the background ignore Ctrl-C, and so would the sweeps.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # By way of all `finally` clauses, which end the sweep under way.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    _become_able_to_mount()
    sys.exit(main())
