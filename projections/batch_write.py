"""The one statement that writes a batch: the revisions first, then `configs` from the very rows
that were appended, then the ends of the hash chains; and the NOTIFY, if the checkpoint moved.

One statement is one transaction and one round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson

from projections.arrays import arrays, numbered_from
from projections.batch import BatchResult, Rejection, Touched, World
from projections.checkpoint import MOVE, Checkpoint, move_arguments, news_of
from projections.configs import PROJECT
from projections.revisions import APPEND, Connection, columns_of

_MOVED = "EXISTS (SELECT FROM moved)"
# The rows that foreign keys will need are locked: a project or user that is deleted meanwhile
# waits for this batch, or the batch sees that it is gone, and nothing is written. To mark one of
# them as gone waits for nobody; the batch sees it all the same, because the row is read once more.
_HELD = """
held_projects AS (
    SELECT id FROM projects WHERE id = ANY($1::text[]) AND deleted_at IS NULL FOR KEY SHARE),
held_users AS (
    SELECT id FROM users WHERE id = ANY($2::text[]) AND deleted_at IS NULL FOR KEY SHARE)
"""
_ALL_HELD = """
(SELECT count(*) FROM held_projects) = cardinality($1::text[])
AND (SELECT count(*) FROM held_users) = cardinality($2::text[])
"""
# Nothing of the batch is recorded yet, and each chain still ends where it is continued, in a
# revision that nobody changed.
_NEW = """
NOT EXISTS (SELECT FROM config_revisions WHERE change_id = ANY($1::text[]) AND change_index = 0)
AND NOT EXISTS (SELECT FROM rejected_changes WHERE change_id = ANY($1::text[]))
"""
_CHAINS_STAND = """
(SELECT count(*) FROM unnest($1::text[], $2::bigint[], $3::bytea[])
    AS c (project_id, revisions, head_hash)
 JOIN audit_heads h ON h.project_id = c.project_id
 JOIN config_revisions r ON r.sequence = h.head_sequence
 WHERE h.revisions = c.revisions AND h.head_hash = c.head_hash AND r.hash = c.head_hash
) = cardinality($1::text[])
"""
_REJECT = """
INSERT INTO rejected_changes (change_id, project_id, position, conflicts, created_at)
SELECT r.change_id, r.project_id, r.position, r.conflicts::jsonb, r.created_at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[])
AS r (change_id, project_id, position, conflicts, created_at)
"""
_END_CHAINS = """
INSERT INTO audit_heads (project_id, revisions, head_hash, head_position, head_sequence)
SELECT h.project_id, h.revisions, h.head_hash, h.head_position, h.head_sequence
FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[])
AS h (project_id, revisions, head_hash, head_position, head_sequence)
"""
WRITE = f"""
WITH {numbered_from(29, _HELD)},
moved AS ({numbered_from(18, MOVE)} AND {numbered_from(29, _ALL_HELD)}
    AND {numbered_from(41, _NEW)} AND {numbered_from(42, _CHAINS_STAND)} RETURNING 1),
appended AS ({APPEND} WHERE {_MOVED}
    RETURNING project_id, config_key, version, event, content, schema_id, schema_version,
        position, created_by_user_id, created_at),
projected AS ({PROJECT}),
rejected AS ({numbered_from(31, _REJECT)} WHERE {_MOVED}),
chained AS ({numbered_from(36, _END_CHAINS)} WHERE {_MOVED}
    ON CONFLICT (project_id) DO UPDATE
    SET revisions = excluded.revisions, head_hash = excluded.head_hash,
        head_position = excluded.head_position, head_sequence = excluded.head_sequence)
SELECT pg_notify($27, $28) FROM moved
"""  # noqa: S608
"""Arguments: 1 to 17 the revisions, 18 to 26 the checkpoint, 27 and 28 the news, 29 and 30 the
projects and users, 31 to 35 the rejections, 36 to 40 the chains, 41 the change sets that must be
new, 42 to 44 the chains as they must stand before."""
ChainEnd = tuple[str, int, bytes, int, int]
"""A row of `audit_heads`: project id, revisions, hash, position and sequence of the last one."""


@dataclass(frozen=True, slots=True)
class Foundation:
    """What a batch is decided from and must still be so when it is written."""

    projects: list[str]
    users: list[str]
    new_changes: list[str]
    chains: list[tuple[str, int, bytes]]
    """Project id, revisions, hash of the last one."""

    @classmethod
    def of(cls, touched: Touched, world: World) -> Foundation:
        """To be taken before the entries are applied to `world`."""
        return cls(
            list(world.projects),
            list(world.users),
            list(touched.changes - world.known_changes),
            [(id_, chain.revisions, chain.head_hash) for id_, chain in world.chains.items()],
        )


async def write_batch(
    connection: Connection,
    before: Checkpoint,
    after: Checkpoint,
    foundation: Foundation,
    result: BatchResult,
    chain_ends: Sequence[ChainEnd],
) -> bool:
    """Write all of a batch and move the checkpoint, or nothing.

    False: the checkpoint does not stand at `before`, or the foundation does not hold.
    """
    written = await connection.fetch(
        WRITE,
        before.last_sequence,
        *columns_of(result.revisions),
        *move_arguments(before, after),
        *news_of(after, len(result.rejections)),
        foundation.projects,
        foundation.users,
        *arrays([_row(rejection) for rejection in result.rejections], 5),
        *arrays(chain_ends, 5),
        foundation.new_changes,
        *arrays(foundation.chains, 3),
    )
    return bool(written)


def _row(rejection: Rejection) -> tuple[object, ...]:
    return (
        rejection.change_id,
        rejection.project_id,
        rejection.position,
        orjson.dumps([asdict(conflict) for conflict in rejection.conflicts]).decode(),
        rejection.created_at,
    )
