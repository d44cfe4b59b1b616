"""The projector's checkpoint: how far the log is applied here, and what stood at that place.

Kept in one row of `checkpoints`, moved in the transaction that records the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

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
# Only from where the projector left it: nobody else moves it. The ends of the hash chains move in
# the same statement, which spares a round trip.
_MOVE = """
WITH moved AS (
    UPDATE checkpoints SET notification_id = $2, last_sequence = $3, change_position = $4,
        change_digest = $5, last_time = $6, skipped = $7, updated_at = now()
    WHERE application_name = $1 AND notification_id = $10 AND last_sequence = $11 RETURNING 1),
heads AS (
    INSERT INTO audit_heads (project_id, revisions, head_hash, head_position, head_sequence)
    SELECT h.project_id, h.revisions, h.head_hash, h.head_position, h.head_sequence
    FROM unnest($12::text[], $13::bigint[], $14::bytea[], $15::bigint[], $16::bigint[])
    AS h (project_id, revisions, head_hash, head_position, head_sequence)
    ON CONFLICT (project_id) DO UPDATE
    SET revisions = excluded.revisions, head_hash = excluded.head_hash,
        head_position = excluded.head_position, head_sequence = excluded.head_sequence)
SELECT pg_notify($8, $9) FROM moved
"""
ChainEnd = tuple[str, int, bytes, int, int]
"""A row of `audit_heads`: project id, revisions, hash, position and sequence of the last one."""


async def read_checkpoint(connection: Connection, *, lock: bool = False) -> Checkpoint:
    """The checkpoint as it stands; with `lock`, nobody else moves it before we commit."""
    row = await connection.fetchrow(_LOCK if lock else _READ, APPLICATION)
    return Checkpoint(*row) if row else Checkpoint()


async def create_checkpoint(connection: Connection) -> None:
    """Make the row if this database has none, so that there is something to lock."""
    await connection.execute(_CREATE, APPLICATION)


async def move_checkpoint(
    connection: Connection,
    before: Checkpoint,
    to: Checkpoint,
    *,
    chain_ends: Sequence[ChainEnd] = (),
    rejections: int = 0,
) -> None:
    """Move the checkpoint and tell every follower when (and only if) the transaction commits.

    Raises BrokenInvariant if it does not stand at `before`: somebody else writes here, against
    the advisory lock.
    """
    moved = await connection.fetch(
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
        before.position,
        before.last_sequence,
        *(map(list, zip(*chain_ends, strict=True)) if chain_ends else [[]] * 5),
    )
    if not moved:
        stored = await read_checkpoint(connection)
        raise BrokenInvariant(f"the checkpoint is {stored}, the projector left {before}")
