"""The table of a fault run: what was done, how often, and how long anybody had to wait."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from tests.faults.clients import Clients
from tests.faults.nemesis import Happened


@dataclass(slots=True)
class Row:
    """One kind of fault."""

    kind: str
    times: int = 0
    operations: int = 0
    """Begun while the fault lasted, or until the first write behind it."""
    writes_s: float = 0.0
    """Longest pause between two acknowledged writes of any clients."""
    default_reads_s: float = 0.0
    """Longest pause between two answered reads, by whichever process answers."""
    stale_reads_s: float = 0.0
    own_s: float = 0.0
    """Longest time that the clients themselves did not run: part of every pause beside it."""
    all_writes_s: list[float] = field(default_factory=list)
    bystanders: bool = True
    """Whether a web process was left that could answer reads."""


def longest_gap(
    times: list[float], begun: float | None = None, ended: float | None = None
) -> float:
    """The longest time without an event, of the gaps that touch [begun, ended]. Seconds."""
    first = 0 if begun is None else max(0, bisect_left(times, begun) - 1)
    last = len(times) if ended is None else bisect_right(times, ended) + 1
    part = times[first:last]
    return max((b - a for a, b in itertools.pairwise(part)), default=0.0)


def rows(happened: list[Happened], clients: Clients) -> list[Row]:
    """One row for each kind, the longest pause of writes first."""
    history = clients.history
    begun = sorted(
        [write.begun for write in history.writes] + [read.begun for read in history.reads]
    )
    found: dict[str, Row] = {}
    for fault in happened:
        row = found.setdefault(fault.kind, Row(fault.kind, bystanders=fault.bystanders))
        row.times += 1
        ended = fault.settled or fault.healed or fault.begun
        row.operations += bisect_right(begun, ended) - bisect_left(begun, fault.begun)
        pause = longest_gap(clients.acknowledged_at, fault.begun, ended)
        row.all_writes_s.append(round(pause, 2))
        row.writes_s = max(row.writes_s, pause)
        row.default_reads_s = max(
            row.default_reads_s, longest_gap(clients.default_read_at, fault.begun, ended)
        )
        row.stale_reads_s = max(
            row.stale_reads_s, longest_gap(clients.stale_read_at, fault.begun, ended)
        )
        row.own_s = max(row.own_s, longest_gap(clients.awake_at, fault.begun, ended))
    return sorted(found.values(), key=lambda row: -row.writes_s)


def stale_pauses(found: list[Row]) -> str:
    """The longest pauses of stale reads; where nobody was left to answer, it is that of a start."""
    left, nobody = (
        max((row.stale_reads_s for row in found if row.bystanders is there), default=0.0)
        for there in (True, False)
    )
    return (
        f"longest pause of stale reads {left:.1f} s while a web process ran,"
        f" {nobody:.1f} s where all were killed"
    )


def table(found: list[Row]) -> str:
    """As Markdown; the longest pauses. `clients`: of the harness itself, part of the others."""
    lines = [
        "| Fault | times | operations | pause of writes | default reads | stale reads | clients |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row.kind} | {row.times} | {row.operations} | {row.writes_s:.1f} s"
        f" | {row.default_reads_s:.1f} s | {row.stale_reads_s:.1f} s | {row.own_s:.1f} s |"
        for row in found
    ]
    return "\n".join(lines)
