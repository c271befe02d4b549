"""Search for inputs that break an invariant; ``scripts/fuzz`` runs this.

Each target runs in a process of its own, several at a time. What it finds interesting goes to a scratch folder;
what breaks it is kept there, told, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from tests.fuzz.seeds import CORPUS
from tests.fuzz.targets import TARGETS

DONE: Final = re.compile(r"Done (\d+) (?:runs|in)|stat::number_of_executed_units: *(\d+)")
SLOW: Final = {"endpoint-authentic", "files-configuration", "services-hub"}
"""What one run of takes so long that it gets a share of the runs only."""

SLOW_SHARE: Final = 0.02
TAIL_LINES: Final = 25


class Search(NamedTuple):
    """What a search came to."""

    target: str
    executions: int
    seconds: float
    failure: str


def search(target: str, runs: int, seconds: int, scratch: pathlib.Path) -> Search:
    """Let one target search for a number of runs or seconds, whichever is over first."""
    began = time.monotonic()
    found, seeds = scratch / "found" / target, CORPUS / target
    for folder in (found, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    mine = max(1, int(runs * (SLOW_SHARE if target in SLOW else 1)))
    words = [f"-runs={mine}", f"-max_total_time={seconds}", "-print_final_stats=1", "-rss_limit_mb=2048"]
    words += ["-max_len=4096", "-timeout=20", f"-artifact_prefix={scratch}/{target}-", str(found), str(seeds)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", target, *words],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    counts = [int(first or second) for first, second in DONE.findall(done.stderr)]
    failure = "" if done.returncode == 0 else "\n".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
    return Search(target, max(counts, default=0), time.monotonic() - began, failure)


def main() -> int:
    """Search with the targets that were named, or with all."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Search for inputs that break an invariant.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which; without one, all of them")
    parser.add_argument("--runs", type=int, default=400_000, help="runs of each target; slow ones get 2 % of them")
    parser.add_argument("--seconds", type=int, default=600, help="at most this long for each target")
    parser.add_argument("--jobs", type=int, default=2, help="how many targets at a time")
    parser.add_argument("--list", action="store_true", help="list the targets and what each has to hold")
    asked = parser.parse_args()
    if asked.list:
        for name, target in TARGETS.items():
            print(f"{name:24} {target.__doc__}")
        return 0
    if unknown := set(asked.targets) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}; --list names them")
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="clawchat-fuzz-"))
    began, total, failed = time.monotonic(), 0, 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        chosen = asked.targets or list(TARGETS)
        for one in pool.map(lambda name: search(name, asked.runs, asked.seconds, scratch), chosen):
            total += one.executions
            failed += bool(one.failure)
            rate = one.executions / one.seconds
            print(f"{one.target:24} {one.executions:>10,} runs  {one.seconds:>6.0f} s  {rate:>9,.0f}/s", flush=True)
            if one.failure:
                print(one.failure, file=sys.stderr, flush=True)
    words = "no escape" if not failed else f"{failed} targets broken, see {scratch}"
    print(f"{total:,} executions of {len(chosen)} targets in {time.monotonic() - began:.0f} s: {words}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
