"""The `configs` table as a projection: one row per key, the newest revision's content.

Must never decide anything: what arrives here was accepted.
"""

from __future__ import annotations

from domain.config import Config

# A schema that this database does not hold (any more) cannot be bound to: the revision
# keeps its id, the row does not.
PROJECT = f"""
INSERT INTO configs (project_id, key, version, content, schema_id, schema_version, deleted,
    position, updated_by_user_id, created_at, updated_at)
SELECT a.project_id, a.config_key, a.version, a.content, s.id,
    CASE WHEN s.id IS NULL THEN NULL ELSE a.schema_version END, a.event = '{Config.Deleted.TOPIC}',
    a.position, a.created_by_user_id, a.first_at, a.created_at
FROM (
    SELECT DISTINCT ON (project_id, config_key) *,
        min(created_at) OVER (PARTITION BY project_id, config_key) AS first_at
    FROM appended ORDER BY project_id, config_key, version DESC
) AS a
LEFT JOIN LATERAL (
    SELECT id FROM config_schemas WHERE id = a.schema_id FOR KEY SHARE
) AS s ON true
ON CONFLICT (project_id, key) DO UPDATE
SET version = excluded.version, content = excluded.content, schema_id = excluded.schema_id,
    schema_version = excluded.schema_version, deleted = excluded.deleted,
    position = excluded.position, updated_by_user_id = excluded.updated_by_user_id,
    updated_at = excluded.updated_at
"""  # noqa: S608
"""Brings the rows of the configs up to the last of their revisions in `appended`, rows of
`config_revisions`."""
