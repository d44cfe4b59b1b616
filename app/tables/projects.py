"""Queries of `projects`. Static SQL only."""

from __future__ import annotations

from typing import Any

import asyncpg

from projections.revisions import Connection

Source = asyncpg.Pool | Connection

_COLUMNS = "p.id, p.name, p.owner_user_id, p.created_at, p.updated_at"
_INSERT = """
INSERT INTO projects (id, name, owner_user_id, api_key) VALUES ($1, $2, $3, $4)
RETURNING id, name, owner_user_id, created_at, updated_at
"""
_OF_USER = f"""
SELECT {_COLUMNS}, CASE WHEN p.owner_user_id = $1 THEN 'owner' WHEN $2 THEN 'superuser'
    ELSE r.role_level::text END AS role
FROM projects p LEFT JOIN roles r ON r.project_id = p.id AND r.user_id = $1
WHERE ($2 OR p.owner_user_id = $1 OR r.user_id IS NOT NULL) AND p.id > $3
ORDER BY p.id LIMIT $4
"""  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM projects p WHERE p.id = $1"  # noqa: S608


async def insert_project(
    source: Source, project_id: str, name: str, owner_user_id: str, key_hash: str
) -> Any:
    """Add a project; the row."""
    return await source.fetchrow(_INSERT, project_id, name, owner_user_id, key_hash)


async def list_projects(
    source: Source, user_id: str, is_superuser: bool, after: str, limit: int
) -> list[Any]:
    """The projects that a user may see, by id, behind `after`."""
    return list(await source.fetch(_OF_USER, user_id, is_superuser, after, limit))


async def find_project(source: Source, project_id: str) -> Any:
    """One project; None if it is not there."""
    return await source.fetchrow(_ONE, project_id)
