"""`make bench`: the service and, in the same run, each limit beside it; five to nine minutes.

Every figure is the median of alternating rounds, and what counts is its ratio to the limit: a
busy or slow machine moves both.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from bench.reads import measure_reads
from bench.rebuild import measure_history_and_rebuild
from bench.results import Row, save, show
from bench.sizes import measure_sizes
from bench.watch import measure_watch
from bench.writes import measure_writes

RESULTS = Path("test-output/bench.json")
PARTS = {
    "reads": measure_reads,
    "writes": measure_writes,
    "rebuild": measure_history_and_rebuild,
    "sizes": measure_sizes,
    "watch": measure_watch,
}


def measure(parts: list[str], rounds: int, small: bool) -> list[Row]:
    """Run the parts one after the other."""
    rows: list[Row] = []
    for name in parts:
        print(f"… {name}", flush=True)
        rows += asyncio.run(PARTS[name](rounds, small))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a tenth of the sizes")
    given = parser.parse_args()
    # As Ctrl-C does: by default it would end at once, and leave the servers that it started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    rows = measure(given.parts or list(PARTS), given.rounds, given.small)
    show(rows)
    save(rows, RESULTS)


if __name__ == "__main__":
    main()
