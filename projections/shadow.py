"""The `configs` table as it should be: every config settled again by its newest event, through the
domain, into a temporary table beside the live one.

Must never take anything from `configs`, nor from a column of `config_revisions` that only repeats
what the event says. Memory is bounded by three pages at any size; pages are short where contents
are large.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from eventsourcing.persistence import StoredEvent

from domain.codec import decode_event
from domain.config import EVENT_NAMES, Config, check_history, check_place, config_id, settle
from domain.json_document import encode_json
from projections.revisions import Connection

PAGE = 500
"""Configs at once. So few that the server's answer fits the socket: it reads on while the page
before is settled."""
FIRST_PAGE = 32
PAGE_BYTES = 16_000_000
"""About as much of contents is asked for at once, if they are large."""
Row = tuple[Any, ...]
Progress = Callable[[int, int], None]
"""Called with revisions done and revisions in all."""

_CREATE = """
CREATE TEMPORARY TABLE configs_shadow (
    project_id VARCHAR NOT NULL, key VARCHAR NOT NULL, version BIGINT NOT NULL, content JSONB,
    schema_id VARCHAR, schema_version INT, deleted BOOLEAN NOT NULL, position BIGINT NOT NULL,
    updated_by_user_id VARCHAR, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL)
"""
_CREATE_WRONG = """
CREATE TEMPORARY TABLE configs_wrong (
    project_id VARCHAR NOT NULL, key VARCHAR NOT NULL, PRIMARY KEY (project_id, key))
"""
COLUMNS = (
    "project_id",
    "key",
    "version",
    "content",
    "schema_id",
    "schema_version",
    "deleted",
    "position",
    "updated_by_user_id",
    "created_at",
    "updated_at",
)

# Of each history its length, its newest event and its beginning: the length comes from an index
# alone, and LATERAL keeps the planner from reading the whole table for the rest.
_NEWEST = """
SELECT h.project_id, h.config_key, h.revisions, n.version, n.event, n.state, n.position,
    n.created_at, f.created_at AS first_at
FROM ({histories}) AS h
CROSS JOIN LATERAL (SELECT version, event, state, position, created_at FROM config_revisions
    WHERE project_id = h.project_id AND config_key = h.config_key
    ORDER BY version DESC LIMIT 1) AS n
CROSS JOIN LATERAL (SELECT created_at FROM config_revisions
    WHERE project_id = h.project_id AND config_key = h.config_key
    ORDER BY version LIMIT 1) AS f
"""
_ALL = _NEWEST.format(
    histories="""
SELECT project_id, config_key, count(*) AS revisions
FROM config_revisions WHERE ($1::text IS NULL OR project_id = $1)
GROUP BY project_id, config_key
"""
)
_TOUCHED = _NEWEST.format(
    histories="""
SELECT r.project_id, r.config_key, count(*) AS revisions
FROM config_revisions r
JOIN (SELECT DISTINCT project_id, config_key FROM config_revisions
      WHERE sequence > $1 AND ($2::text IS NULL OR project_id = $2)) AS touched
  USING (project_id, config_key)
GROUP BY r.project_id, r.config_key
"""
)
_OUT_OF_PLACE = """
SELECT project_id, config_key, version, event FROM config_revisions
WHERE ($1::text IS NULL OR project_id = $1)
AND ((event = $2) <> (version = 1) OR event <> ALL($3::text[])) LIMIT 1
"""

# What the live row of a shadow row must be: users and schemas that are gone are not referred to.
# The rows of a project that is gone are nobody's: who touched them would wait for them to go.
_EXPECTED = """
SELECT s.project_id, s.key, s.version, s.content, c.id AS schema_id,
    CASE WHEN c.id IS NULL THEN NULL ELSE s.schema_version END AS schema_version,
    s.deleted, s.position, u.id AS updated_by_user_id, s.created_at, s.updated_at
