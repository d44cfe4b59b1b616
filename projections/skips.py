"""Entries that an operator told the projector to pass over: rows of `skipped_entries`.

Must never be written by the software itself: skipping is a decision of a person, with a reason.
"""

from __future__ import annotations

import hashlib

from consensus.log import Entry
from domain.errors import BrokenInvariant
from projections.revisions import Connection

_BEHIND = "SELECT position, digest FROM skipped_entries WHERE position > $1"
_ADD = """
INSERT INTO skipped_entries (position, digest, reason, decided_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (position) DO NOTHING RETURNING position
"""
_RETIRE = """
WITH retired AS (
    DELETE FROM skipped_entries WHERE position >= $1
    RETURNING position, digest, reason, decided_by, decided_at
)
INSERT INTO retired_skips (position, digest, reason, decided_by, decided_at)
SELECT position, digest, reason, decided_by, decided_at FROM retired
"""

Skips = dict[int, bytes]
"""From a position to the SHA-256 of the entry there."""


async def skips_behind(connection: Connection, position: int) -> Skips:
    """The decisions about entries that are not applied yet."""
    rows = await connection.fetch(_BEHIND, position)
    return {row["position"]: row["digest"] for row in rows}


async def add_skip(connection: Connection, entry: Entry, reason: str, decided_by: str) -> bool:
    """Record the decision; False if this position was decided before."""
    digest = hashlib.sha256(entry.data).digest()
    return await connection.fetchval(_ADD, entry.position, digest, reason, decided_by) is not None


async def retire_skips(connection: Connection, first_position: int) -> None:
    """Void the decisions from this position on: a log that begins there holds other entries."""
    await connection.execute(_RETIRE, first_position)


def is_skipped(skips: Skips, entry: Entry) -> bool:
    """Whether to pass over this entry. Raises BrokenInvariant if it is not the one decided on."""
    digest = skips.get(entry.position)
    if digest is None:
        return False
    if digest != hashlib.sha256(entry.data).digest():
        raise BrokenInvariant(
            f"the entry at {entry.position} is not the one that an operator decided to skip"
        )
    return True
