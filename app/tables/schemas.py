"""Queries of `config_schemas` and of the configs that are bound to one. Static SQL only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from app.errors import NotSignedIn
from projections.recorded import content_of
from projections.revisions import Connection

Source = asyncpg.Pool | Connection

PAGE_BYTES = 4 * 1024 * 1024
"""Schema text in one page of a list."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema at one version."""

    id: str
    name: str
    project_id: str | None
    """None: shared by all."""
    version: int
    text: str
    created_by_user_id: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose eyes a query looks with."""

    user_id: str | None
    sees_all: bool
    project_id: str | None
    """The one project of an application's key."""
    prefix: str = ""
    """What the keys of the configs start with that it sees."""


_COLUMNS = """s.id, s.name, s.project_id, s.version, s.schema_content, s.created_by_user_id,
    s.created_at, s.updated_at"""
# The first three parameters of every query that looks with somebody's eyes are theirs.
_SEES_PROJECT = """($2 OR {id} = $3
    OR EXISTS (SELECT FROM projects p WHERE p.id = {id} AND p.owner_user_id = $1)
    OR EXISTS (SELECT FROM roles o WHERE o.project_id = {id} AND o.user_id = $1))"""
IS_THERE = """(SELECT deleted_at FROM projects WHERE id = s.project_id) IS NULL
    AND (SELECT deleted_at FROM users WHERE id = s.created_by_user_id) IS NULL"""
"""Of `config_schemas s`: a schema goes with its project, and with who made it."""
_SEES_SCHEMA = f"""{IS_THERE}
    AND (s.project_id IS NULL OR {_SEES_PROJECT.format(id="s.project_id")})"""
_SEES_CONFIG = f"(starts_with(c.key, $4) AND {_SEES_PROJECT.format(id='c.project_id')})"

_INSERT = f"""
WITH s AS (
    INSERT INTO config_schemas (id, name, project_id, version, schema_content, created_by_user_id)
    SELECT $1, $2, $3, 1, $4, id FROM users WHERE id = $5 AND deleted_at IS NULL FOR KEY SHARE
    RETURNING *
), v AS (
    INSERT INTO config_schema_versions (schema_id, version, schema_content, created_by_user_id,
        created_at)
    SELECT id, 1, schema_content, created_by_user_id, created_at FROM s
)
SELECT {_COLUMNS} FROM s
"""  # noqa: S608
_UPDATE = f"""
WITH s AS (
    UPDATE config_schemas SET version = version + 1, schema_content = $2,
        name = coalesce($3, name), updated_at = now()
    WHERE id = $1 RETURNING *
), v AS (
    INSERT INTO config_schema_versions (schema_id, version, schema_content, created_by_user_id)
    SELECT id, version, schema_content, $4 FROM s
)
SELECT {_COLUMNS} FROM s
"""  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM config_schemas s WHERE s.id = $1 AND {IS_THERE}"  # noqa: S608
_SEEN = f"SELECT {_COLUMNS} FROM config_schemas s WHERE s.id = $4 AND {_SEES_SCHEMA}"  # noqa: S608
_AT_VERSION = """
SELECT s.id, s.name, s.project_id, v.version, v.schema_content, s.created_by_user_id,
    s.created_at, v.created_at AS updated_at
FROM config_schemas s JOIN config_schema_versions v ON v.schema_id = s.id
WHERE s.id = $1 AND v.version = $2
"""
# The running total is of text, so that a page is bounded in memory too.
_PAGE = f"""
SELECT * FROM (
    SELECT {_COLUMNS}, row_number() OVER w AS number,
        sum(octet_length(s.schema_content)) OVER w AS total
    FROM config_schemas s
    WHERE {_SEES_SCHEMA} AND {{wanted}} AND s.id > $5
    WINDOW w AS (ORDER BY s.id) ORDER BY s.id LIMIT $6
) AS s WHERE number <= 2 OR total - octet_length(schema_content) <= $7 ORDER BY s.id
"""  # noqa: S608
_LIST = _PAGE.format(wanted="$4::text IS NULL")
_LIST_OF_PROJECT = _PAGE.format(wanted="s.project_id = $4")
# Compared and ordered as rows of three, so that only the index of the bound configs will do: why is
# said in app/tables/history.py.
_USAGE = f"""
SELECT c.project_id, c.key, c.version, c.schema_version, c.updated_at FROM configs c
WHERE (c.schema_id, c.project_id, c.key) > ($5, $6, $7) AND c.schema_id BETWEEN $5 AND $5
    AND NOT c.deleted AND {_SEES_CONFIG}
ORDER BY c.schema_id, c.project_id, c.key LIMIT $8
"""  # noqa: S608
# Who sees a project is asked once for each project, not for each config.
_COUNT_USAGE = f"""
SELECT coalesce(sum(c.configs), 0)::bigint AS total,
    coalesce(sum(c.begin_so) FILTER (WHERE {_SEES_PROJECT.format(id="c.project_id")}), 0)::bigint
        AS seen
FROM (SELECT project_id, count(*) AS configs,
        count(*) FILTER (WHERE starts_with(key, $4)) AS begin_so
      FROM configs WHERE schema_id = $5 AND NOT deleted GROUP BY project_id) AS c
"""  # noqa: S608
_BOUND = """
SELECT c.project_id, c.key, c.version FROM configs c
WHERE (c.schema_id, c.project_id, c.key) > ($1, $2, $3)
    AND c.schema_id BETWEEN $1 AND $1 AND NOT c.deleted
ORDER BY c.schema_id, c.project_id, c.key LIMIT $4
"""
_CONTENTS = """
SELECT r.project_id, r.config_key, r.event, r.state
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS c (project_id, key, version)
CROSS JOIN LATERAL (
    SELECT * FROM config_revisions
    WHERE project_id = c.project_id AND config_key = c.key AND version <= c.version
    ORDER BY version DESC LIMIT 1) AS r
WHERE r.version = c.version
"""