FROM configs_shadow s
JOIN projects p ON p.id = s.project_id AND p.deleted_at IS NULL
LEFT JOIN config_schemas c ON c.id = s.schema_id
LEFT JOIN users u ON u.id = s.updated_by_user_id AND u.deleted_at IS NULL
"""
# Who is marked as deleted is being taken out of the rows, in pieces.
_LIVE_USER = """
CASE WHEN updated_by_user_id = ANY(ARRAY(SELECT id FROM users WHERE deleted_at IS NOT NULL))
    THEN NULL ELSE updated_by_user_id END AS updated_by_user_id
"""
_LIVE_COLUMNS = [_LIVE_USER if name == "updated_by_user_id" else name for name in COLUMNS]
_LIVE = f"""
SELECT {", ".join(_LIVE_COLUMNS)} FROM configs
WHERE project_id <> ALL(ARRAY(SELECT id FROM projects WHERE deleted_at IS NOT NULL))
"""  # noqa: S608
_COMPARED = tuple(name for name in COLUMNS if name not in ("project_id", "key"))
# Of a row that is on one side alone, too: `version` is never NULL.
_DIFFER = " OR ".join(f"e.{name} IS DISTINCT FROM l.{name}" for name in _COMPARED)
_FIND_WRONG = f"""
INSERT INTO configs_wrong (project_id, key)
SELECT coalesce(e.project_id, l.project_id), coalesce(e.key, l.key)
FROM ({_EXPECTED}) AS e
FULL JOIN ({_LIVE} AND ($1::text IS NULL OR project_id = $1)) AS l
  ON l.project_id = e.project_id AND l.key = e.key
WHERE {_DIFFER}
"""  # noqa: S608
_BOTH_SIDES = f"""
LEFT JOIN ({_EXPECTED}) AS e ON e.project_id = w.project_id AND e.key = w.key
LEFT JOIN ({_LIVE}) AS l ON l.project_id = w.project_id AND l.key = w.key
"""
_FIRST_WRONG = f"""
SELECT w.project_id, w.key, e.key IS NULL AS surplus, l.key IS NULL AS missing,
    to_jsonb(e)::text AS expected, to_jsonb(l)::text AS found
FROM (SELECT * FROM configs_wrong ORDER BY project_id, key LIMIT 1) AS w {_BOTH_SIDES}
"""  # noqa: S608
_STILL_WRONG = f"SELECT count(*) FROM configs_wrong AS w {_BOTH_SIDES} WHERE {_DIFFER}"  # noqa: S608
_REMOVE_SURPLUS = """
DELETE FROM configs l USING configs_wrong w
WHERE l.project_id = w.project_id AND l.key = w.key
AND NOT EXISTS (SELECT 1 FROM configs_shadow s WHERE s.project_id = l.project_id AND s.key = l.key)
"""
_REPLACE = f"""
INSERT INTO configs ({", ".join(COLUMNS)})
SELECT e.* FROM configs_wrong AS w JOIN ({_EXPECTED}) AS e USING (project_id, key)
ON CONFLICT (project_id, key) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in _COMPARED)}
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of `configs` that is not what its revisions say."""

    project_id: str
    key: str
    what: str
    """missing, surplus or changed."""
    expected: str | None
    """The row that the revisions make, as JSON."""
    found: str | None
    """The live row, as JSON."""


async def make_shadow(
    reader: Connection, writer: Connection, project_id: str | None, progress: Progress
) -> int:
    """Settle all configs that `reader`'s transaction sees into `writer`'s temporary table.

    Returns how many configs there are. The reader must be inside a transaction. Raises
    UndecodableEntry or BrokenInvariant for a history that cannot be.
    """
    await writer.execute(_CREATE)
    total = await reader.fetchval(
        "SELECT count(*) FROM config_revisions WHERE ($1::text IS NULL OR project_id = $1)",
        project_id,
    )
    found = await reader.fetchrow(
        _OUT_OF_PLACE, project_id, Config.Created.TOPIC, list(EVENT_NAMES)
    )
    if found is not None:
        check_place(config_id(*found[:2]), *found[2:])
    count = done = 0
    async with aclosing(_pages(reader, _ALL, project_id)) as pages:
        async for page in pages:
            count += await _copy(writer, list(map(_settled, page)))
            done += sum(row["revisions"] for row in page)
            progress(done, total)
    await writer.execute("CREATE UNIQUE INDEX ON configs_shadow (project_id, key)")
    await writer.execute("ANALYZE configs_shadow")
    return count


async def refresh_shadow(writer: Connection, project_id: str | None, after_sequence: int) -> None:
    """Settle again the configs that changed behind a sequence, inside the writer's transaction."""
    async with aclosing(_pages(writer, _TOUCHED, after_sequence, project_id)) as pages:
        async for page in pages:
            rows = [*map(_settled, page)]
            await writer.executemany(
                "DELETE FROM configs_shadow WHERE project_id = $1 AND key = $2",
                [row[:2] for row in rows],
            )
            await _copy(writer, rows)


