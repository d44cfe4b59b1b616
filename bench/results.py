"""A benchmark's rows: what was measured, the limit beside it, the ratio, the floor."""

from __future__ import annotations

import json
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

TURNS = 5_000_000


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is a median over rounds; the floor may be an upper bound."""

    what: str
    measured: str
    limit: str
    ratio: float
    floor: float
    at_most: bool = False
    """The floor is the largest ratio that is good, not the smallest."""

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.ratio <= self.floor if self.at_most else self.ratio >= self.floor


def median(values: list[float]) -> float:
    """The median of a few rounds."""
    return statistics.median(values)


def interpreter() -> str:
    """Which Python measured, and how quick it is here: builds of one version differ by a third,
    and most of the limits are not Python's."""
    started = time.perf_counter()
    for _ in range(TURNS):
        pass
    took = time.perf_counter() - started
    return (
        f"Python {platform.python_version()}, {1e9 * took / TURNS:.0f} ns a turn of an empty loop"
    )


def show(rows: list[Row]) -> None:
    """Print the table."""
    title = "ratios in one run on one machine; medians of alternating rounds"
    table = Table(title=f"{title}\n{interpreter()}")
    for heading in ("what", "measured", "limit beside it", "ratio", "floor", ""):
        table.add_column(heading)
    for row in rows:
        sign = "≤" if row.at_most else "≥"
        table.add_row(
            row.what,
            row.measured,
            row.limit,
            f"{row.ratio:.2f}",
            f"{sign} {row.floor:g}",
            "met" if row.met else "MISSED",
        )
    Console(width=140).print(table)


def save(rows: list[Row], file: Path) -> None:
    """Keep the rows for `bench.check` and docs/PERFORMANCE.md."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def load(file: Path) -> list[Row]:
    """Rows that `save` kept."""
    return [Row(**row) for row in json.loads(file.read_text())]
