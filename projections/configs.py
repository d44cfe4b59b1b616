"""The `configs` table as a projection: one row per key, the newest revision's content.

Must never decide anything: what arrives here was accepted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from domain.config import Config, split_config_id
from projections.batch import Revision
from projections.revisions import Connection

# A schema that this database does not hold (any more) cannot be bound to: the revision
# keeps its id, the row does not.
_UPSERT = """
INSERT INTO configs (project_id, key, version, content, schema_id, schema_version, deleted,
    position, updated_by_user_id, created_at, updated_at)
SELECT c.project_id, c.key, c.version, c.content::jsonb, s.id,
    CASE WHEN s.id IS NULL THEN NULL ELSE c.schema_version END, c.deleted, c.position,
    c.user_id, c.first_at, c.at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::int[],
    $7::bool[], $8::bigint[], $9::text[], $10::timestamptz[], $11::timestamptz[])
AS c (project_id, key, version, content, schema_id, schema_version, deleted, position,
    user_id, first_at, at)
LEFT JOIN LATERAL (
    SELECT id FROM config_schemas WHERE id = c.schema_id FOR KEY SHARE
) AS s ON true
ON CONFLICT (project_id, key) DO UPDATE
SET version = excluded.version, content = excluded.content, schema_id = excluded.schema_id,
    schema_version = excluded.schema_version, deleted = excluded.deleted,
    position = excluded.position, updated_by_user_id = excluded.updated_by_user_id,
    updated_at = excluded.updated_at
"""


async def project_revisions(connection: Connection, revisions: Iterable[Revision]) -> None:
    """Bring the rows of these revisions' configs up to the last revision of each."""
    newest: dict[str, Revision] = {}
    first_at: dict[str, datetime] = {}
    for revision in revisions:
        originator_id = str(revision.originator_id)
        newest[originator_id] = revision
        first_at.setdefault(originator_id, revision.created_at)
    rows = [
        (
            *split_config_id(originator_id),
            r.originator_version,
            r.content,
            r.schema_id,
            r.schema_version,
            r.topic == Config.Deleted.TOPIC,
            r.position,
            r.created_by_user_id,
            first_at[originator_id],
            r.created_at,
        )
        for originator_id, r in newest.items()
    ]
    await connection.execute(_UPSERT, *map(list, zip(*rows, strict=True)))
