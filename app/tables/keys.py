"""Queries of `api_keys`: the named keys of a project. Static SQL only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from app.errors import Duplicate, NotFound
from projections.revisions import Connection

Source = asyncpg.Pool | Connection

_COLUMNS = """id, name, role_level::text AS role_level, prefix, created_by_user_id, created_at,
    expires_at, last_used_at"""
_INSERT = f"""
INSERT INTO api_keys
    (id, project_id, name, role_level, key_hash, prefix, created_by_user_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {_COLUMNS}
"""  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS} FROM api_keys
WHERE project_id = $1 AND id > $2 AND revoked_at IS NULL ORDER BY id LIMIT $3
"""  # noqa: S608
_DELETE = "DELETE FROM api_keys WHERE project_id = $1 AND id = $2 RETURNING id"
_USED = """
UPDATE api_keys k SET last_used_at = u.at
FROM unnest($1::text[], $2::timestamptz[]) AS u (id, at)
WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)
"""


async def insert_key(
    source: Source,
    key_id: str,
    project_id: str,
    name: str,
    role_level: str,
    key_hash: str,
    prefix: str | None,
    created_by_user_id: str,
    expires_at: datetime | None,
) -> Any:
    """Add a key; the row. Raises Duplicate for a name that is taken, NotFound when the project, or
    who makes the key, was deleted meanwhile."""
    try:
        return await source.fetchrow(
            _INSERT,
            key_id,
            project_id,
            name,
            role_level,
            key_hash,
            prefix,
            created_by_user_id,
            expires_at,
        )
    except asyncpg.UniqueViolationError as error:
        raise Duplicate(f"there is a key {name!r} already") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("the project, or who asks, is not there any more") from error


async def list_keys(source: Source, project_id: str, after: str, limit: int) -> list[Any]:
    """The keys of a project by age, behind `after`."""
    return list(await source.fetch(_LIST, project_id, after, limit))


async def delete_key(source: Source, project_id: str, key_id: str) -> bool:
    """End a key; whether it was there. Its name is free again; history keeps its id and name."""
    return await source.fetchval(_DELETE, project_id, key_id) is not None


async def store_uses(source: Source, uses: dict[str, datetime]) -> None:
    """Note when each of these keys was used last."""
    await source.execute(_USED, list(uses), list(uses.values()))
