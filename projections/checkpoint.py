"""The projector's checkpoint: how far the log is applied here, and what stood at that place.

Kept in one row of `checkpoints`, moved in the transaction that records the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import BrokenInvariant
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


COLUMNS = "notification_id, last_sequence, change_position, change_digest, last_time, skipped"
_READ = f"SELECT {COLUMNS} FROM checkpoints WHERE application_name = $1"  # noqa: S608
_LOCK = _READ + " FOR UPDATE"
_CREATE = """
INSERT INTO checkpoints (application_name, notification_id, updated_at) VALUES ($1, 0, now())
ON CONFLICT DO NOTHING
"""
MOVE = """
UPDATE checkpoints SET notification_id = $4, last_sequence = $5, change_position = $6,
    change_digest = $7, last_time = $8, skipped = $9, updated_at = now()
WHERE application_name = $1 AND notification_id = $2 AND last_sequence = $3
"""
"""Only from where the projector left it: nobody else moves it. Takes `move_arguments`."""
_MOVE_AND_TELL = f"WITH moved AS ({MOVE} RETURNING 1) SELECT pg_notify($10, $11) FROM moved"  # noqa: S608


async def read_checkpoint(connection: Connection, *, lock: bool = False) -> Checkpoint:
    """The checkpoint as it stands; with `lock`, nobody else moves it before we commit."""
    row = await connection.fetchrow(_LOCK if lock else _READ, APPLICATION)
    return Checkpoint(*row) if row else Checkpoint()


async def first_position(connection: Connection) -> int:
    """Where the log of this database begins: 1, unless it was begun anew."""
    found = await connection.fetchval("SELECT max(first_position) FROM log_beginnings")
    return int(found or 1)


async def create_checkpoint(connection: Connection) -> None:
    """Make the row if this database has none, so that there is something to lock."""
    await connection.execute(_CREATE, APPLICATION)


def move_arguments(before: Checkpoint, to: Checkpoint) -> tuple[Any, ...]:
    """The nine arguments of `MOVE`."""
    return (
        APPLICATION,
        before.position,
        before.last_sequence,
        to.position,
        to.last_sequence,
        to.change_position,
        to.change_digest,
        to.last_time,
        to.skipped,
    )


def news_of(to: Checkpoint, rejections: int = 0) -> tuple[str, str]:
    """What every follower is told when (and only if) the move commits: channel and payload."""
    return CHANNEL, f"{to.position}:{to.last_sequence}:{rejections}"


async def move_checkpoint(connection: Connection, before: Checkpoint, to: Checkpoint) -> None:
    """Move the checkpoint where nothing is recorded, and tell every follower.

    Raises BrokenInvariant if it does not stand at `before`: somebody else writes here, against
    the advisory lock.
    """
    arguments = (*move_arguments(before, to), *news_of(to))
    if not await connection.fetch(_MOVE_AND_TELL, *arguments):
        stored = await read_checkpoint(connection)
        raise BrokenInvariant(f"the checkpoint is {stored}, the projector left {before}")
