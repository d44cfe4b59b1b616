"""The projector's checkpoint: how far the log is applied here, and what stood at that place.

Kept in one row of `checkpoints`, moved in the transaction that records the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from projections.revisions import APPLICATION, Connection

CHANNEL = "guardian_applied"
"""NOTIFY channel; the payload is `position:last_sequence:rejections`."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the projector stands. Positions are the Raft log's; 0 is before the first."""

    position: int = 0
    last_sequence: int = 0
    change_position: int = 0
    """The last entry that held a change set; barriers around it expire."""
    change_digest: bytes | None = None
    """SHA-256 of that entry's bytes."""
    last_time: datetime | None = None
    skipped: int = 0


_COLUMNS = "notification_id, last_sequence, change_position, change_digest, last_time, skipped"
_READ = f"SELECT {_COLUMNS} FROM checkpoints WHERE application_name = $1"  # noqa: S608
_LOCK = _READ + " FOR UPDATE"
_CREATE = """
INSERT INTO checkpoints (application_name, notification_id, updated_at) VALUES ($1, 0, now())
ON CONFLICT DO NOTHING
"""
_MOVE = """
WITH moved AS (
    UPDATE checkpoints SET notification_id = $2, last_sequence = $3, change_position = $4,
        change_digest = $5, last_time = $6, skipped = $7, updated_at = now()
    WHERE application_name = $1 RETURNING 1)
SELECT pg_notify($8, $9) FROM moved
"""


async def read_checkpoint(connection: Connection, *, lock: bool = False) -> Checkpoint:
    """The checkpoint as it stands; with `lock`, nobody else moves it before we commit."""
    row = await connection.fetchrow(_LOCK if lock else _READ, APPLICATION)
    return Checkpoint(*row) if row else Checkpoint()


async def create_checkpoint(connection: Connection) -> None:
    """Make the row if this database has none, so that there is something to lock."""
    await connection.execute(_CREATE, APPLICATION)


async def move_checkpoint(connection: Connection, to: Checkpoint, rejections: int) -> None:
    """Move the checkpoint and tell every follower when (and only if) the transaction commits."""
    await connection.execute(
        _MOVE,
        APPLICATION,
        to.position,
        to.last_sequence,
        to.change_position,
        to.change_digest,
        to.last_time,
        to.skipped,
        CHANNEL,
        f"{to.position}:{to.last_sequence}:{rejections}",
    )
