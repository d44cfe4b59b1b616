"""Queries of `config_revisions` for people: pages of history. Reads only; static SQL only."""

from __future__ import annotations

import asyncpg

from projections.read_model import RecordedRevision
from projections.recorded import COLUMNS, from_row

_OF_CONFIG = f"""
SELECT {COLUMNS} FROM config_revisions r
WHERE r.project_id = $1 AND r.config_key = $2 AND r.version < $3
ORDER BY r.version DESC LIMIT $4
"""  # noqa: S608


async def revisions_of_config(
    pool: asyncpg.Pool, project_id: str, key: str, below_version: int, limit: int
) -> list[RecordedRevision]:
    """A config's revisions, newest first, below a version."""
    rows = await pool.fetch(_OF_CONFIG, project_id, key, below_version, limit)
    return [from_row(row) for row in rows]
