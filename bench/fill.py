"""Fills a database with a made-up history by SQL, quickly: revisions as the projector writes
them, and the rows of `configs` that they make. The hash chain is left empty; nothing here
measures it.
"""

from __future__ import annotations

import asyncpg

_REVISIONS = """
INSERT INTO config_revisions (id, sequence, project_id, config_key, version, event, state,
    position, change_id, change_index, created_at, content, created_by_user_id,
    created_by_email, hash)
SELECT 'fill-' || ($5 + n), $5 + n, $1, key, version,
    CASE WHEN version = 1 THEN 'config:created' ELSE 'config:updated' END,
    convert_to(
        '{"timestamp":"2026-01-01T00:00:00+00:00","actor":{"email":"fill@guardian.local"},'
        || '"comment":null,"content":' || content || ',"schema_id":null,"schema_version":null'
        || CASE WHEN version = 1 THEN ',"originator_topic":"config"}' ELSE '}' END, 'UTF8'),
    $5 + n, 'fill-' || ($5 + n), 0, timestamptz '2026-01-01' + n * interval '1 ms',
    content::jsonb, NULL, 'fill@guardian.local', decode(repeat('00', 32), 'hex')
FROM (
    SELECT n, $4 || 'k.' || (n - 1) % $2 AS key, (n - 1) / $2 + 1 AS version,
        '{"limit":' || n || ',"name":"' || repeat('x', 100) || '"}' AS content
    FROM generate_series(1::bigint, $2::bigint * $3::bigint) AS n
) AS made
"""
_CONFIGS = """
INSERT INTO configs (project_id, key, version, content, deleted, position, created_at, updated_at)
SELECT r.project_id, r.config_key, r.version, r.content, false, r.position,
    f.created_at, r.created_at
FROM config_revisions r
JOIN config_revisions f
  ON f.project_id = r.project_id AND f.config_key = r.config_key AND f.version = 1
WHERE r.project_id = $1 AND r.version = $2 AND r.config_key LIKE $3 || 'k.%'
"""
_CHECKPOINT = """
INSERT INTO checkpoints (application_name, notification_id, last_sequence, updated_at)
VALUES ('guardian', 0, $1, now())
ON CONFLICT (application_name) DO UPDATE SET last_sequence = $1
"""


async def fill(dsn: str, project_id: str, configs: int, versions: int, prefix: str = "") -> None:
    """Add `configs` configs of `versions` revisions each; nothing else may write meanwhile."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            last = await connection.fetchval(
                "SELECT coalesce(max(sequence), 0) FROM config_revisions"
            )
            last = max(
                last,
                await connection.fetchval(
                    "SELECT coalesce(max(last_sequence), 0) FROM checkpoints"
                ),
            )
            await connection.execute(
                _REVISIONS, project_id, configs, versions, prefix, last, timeout=1200
            )
            await connection.execute(_CONFIGS, project_id, versions, prefix, timeout=1200)
            await connection.execute(_CHECKPOINT, last + configs * versions)
        await connection.execute("ANALYZE config_revisions", timeout=600)
        await connection.execute("ANALYZE configs", timeout=600)
    finally:
        await connection.close()
