"""What became of change sets, by their ids. Reads only; static SQL only."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg
import orjson

from app.errors import NotFound, Unavailable
from domain.errors import BrokenInvariant, Conflict
from projections.read_model import Applied, Outcome, Rejected
from projections.recorded import COLUMNS, LINE_COLUMNS, from_row

_APPLIED = f"""
SELECT {COLUMNS} FROM config_revisions r WHERE r.change_id = $1 ORDER BY r.change_index
"""  # noqa: S608
_APPLIED_LINES = f"""
SELECT {LINE_COLUMNS} FROM config_revisions r WHERE r.change_id = $1 ORDER BY r.change_index
"""  # noqa: S608
_REJECTED = """
SELECT project_id, position, conflicts::text AS conflicts
FROM rejected_changes WHERE change_id = $1
"""
_PASSED_OVER = """
SELECT EXISTS (SELECT FROM projects WHERE id = $1 AND deleted_at IS NULL) AS has_project,
    EXISTS (SELECT FROM skipped_entries WHERE position = $2) AS skipped
"""


@dataclass(frozen=True, slots=True)
class Decided:
    """A change set that the log has decided."""

    project_id: str
    position: int
    outcome: Outcome


async def find_outcome(
    pool: asyncpg.Pool, change_id: str, *, contents: bool = True
) -> Decided | None:
    """What was recorded of a change set; None if nothing is (yet)."""
    if rows := await pool.fetch(_APPLIED if contents else _APPLIED_LINES, change_id):
        revisions = tuple(map(from_row, rows))
        return Decided(revisions[0].project_id, revisions[0].position, Applied(revisions))
    row = await pool.fetchrow(_REJECTED, change_id)
    if row is None:
        return None
    conflicts = tuple(Conflict(**conflict) for conflict in orjson.loads(row["conflicts"]))
    return Decided(row["project_id"], row["position"], Rejected(row["position"], conflicts))


async def why_passed_over(pool: asyncpg.Pool, project_id: str, position: int) -> Exception:
    """Why nothing is recorded of a change set whose position the projector has passed: NotFound,
    Unavailable, or BrokenInvariant where that cannot be."""
    row = await pool.fetchrow(_PASSED_OVER, project_id, position)
    assert row is not None
    if row["skipped"]:
        return Unavailable("an operator let this change be passed over; nothing was changed")
    if not row["has_project"]:
        return NotFound("the project is not there any more")
    return BrokenInvariant(
        f"the change set at position {position} was committed, the projector has passed that"
        " position, and nothing is recorded of it: a Raft server has lost a part of the log"
        " (`guardian log status`), or the database some of its rows"
    )
