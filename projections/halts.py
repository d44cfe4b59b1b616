"""Why the projector stopped, kept in the database where every web process's /readyz finds it.

A halt is never cleared by hand: the row goes when a projector has passed its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.errors import BrokenInvariant
from projections.revisions import APPLICATION, Connection

_RECORD = """
INSERT INTO projector_halts (application_name, reason, detail, position, halted_at)
VALUES ($1, $2, $3, $4, now())
ON CONFLICT (application_name) DO UPDATE SET reason = excluded.reason,
    detail = excluded.detail, position = excluded.position, halted_at = excluded.halted_at
"""
_CLEAR = """
DELETE FROM projector_halts WHERE application_name = $1 AND coalesce(position, 0) <= $2
"""
_READ = """
SELECT reason, detail, position, halted_at FROM projector_halts WHERE application_name = $1
"""


class ProjectorHalted(BrokenInvariant):
    """The projector stopped for good; an operator must act (docs/RUNBOOK.md).

    `reason` is one of: log-behind-checkpoint, log-diverged, undecodable-entry,
    broken-chain, broken-invariant.
    """

    def __init__(self, reason: str, detail: str, position: int | None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.position = position
        """The entry that is to blame; None where it is no single one."""


@dataclass(frozen=True, slots=True)
class Halt:
    """A recorded halt."""

    reason: str
    detail: str
    position: int | None
    halted_at: datetime


async def record_halt(connection: Connection, halted: ProjectorHalted) -> None:
    """Keep the evidence."""
    await connection.execute(_RECORD, APPLICATION, halted.reason, halted.detail, halted.position)


async def clear_halt(connection: Connection, passed: int) -> None:
    """Forget a halt whose position is not behind `passed`, which was applied."""
    await connection.execute(_CLEAR, APPLICATION, passed)


async def read_halt(connection: Connection) -> Halt | None:
    """The halt that stands, if any."""
    row = await connection.fetchrow(_READ, APPLICATION)
    return Halt(*row) if row else None
