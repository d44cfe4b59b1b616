"""Fills a database with a made-up history by SQL, quickly: revisions as the projector writes
them, and the rows of `configs` that they make. The hash chain is left empty; nothing here
measures it.
"""

from __future__ import annotations

import asyncpg

# The order of the keys is another one in each round of versions, and never that of their names:
# nobody changes their configs in alphabetic order, and rows that lie as an index has them
# would be read quicker than a real history. SCATTER is a prime, so every key comes once a round.
_SCATTER = 7_368_787
_MADE = f"""
SELECT n, $4 || 'k.' || (n * {_SCATTER} + version * version * 104729) % $2::bigint AS key, version,
    '{{"limit":' || n || ',"name":"' || repeat('x', $6::int) || '"}}' AS content,
    timestamptz '2026-01-01' + version * interval '1 s' AS at
FROM (
    SELECT n, (n - 1) / $2::bigint + 1 AS version
    FROM generate_series(1::bigint, $2::bigint * $3::bigint) AS n
) AS numbered
"""
_REVISIONS = f"""
INSERT INTO config_revisions (id, sequence, project_id, config_key, version, event, state,
    position, change_id, change_index, created_at, content, created_by_user_id,
    created_by_email, hash)
SELECT 'fill-' || ($5 + n) || '.0', $5 + n, $1, key, version,
    CASE WHEN version = 1 THEN 'config:created' ELSE 'config:updated' END,
    convert_to(
        '{{"timestamp":"2026-01-01T00:00:00+00:00","actor":{{"email":"fill@guardian.local"}},'
        || '"comment":null,"content":' || content || ',"schema_id":null,"schema_version":null'
        || CASE WHEN version = 1 THEN ',"originator_topic":"config"}}' ELSE '}}' END, 'UTF8'),
    $5 + n, 'fill-' || ($5 + n), 0, at, content::jsonb, NULL, 'fill@guardian.local',
    decode(repeat('00', 32), 'hex')
FROM ({_MADE}) AS made
"""
# Made from the same series, not from the revisions: a plan without statistics joins those
# in quadratic time.
_CONFIGS = f"""
INSERT INTO configs (project_id, key, version, content, deleted, position, created_at, updated_at)
SELECT $1, key, version, content::jsonb, false, $5 + n,
    at - (version - 1) * interval '1 s', at
FROM ({_MADE}) AS made WHERE version = $3::bigint
"""
_PLAIN_INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS made_by
FROM pg_index i
WHERE i.indrelid IN ('config_revisions'::regclass, 'configs'::regclass) AND NOT i.indisunique
"""
_LAST = """
SELECT greatest((SELECT max(sequence) FROM config_revisions),
    (SELECT max(last_sequence) FROM checkpoints), 0)
"""
_CHECKPOINT = """
INSERT INTO checkpoints (application_name, notification_id, last_sequence, updated_at)
VALUES ('guardian', 0, $1, now())
ON CONFLICT (application_name) DO UPDATE SET last_sequence = $1
"""


async def fill(
    dsn: str,
    project_id: str,
    configs: int,
    versions: int,
    prefix: str = "",
    *,
    content_bytes: int = 100,
) -> None:
    """Add `configs` configs of `versions` revisions each; nothing else may write meanwhile."""
    connection = await asyncpg.connect(dsn)
    try:
        # The rows are right by the way they are made; checking each again is most of the time.
        await connection.execute("SET session_replication_role = replica")
        async with connection.transaction():
            last = await connection.fetchval(_LAST)
            arguments = (project_id, configs, versions, prefix, last, content_bytes)
            # To make an index anew takes a fraction of keeping it through a million rows.
            indexes = await connection.fetch(_PLAIN_INDEXES)
            for index in indexes:
                await connection.execute(f"DROP INDEX {index['name']}")
            await connection.execute(_REVISIONS, *arguments, timeout=1200)
            await connection.execute(_CONFIGS, *arguments, timeout=1200)
            for index in indexes:
                await connection.execute(index["made_by"], timeout=1200)
            await connection.execute(_CHECKPOINT, last + configs * versions)
        # Now, so that the server does not do it by itself in the middle of a measurement.
        await connection.execute("VACUUM (ANALYZE) config_revisions, configs", timeout=600)
    finally:
        await connection.close()
