"""The `configs` table as it should be: every revision folded again, through the domain, into a
temporary table beside the live one.

Memory is bounded by a page of revisions and one config, at any size of the history.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from eventsourcing.persistence import StoredEvent

from domain.codec import decode_event
from domain.config import Config, advance, config_id, split_config_id
from domain.json_document import encode_json
from projections.revisions import Connection

PAGE = 5000
Progress = Callable[[int, int], None]
"""Called with revisions done and revisions in all."""

_CREATE = """
CREATE TEMPORARY TABLE configs_shadow (
    project_id VARCHAR NOT NULL, key VARCHAR NOT NULL, version BIGINT NOT NULL, content JSONB,
    schema_id VARCHAR, schema_version INT, deleted BOOLEAN NOT NULL, position BIGINT NOT NULL,
    updated_by_user_id VARCHAR, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL)
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

_REVISIONS = """
SELECT project_id, config_key, version, event, state, position, created_at
FROM config_revisions WHERE ($1::text IS NULL OR project_id = $1)
ORDER BY project_id, config_key, version
"""
_TOUCHED = """
SELECT r.project_id, r.config_key, r.version, r.event, r.state, r.position, r.created_at
FROM config_revisions r
JOIN (SELECT DISTINCT project_id, config_key FROM config_revisions
      WHERE sequence > $1 AND ($2::text IS NULL OR project_id = $2)) AS touched
  USING (project_id, config_key)
ORDER BY r.project_id, r.config_key, r.version
"""

# What the live row of a shadow row must be: users and schemas that are gone are not referred to.
_EXPECTED = """
SELECT s.project_id, s.key, s.version, s.content, c.id AS schema_id,
    CASE WHEN c.id IS NULL THEN NULL ELSE s.schema_version END AS schema_version,
    s.deleted, s.position, u.id AS updated_by_user_id, s.created_at, s.updated_at
FROM configs_shadow s
JOIN projects p ON p.id = s.project_id
LEFT JOIN config_schemas c ON c.id = s.schema_id
LEFT JOIN users u ON u.id = s.updated_by_user_id
"""
_COMPARED = tuple(name for name in COLUMNS if name not in ("project_id", "key"))
_DIFFER = " OR ".join(f"e.{name} IS DISTINCT FROM l.{name}" for name in _COMPARED)
_DIFFERENCES = f"""
SELECT coalesce(e.project_id, l.project_id) AS project_id, coalesce(e.key, l.key) AS key,
    e.key IS NULL AS surplus, l.key IS NULL AS missing,
    to_jsonb(e)::text AS expected, to_jsonb(l)::text AS found,
    count(*) OVER () AS differences
FROM ({_EXPECTED}) AS e
FULL JOIN (SELECT {", ".join(COLUMNS)} FROM configs
           WHERE $1::text IS NULL OR project_id = $1) AS l
  ON l.project_id = e.project_id AND l.key = e.key
WHERE e.key IS NULL OR l.key IS NULL OR {_DIFFER}
ORDER BY 1, 2 LIMIT 1
"""  # noqa: S608
_REMOVE_SURPLUS = """
DELETE FROM configs l WHERE ($1::text IS NULL OR l.project_id = $1)
AND NOT EXISTS (SELECT 1 FROM configs_shadow s WHERE s.project_id = l.project_id AND s.key = l.key)
"""
_REPLACE = f"""
INSERT INTO configs AS l ({", ".join(COLUMNS)}) {_EXPECTED}
ON CONFLICT (project_id, key) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in _COMPARED)}
WHERE {" OR ".join(f"excluded.{name} IS DISTINCT FROM l.{name}" for name in _COMPARED)}
"""


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
    """Fold all revisions that `reader`'s transaction sees into `writer`'s temporary table.

    Returns how many configs there are. The reader must be inside a transaction.
    """
    await writer.execute(_CREATE)
    total = await reader.fetchval(
        "SELECT count(*) FROM config_revisions WHERE ($1::text IS NULL OR project_id = $1)",
        project_id,
    )
    rows = reader.cursor(_REVISIONS, project_id, prefetch=PAGE)
    count = await _fold_into(writer, rows, lambda done: progress(done, total))
    await writer.execute("CREATE UNIQUE INDEX ON configs_shadow (project_id, key)")
    await writer.execute("ANALYZE configs_shadow")
    return count


async def refresh_shadow(writer: Connection, project_id: str | None, after_sequence: int) -> None:
    """Fold again the configs that changed behind a sequence, inside the writer's transaction."""
    rows = writer.cursor(_TOUCHED, after_sequence, project_id, prefetch=PAGE)
    folded = [record async for record in _fold(rows, lambda _: None)]
    await writer.executemany(
        "DELETE FROM configs_shadow WHERE project_id = $1 AND key = $2",
        [record[:2] for record in folded],
    )
    await _copy(writer, folded)


async def compare_with_shadow(
    writer: Connection, project_id: str | None
) -> tuple[int, Difference | None]:
    """How many live rows differ from the shadow, and the first of them by project and key."""
    row = await writer.fetchrow(_DIFFERENCES, project_id)
    if row is None:
        return 0, None
    what = "surplus" if row["surplus"] else "missing" if row["missing"] else "changed"
    first = Difference(row["project_id"], row["key"], what, row["expected"], row["found"])
    return row["differences"], first


async def replace_by_shadow(writer: Connection, project_id: str | None) -> None:
    """Make the live rows those of the shadow, inside the writer's transaction.

    Row by row where they differ, not by renaming tables: readers see the old or the new
    rows, and keys, privileges and indexes stay.
    """
    await writer.execute(_REMOVE_SURPLUS, project_id)
    await writer.execute(_REPLACE)


async def _fold_into(
    writer: Connection, rows: AsyncIterable[Any], progress: Callable[[int], None]
) -> int:
    count = 0
    page: list[tuple[Any, ...]] = []
    async for record in _fold(rows, progress):
        page.append(record)
        if len(page) == PAGE:
            await _copy(writer, page)
            count += len(page)
            page = []
    await _copy(writer, page)
    return count + len(page)


async def _copy(writer: Connection, records: list[tuple[Any, ...]]) -> None:
    if records:
        await writer.copy_records_to_table("configs_shadow", records=records, columns=COLUMNS)


async def _fold(
    rows: AsyncIterable[Any], progress: Callable[[int], None]
) -> AsyncIterator[tuple[Any, ...]]:
    """One record of the shadow for each config; rows come by config, then by version."""
    config: Config | None = None
    first: Any = None
    last: Any = None
    user_id: str | None = None
    done = 0
    async for row in rows:
        if last is not None and (
            row["config_key"] != last["config_key"] or row["project_id"] != last["project_id"]
        ):
            assert config is not None
            yield _record(config, first, last, user_id)
            config = None
        if config is None:
            first = row
        event = decode_event(
            StoredEvent(
                config_id(row["project_id"], row["config_key"]),
                row["version"],
                row["event"],
                row["state"],
            )
        )
        config = advance(config, event)
        user_id = event.actor.get("user_id")
        last = row
        done += 1
        if done % PAGE == 0:
            progress(done)
    if config is not None:
        yield _record(config, first, last, user_id)
    progress(done)


def _record(config: Config, first: Any, last: Any, user_id: str | None) -> tuple[Any, ...]:
    return (
        *split_config_id(config.id),
        config.version,
        None if config.deleted else encode_json(config.content).decode(),
        config.schema_id,
        config.schema_version,
        config.deleted,
        last["position"],
        user_id,
        first["created_at"],
        last["created_at"],
    )