async def insert_schema(
    source: Source, schema_id: str, name: str, project_id: str | None, text: str, user_id: str
) -> Schema:
    """Add a schema at version 1. Raises NotSignedIn when who makes it was deleted meanwhile."""
    row = await source.fetchrow(_INSERT, schema_id, name, project_id, text, user_id)
    if row is None:
        raise NotSignedIn("the user is not there any more")
    return _schema(row)


async def update_schema(
    connection: Connection, schema_id: str, text: str, name: str | None, user_id: str
) -> Schema:
    """Make the next version of a schema that is there; a `name` of None stays."""
    return _schema(await connection.fetchrow(_UPDATE, schema_id, text, name, user_id))


async def delete_schema(connection: Connection, schema_id: str) -> None:
    """Delete it with its versions. The foreign key of `configs` is checked at the commit."""
    await connection.execute("DELETE FROM config_schemas WHERE id = $1", schema_id)


async def find_schema(source: Source, schema_id: str) -> Schema | None:
    """A schema at its current version, whoever asks."""
    row = await source.fetchrow(_ONE, schema_id)
    return None if row is None else _schema(row)


async def find_seen_schema(source: Source, viewer: Viewer, schema_id: str) -> Schema | None:
    """A schema that the viewer sees, at its current version."""
    row = await source.fetchrow(_SEEN, *_eyes(viewer), schema_id)
    return None if row is None else _schema(row)


async def find_schema_version(source: Source, schema_id: str, version: int) -> Schema | None:
    """A schema as it was at a version."""
    row = await source.fetchrow(_AT_VERSION, schema_id, version)
    return None if row is None else _schema(row)


async def schemas_of_user(source: Source, user_id: str) -> list[str]:
    """The ids of the schemas that go with a user."""
    rows = await source.fetch(
        "SELECT id FROM config_schemas WHERE created_by_user_id = $1 ORDER BY id", user_id
    )
    return [row["id"] for row in rows]


async def list_schemas(
    source: Source, viewer: Viewer, project_id: str | None, after: str, limit: int
) -> tuple[list[Schema], bool]:
    """Schemas that the viewer sees, by id, behind `after`; and whether there are more.

    With a `project_id`, only that project's. A page ends early at PAGE_BYTES of text.
    """
    statement = _LIST if project_id is None else _LIST_OF_PROJECT
    rows = await source.fetch(statement, *_eyes(viewer), project_id, after, limit + 1, PAGE_BYTES)
    full = len(rows) > limit or (len(rows) > 1 and rows[-1]["total"] > PAGE_BYTES)
    return [_schema(row) for row in (rows[:-1] if full else rows)], full


async def usage_of_schema(
    source: Source, viewer: Viewer, schema_id: str, after: tuple[str, str], limit: int
) -> list[Any]:
    """The live configs bound to a schema that the viewer sees, by project and key."""
    return list(await source.fetch(_USAGE, *_eyes(viewer), viewer.prefix, schema_id, *after, limit))


async def count_usage(source: Source, viewer: Viewer, schema_id: str) -> tuple[int, int]:
    """How many live configs are bound to a schema: all of them, and those that the viewer sees."""
    row = await source.fetchrow(_COUNT_USAGE, *_eyes(viewer), viewer.prefix, schema_id)
    assert row is not None
    return row["total"], row["seen"]


async def bound_configs(
    source: Source, schema_id: str, after: tuple[str, str], limit: int
) -> list[tuple[str, str, int]]:
    """(project id, key, version) of live configs bound to a schema, in order, behind `after`."""
    return [tuple(row) for row in await source.fetch(_BOUND, schema_id, *after, limit)]


async def contents_of(
    source: Source, configs: Sequence[tuple[str, str, int]]
) -> dict[tuple[str, str], bytes]:
    """The contents of configs at these versions, as committed, by project and key."""
    rows = await source.fetch(_CONTENTS, *map(list, zip(*configs, strict=True)))
    return {
        (row["project_id"], row["config_key"]): content
        for row in rows
        if (content := content_of(row["event"], row["state"])) is not None
    }


def _eyes(viewer: Viewer) -> tuple[str | None, bool, str | None]:
    return viewer.user_id, viewer.sees_all, viewer.project_id


def _schema(row: Any) -> Schema:
    return Schema(
        row["id"],
        row["name"],
        row["project_id"],
        row["version"],
        row["schema_content"],
        row["created_by_user_id"],
        row["created_at"],
        row["updated_at"],
    )