async def compare_with_shadow(
    writer: Connection, project_id: str | None
) -> tuple[int, Difference | None]:
    """How many live rows differ from the shadow, and the first of them by project and key.

    Which they are is kept in the connection's temporary table `configs_wrong`.
    """
    await writer.execute(_CREATE_WRONG)
    differences = int((await writer.execute(_FIND_WRONG, project_id)).rpartition(" ")[2])
    if not differences:
        return 0, None
    await writer.execute("ANALYZE configs_wrong")
    row = await writer.fetchrow(_FIRST_WRONG)
    assert row is not None
    what = "surplus" if row["surplus"] else "missing" if row["missing"] else "changed"
    first = Difference(row["project_id"], row["key"], what, row["expected"], row["found"])
    return differences, first


async def replace_by_shadow(writer: Connection) -> None:
    """Make the live rows that were found to differ those of the shadow, inside the writer's
    transaction.

    Row by row, not by renaming tables: readers see the old or the new rows, and keys, privileges
    and indexes stay.
    """
    await writer.execute(_REMOVE_SURPLUS)
    await writer.execute(_REPLACE)
    left = await writer.fetchval(_STILL_WRONG)
    assert left == 0, f"{left} rows differ from the shadow that they were made from"


async def _copy(writer: Connection, rows: list[Row]) -> int:
    if rows:
        await writer.copy_records_to_table("configs_shadow", records=rows, columns=COLUMNS)
    return len(rows)


async def _pages(
    connection: Connection, query: str, *args: object
) -> AsyncGenerator[list[Any], None]:
    """The rows of a query, each page asked for before the one in front of it is given out."""
    cursor = await connection.cursor(query, *args)
    size = min(PAGE, FIRST_PAGE)
    ahead = asyncio.ensure_future(cursor.fetch(size))
    try:
        while page := await ahead:
            size = next_page_size(size, sum(len(row["state"]) for row in page) / len(page))
            ahead = asyncio.ensure_future(cursor.fetch(size))
            # The task sends its request now; settling does not let it run.
            await asyncio.sleep(0)
            yield page
    finally:
        if not ahead.done():
            ahead.cancel()
            await asyncio.wait([ahead])


def next_page_size(size: int, mean_bytes: float) -> int:
    """How many configs are asked for after a page of `size` ones that have so many bytes."""
    return max(1, min(PAGE, 2 * size, int(PAGE_BYTES / max(1.0, mean_bytes))))


def _settled(found: Any) -> Row:
    """The row of a config, by a row of `_NEWEST`."""
    project_id, key, revisions, version, topic, state, position, created_at, first_at = found
    originator_id = config_id(project_id, key)
    check_place(originator_id, version, topic)
    check_history(originator_id, revisions, version)
    event = decode_event(StoredEvent(originator_id, version, topic, state))
    config = settle(event)
    return (
        project_id,
        key,
        config.version,
        None if config.deleted else encode_json(config.content).decode(),
        config.schema_id,
        config.schema_version,
        config.deleted,
        position,
        event.actor.get("user_id"),
        first_at,
        created_at,
    )
