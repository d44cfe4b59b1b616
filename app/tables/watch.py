"""Queries of `config_revisions` for watchers who resume. Reads only; static SQL only."""

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from projections.read_model import RecordedRevision
from projections.recorded import COLUMNS, from_row

_BEFORE = """
SELECT sequence FROM config_revisions WHERE position <= $1
ORDER BY position DESC, sequence DESC LIMIT 1
"""
# The running total is of the committed bytes, so that a page is bounded in memory too.
_PAGE = f"""
SELECT {COLUMNS}, r.total FROM (
    SELECT r.*, row_number() OVER w AS number, sum(octet_length(r.state)) OVER w AS total
    FROM config_revisions r
    WHERE r.project_id = $1 AND r.sequence > $2 AND r.sequence <= $3
        AND starts_with(r.config_key, $4)
        AND ($5::text[] IS NULL OR r.config_key = ANY($5))
    WINDOW w AS (ORDER BY r.sequence)
    ORDER BY r.sequence LIMIT $6
) AS r WHERE r.number <= 2 OR r.total - octet_length(r.state) <= $7 ORDER BY r.sequence
"""  # noqa: S608


async def sequence_at(pool: asyncpg.Pool, position: int) -> int:
    """The sequence of the last revision at or before a position; 0 if there is none."""
    return await pool.fetchval(_BEFORE, position) or 0


async def revisions_behind(
    pool: asyncpg.Pool,
    project_id: str,
    sequence: int,
    up_to: int,
    prefix: str,
    keys: Collection[str] | None,
    limit: int,
    limit_bytes: int,
) -> tuple[list[RecordedRevision], bool]:
    """A project's revisions behind a sequence, in order; and whether there may be more.

    Ends with the first one that goes beyond `limit_bytes`, but holds two where there are two,
    so that the last of a page that is not the end can be left for the next.
    """
    wanted = None if keys is None else list(keys)
    rows = await pool.fetch(_PAGE, project_id, sequence, up_to, prefix, wanted, limit, limit_bytes)
    full = len(rows) == limit or (len(rows) > 1 and rows[-1]["total"] > limit_bytes)
    return [from_row(row) for row in rows], full
