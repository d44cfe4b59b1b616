"""Queries of `roles`: who is what in a project of somebody else. Static SQL only."""

from __future__ import annotations

from typing import Any

import asyncpg

from projections.revisions import Connection

Source = asyncpg.Pool | Connection

_LIST = """
SELECT r.user_id, u.email, r.role_level::text AS role_level, r.created_at
FROM roles r JOIN users u ON u.id = r.user_id
WHERE r.project_id = $1 AND r.user_id > $2 ORDER BY r.user_id LIMIT $3
"""
_PUT = """
WITH r AS (
    INSERT INTO roles (user_id, project_id, role_level)
    SELECT id, $1, $3::role_level FROM users WHERE id = $2 AND deleted_at IS NULL FOR KEY SHARE
    ON CONFLICT (user_id, project_id) DO UPDATE SET role_level = excluded.role_level
    RETURNING user_id, role_level, created_at, (xmax = 0) AS is_new
)
SELECT r.user_id, u.email, r.role_level::text AS role_level, r.created_at, r.is_new
FROM r JOIN users u ON u.id = r.user_id
"""
_DELETE = "DELETE FROM roles WHERE project_id = $1 AND user_id = $2 RETURNING user_id"


async def list_roles(source: Source, project_id: str, after: str, limit: int) -> list[Any]:
    """The members of a project by user id, behind `after`; the owner is none of them."""
    return list(await source.fetch(_LIST, project_id, after, limit))


async def put_role(source: Source, project_id: str, user_id: str, role_level: str) -> Any:
    """Make a user a member, or change what they are; None if there is no such user."""
    try:
        return await source.fetchrow(_PUT, project_id, user_id, role_level)
    except asyncpg.ForeignKeyViolationError:
        return None


async def delete_role(source: Source, project_id: str, user_id: str) -> bool:
    """Take a member out; whether they were one."""
    return await source.fetchval(_DELETE, project_id, user_id) is not None
