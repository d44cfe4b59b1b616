"""`make bench-check`: measure, and fail under the floors of docs/PERFORMANCE.md."""

from __future__ import annotations

import sys

from bench.__main__ import PARTS, RESULTS, measure
from bench.results import save, show


def main() -> None:
    rows = measure(list(PARTS), rounds=3, small=False)
    show(rows)
    save(rows, RESULTS)
    missed = [row.what for row in rows if not row.met]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
