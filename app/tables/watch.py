"""Queries of `config_revisions` for watchers who resume. Reads only; static SQL only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import asyncpg

from projections.read_model import RecordedRevision
from projections.recorded import COLUMNS, from_row

MAX_SCANNED = 5000
"""Revisions that a page looks at to find its own; more than the largest change set holds."""
_BEFORE = """
SELECT sequence FROM config_revisions WHERE position <= $1
ORDER BY position DESC, sequence DESC LIMIT 1
"""
# How many revisions of the project come next, and the last of them.
_AHEAD = """
SELECT count(*) AS revisions, max(sequence) AS last FROM (
    SELECT project_id, sequence FROM config_revisions WHERE (project_id, sequence) > ($1, $2)
    ORDER BY project_id, sequence LIMIT $4) AS l
WHERE project_id = $1 AND sequence <= $3
"""
_BEFORE_SET = "SELECT sequence - change_index - 1 FROM config_revisions WHERE sequence = $1"
# The running total is of the committed bytes, so that a page is bounded in memory too.
_PAGE = f"""
SELECT {COLUMNS}, r.total FROM (
    SELECT r.*, row_number() OVER w AS number, sum(octet_length(r.state)) OVER w AS total
    FROM (
        SELECT * FROM config_revisions WHERE (project_id, sequence) > ($1, $2)
        ORDER BY project_id, sequence LIMIT $8) AS r
    WHERE r.project_id = $1 AND r.sequence <= $3 AND starts_with(r.config_key, $4)
        AND ($5::text[] IS NULL OR r.config_key = ANY($5))
    WINDOW w AS (ORDER BY r.project_id, r.sequence)
    ORDER BY r.project_id, r.sequence LIMIT $6
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
) -> tuple[list[RecordedRevision], bool, int]:
    """A project's revisions behind a sequence, in order; whether it is cut because it is full; and
    else up to which sequence it holds all of them, which may be before `up_to`.

    Is full with the first one that goes beyond `limit_bytes`, but holds two where there are two,
    so that the last of a page that is not the end can be left for the next.
    """
    scanned = limit
    if prefix or keys is not None:
        ahead: Any = await pool.fetchrow(_AHEAD, project_id, sequence, up_to, MAX_SCANNED + 1)
        scanned = min(ahead["revisions"], MAX_SCANNED)
        if ahead["revisions"] > MAX_SCANNED:
            # The change set of the first that is not looked at waits as a whole for the next page.
            up_to = await pool.fetchval(_BEFORE_SET, ahead["last"])
    rows = await pool.fetch(
        _PAGE,
        project_id,
        sequence,
        up_to,
        prefix,
        None if keys is None else list(keys),
        limit,
        limit_bytes,
        scanned,
    )
    full = len(rows) == limit or (len(rows) > 1 and rows[-1]["total"] > limit_bytes)
    return [from_row(row) for row in rows], full, up_to
