"""Queries that find a caller: users with their sessions, keys, roles. Static SQL only."""

from __future__ import annotations

from typing import Any

import asyncpg

_SESSION = """
SELECT u.id, u.email, u.is_superuser, u.disabled, u.password_generation,
    u.id IN (SELECT t.user_id FROM refresh_tokens t
             WHERE t.family_id = $2 AND t.revoked_at IS NULL) AS signed_in
FROM users u WHERE u.id = $1
"""

_KEY = """
SELECT 'project:' || id AS id, 'project key' AS name, id AS project_id, owner_user_id,
    api_key AS key_hash, 'viewer' AS role_level, NULL AS prefix, NULL::timestamptz AS expires_at
FROM projects WHERE api_key = $1 AND deleted_at IS NULL
UNION ALL
SELECT 'project:' || id, 'project key', id, owner_user_id, previous_api_key, 'viewer', NULL,
    previous_api_key_expires_at
FROM projects WHERE previous_api_key = $1 AND deleted_at IS NULL
UNION ALL
SELECT k.id, k.name, k.project_id, p.owner_user_id, k.key_hash, k.role_level::text, k.prefix,
    k.expires_at
FROM api_keys k JOIN projects p ON p.id = k.project_id AND p.deleted_at IS NULL
WHERE k.key_hash = $1 AND k.revoked_at IS NULL
"""

_ROLE = """
SELECT (p.owner_user_id = $2) AS is_owner, r.role_level::text AS role_level
FROM projects p LEFT JOIN roles r ON r.project_id = p.id AND r.user_id = $2
WHERE p.id = $1 AND p.deleted_at IS NULL
"""


async def find_session(pool: asyncpg.Pool, user_id: str, session_id: str) -> Any:
    """The user of a session, and whether that session still stands; None: no such user."""
    return await pool.fetchrow(_SESSION, user_id, session_id)


async def find_key(pool: asyncpg.Pool, key_hash: str) -> Any:
    """The key with this hash, revoked ones excluded, expired ones included."""
    return await pool.fetchrow(_KEY, key_hash)


async def find_role(pool: asyncpg.Pool, project_id: str, user_id: str) -> Any:
    """What a user is in a project; None if there is no such project."""
    return await pool.fetchrow(_ROLE, project_id, user_id)
