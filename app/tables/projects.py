"""Queries of `projects`. Static SQL only.

A project with `deleted_at` is gone, whatever rows it still has (`app.project_deletions`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from app.errors import NotFound, NotSignedIn
from projections.revisions import Connection

Source = asyncpg.Pool | Connection

# Not IS NULL, of which the planner believes that it holds for one row in two hundred while it knows
# nothing else of the table: then it reads all projects rather than those of a page in their order.
_IS_THERE = "coalesce({projects}.deleted_at, 'infinity') >= 'infinity'"
_COLUMNS = "p.id, p.name, p.owner_user_id, o.email AS owner_email, p.created_at, p.updated_at"
_INSERT = f"""
WITH p AS (
    INSERT INTO projects (id, name, owner_user_id, api_key)
    SELECT $1, $2, id, $4 FROM users WHERE id = $3 AND deleted_at IS NULL FOR KEY SHARE
    RETURNING *
)
SELECT {_COLUMNS} FROM p JOIN users o ON o.id = p.owner_user_id
"""  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS}, CASE WHEN p.owner_user_id = $1 THEN 'owner' ELSE 'superuser' END AS role
FROM projects p JOIN users o ON o.id = p.owner_user_id
WHERE p.id > $2 AND {_IS_THERE.format(projects="p")} ORDER BY p.id LIMIT $3
"""  # noqa: S608
_OF_USER = f"""
SELECT {_COLUMNS}, CASE WHEN p.owner_user_id = $1 THEN 'owner' ELSE r.role_level::text END AS role
FROM (SELECT id FROM projects
      WHERE owner_user_id = $1 AND id > $2 AND {_IS_THERE.format(projects="projects")}
      UNION SELECT project_id FROM roles WHERE user_id = $1 AND project_id > $2
          AND (SELECT deleted_at FROM projects WHERE id = project_id) IS NULL
      ORDER BY id LIMIT $3) AS mine
    CROSS JOIN LATERAL (SELECT * FROM projects WHERE id = mine.id LIMIT 1) AS p
    JOIN users o ON o.id = p.owner_user_id
    LEFT JOIN roles r ON r.project_id = p.id AND r.user_id = $1
ORDER BY p.id
"""  # noqa: S608
_ONE = f"""
SELECT {_COLUMNS} FROM projects p JOIN users o ON o.id = p.owner_user_id
WHERE p.id = $1 AND p.deleted_at IS NULL
"""  # noqa: S608
_RENAME = """
UPDATE projects SET name = $2, updated_at = now() WHERE id = $1 AND deleted_at IS NULL
"""
_GOES_WITH = """
SELECT p.id, p.name,
    (SELECT count(*) FROM configs c WHERE c.project_id = p.id AND NOT c.deleted) AS configs,
    coalesce((SELECT revisions FROM audit_heads h WHERE h.project_id = p.id), 0) AS revisions,
    (SELECT count(*) FROM config_schemas s WHERE s.project_id = p.id) AS schemas,
    (SELECT count(*) FROM api_keys k WHERE k.project_id = p.id) AS keys,
    (SELECT count(*) FROM roles m WHERE m.project_id = p.id) AS roles
FROM projects p WHERE p.id = $1 AND p.deleted_at IS NULL
"""
_REPLACE_KEY = """
UPDATE projects SET api_key = $2, updated_at = now(),
    previous_api_key = CASE WHEN $3::timestamptz IS NOT NULL THEN api_key END,
    previous_api_key_expires_at = $3
WHERE id = $1 AND deleted_at IS NULL RETURNING id
"""
_MARK = """
UPDATE projects SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING id
"""
_MARKED = "SELECT id FROM projects WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id"
_REMOVE = "DELETE FROM projects WHERE id = $1 AND deleted_at IS NOT NULL"
_REMOVE_UNLESS_LOCKED = """
DELETE FROM projects WHERE id = (
    SELECT id FROM projects WHERE id = $1 AND deleted_at IS NOT NULL FOR UPDATE SKIP LOCKED)
"""


async def insert_project(
    source: Source, project_id: str, name: str, owner_user_id: str, key_hash: str
) -> Any:
    """Add a project; the row. Raises NotSignedIn when its owner was deleted meanwhile."""
    row = await source.fetchrow(_INSERT, project_id, name, owner_user_id, key_hash)
    if row is None:
        raise NotSignedIn("the user is not there any more")
    return row


async def list_projects(
    source: Source, user_id: str, is_superuser: bool, after: str, limit: int
) -> list[Any]:
    """The projects that a user may see, by id, behind `after`."""
    return list(await source.fetch(_LIST if is_superuser else _OF_USER, user_id, after, limit))


async def find_project(source: Source, project_id: str) -> Any:
    """One project; None if it is not there."""
    return await source.fetchrow(_ONE, project_id)


async def rename_project(source: Source, project_id: str, name: str) -> None:
    """Give a project another name."""
    await source.execute(_RENAME, project_id, name)


async def goes_with_project(source: Source, project_id: str) -> dict[str, Any] | None:
    """What a deletion of the project takes with it, counted; None if it is not there."""
    row = await source.fetchrow(_GOES_WITH, project_id)
    return None if row is None else dict(row)


async def mark_deleted(source: Source, project_id: str) -> bool:
    """From now on the project is gone; whether it was there."""
    return await source.fetchval(_MARK, project_id) is not None


async def marked_projects(source: Source) -> list[str]:
    """The ids of those that are gone and still have rows, by the time of their deletion."""
    return [row["id"] for row in await source.fetch(_MARKED)]


async def remove_marked(source: Source, project_id: str, *, wait: bool, timeout: float) -> None:
    """Take away the rows of a project that is marked, with its configs and their history.

    `wait` where another process is doing it, else return.
    """
    await source.execute(_REMOVE if wait else _REMOVE_UNLESS_LOCKED, project_id, timeout=timeout)


async def replace_key(
    source: Source, project_id: str, key_hash: str, ends_at: datetime | None
) -> None:
    """Give the project a new key; the old one ends then, or now.

    `ends_at`: by the clock of a web process, which is what it is held against. One old key at most
    is good beside the new one: one that was in its grace already ends.
    Raises NotFound when the project was deleted meanwhile.
    """
    if await source.fetchval(_REPLACE_KEY, project_id, key_hash, ends_at) is None:
        raise NotFound("the project is not there any more")
