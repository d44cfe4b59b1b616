"""Queries of `config_revisions` for people: pages of history, and the past as it stood.

Reads only; static SQL only. Every query is bounded by an index and a limit, so that it costs
the same at a thousand and at a million revisions. A moment is a sequence: sequences, positions
and times never run backwards against one another.

A plan is made for the average config of the average project, perhaps while the tables are empty,
and kept. So each statement asks for rows in the whole order of the one index that it is meant for,
from one place on, and looks afterwards whether they are of the right config: `(config_key,
sequence) <= (k, s)`, not `config_key = k AND sequence <= s`. With the latter the planner may walk
any index that ends in the sequence, in the hope that a revision of the config comes soon.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.tables.schemas import IS_THERE
from app.tables.watch import sequence_at
from projections.read_model import RecordedRevision
from projections.recorded import COLUMNS, KEYED, LINE_COLUMNS, from_row, keyed_from_row

PAGE_BYTES = 4_000_000
"""What a page holds of contents: who goes beyond is its last. 500 of 256 KiB are 125 MB, which took
more than half a second to write down, and nobody else was answered meanwhile."""
MAX_SCANNED = 2000
"""Rows that a page passes over at most to find its items; then it ends early, with a `next`."""
LATE = 200
"""Revisions among which the last one of a prefix is looked for first."""
SEARCH_TIMEOUT = "2s"
"""How long PostgreSQL may search for what matches, and the rest of the config at hand: while it
compares one, it cannot be stopped."""
_ABOVE_ALL = "\U0010ffff"

_OF_CONFIG = f"""
SELECT {LINE_COLUMNS}, {KEYED} FROM config_revisions r
WHERE r.project_id = $1 AND r.config_key = $2 AND r.version < $3
ORDER BY r.version DESC LIMIT $4
"""  # noqa: S608
_VERSIONS = f"""
SELECT {COLUMNS}, {KEYED} FROM unnest($3::bigint[]) AS v (version) CROSS JOIN LATERAL (
    SELECT * FROM config_revisions
    WHERE project_id = $1 AND config_key = $2 AND version <= v.version
    ORDER BY version DESC LIMIT 1) AS r
WHERE r.version = v.version
"""  # noqa: S608
_AT_TIME = """
SELECT position, sequence FROM config_revisions WHERE project_id = $1 AND created_at <= $2
ORDER BY created_at DESC, sequence DESC LIMIT 1
"""
# The last revision of the config `key` of $1 at or before a sequence.
_LAST = """
SELECT * FROM (
    SELECT * FROM config_revisions
    WHERE project_id = $1 AND (config_key, sequence) <= ({key}, {sequence})
    ORDER BY config_key DESC, sequence DESC LIMIT 1) AS l
WHERE l.config_key = {key}
"""
_CONFIG_AT = f"SELECT {COLUMNS} FROM ({_LAST.format(key='$2', sequence='$3')}) AS r"  # noqa: S608
_CONFIGS_AT = f"""
SELECT {COLUMNS} FROM unnest($2::text[]) AS k (key)
CROSS JOIN LATERAL ({_LAST.format(key="k.key", sequence="$3")}) AS r
"""  # noqa: S608
# Of each config that was changed since, the last revision: not all that came between. Times never
# run backwards, so what was changed behind a revision has its time or a later one.
_CHANGED_KEYS = f"""
SELECT c.key FROM configs c
CROSS JOIN LATERAL ({_LAST.format(key="c.key", sequence="$3")}) AS r
WHERE c.project_id = $1 AND r.sequence > $2 AND c.updated_at >= coalesce((
    SELECT created_at FROM (
        SELECT project_id, created_at FROM config_revisions
        WHERE (project_id, sequence) <= ($1, $2)
        ORDER BY project_id DESC, sequence DESC LIMIT 1) AS l
    WHERE l.project_id = $1), '-infinity')
"""  # noqa: S608

# `configs` has a row for every key that ever was. Ordered by `place`, joined by `key`: an equality
# in the collation of the bytes could not use the indexes of `config_revisions`.
_KEYS = """
SELECT c.key, c.key COLLATE "C" AS place FROM configs c
WHERE c.project_id = $1 AND c.key COLLATE "C" > $2
    AND c.key COLLATE "C" >= $3 AND c.key COLLATE "C" < $4
ORDER BY place
"""
# Of a prefix that is changed often, the last revision is near.
_LATE_OF_PREFIX = """
SELECT position, sequence FROM (
    SELECT * FROM config_revisions WHERE (project_id, sequence) <= ($1, $2)
    ORDER BY project_id DESC, sequence DESC LIMIT $4) AS l
WHERE project_id = $1 AND starts_with(config_key, $3) ORDER BY sequence DESC LIMIT 1
"""
# Else one step into the history of each key: what it costs grows with the keys of the prefix, not
# with how often they, or others, were changed.
_LAST_OF_PREFIX = f"""
SELECT r.position, r.sequence FROM ({_KEYS}) AS k
CROSS JOIN LATERAL ({_LAST.format(key="k.key", sequence="$5")}) AS r
ORDER BY r.sequence DESC LIMIT 1
"""  # noqa: S608
# Of rows in the order of `place` those that a page has room for, by their lengths alone, and one
# more that tells whether it is the last.
_ROOM = f"""
SELECT {COLUMNS}, r.ahead FROM (
    SELECT *, coalesce(sum(octet_length(state)) OVER (ORDER BY place
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS ahead,
        coalesce(sum(octet_length(state)) OVER (ORDER BY place
            ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING), 0) AS ahead_of_last
    FROM ({{rows}}) AS each) AS r
WHERE r.ahead_of_last < {PAGE_BYTES} ORDER BY r.place
"""  # noqa: S608
_PROJECT_AT = _ROOM.format(
    rows=f"""
SELECT r.*, k.place FROM ({_KEYS} LIMIT $6) AS k
CROSS JOIN LATERAL ({_LAST.format(key="k.key", sequence="$5")}) AS r
WHERE r.event <> 'config:deleted' ORDER BY k.place LIMIT $7
"""  # noqa: S608
)
_LAST_SCANNED = f"{_KEYS} OFFSET $5 - 1 LIMIT 1"

_MATCHING = _ROOM.format(
    rows="""
SELECT r.*, f.place FROM (
    SELECT c.key, c.key COLLATE "C" AS place, c.version FROM configs c
    WHERE c.project_id = $1 AND c.key COLLATE "C" > $2
        AND c.key COLLATE "C" >= $3 AND c.key COLLATE "C" < $4
        AND NOT c.deleted AND c.content @> $5::jsonb
    ORDER BY place LIMIT $6
) AS f CROSS JOIN LATERAL (
    SELECT * FROM config_revisions
    WHERE project_id = $1 AND config_key = f.key AND version <= f.version
    ORDER BY version DESC LIMIT 1) AS r
WHERE r.version = f.version ORDER BY f.place
"""
)
# Whether the index of contents or a walk over the keys is quicker depends on what is searched for.
_PREPARE_SEARCH = """
SELECT set_config('statement_timeout', $1, true),
    set_config('plan_cache_mode', 'force_custom_plan', true)
"""


_WHOLE_FEED = f"""
SELECT {LINE_COLUMNS}, {KEYED} FROM (
    SELECT * FROM config_revisions WHERE (project_id, sequence) {{behind}} ($1, $2)
    ORDER BY project_id {{order}}, sequence {{order}} LIMIT $3) AS r
WHERE r.project_id = $1 AND $4::text IS NULL ORDER BY r.sequence {{order}}
"""  # noqa: S608
_FEED_OF_ONE = f"""
SELECT {LINE_COLUMNS}, {KEYED} FROM (
    SELECT * FROM config_revisions
    WHERE project_id = $1 AND ({{column}}, sequence) {{behind}} ($4::text, $2)
    ORDER BY {{column}} {{order}}, sequence {{order}} LIMIT $3) AS r
WHERE r.{{column}} = $4 ORDER BY r.sequence {{order}}
"""  # noqa: S608
_FEEDS = {
    (filtered, order): text.format(column=column, order=order, behind=behind)
    for filtered, text, column in (
        ("", _WHOLE_FEED, ""),
        ("user", _FEED_OF_ONE, "created_by_user_id"),
        ("key", _FEED_OF_ONE, "config_key"),
    )
    for order, behind in (("ASC", ">"), ("DESC", "<"))
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in the history: everything up to it, nothing behind."""

    position: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a list, and where it goes on."""

    revisions: list[RecordedRevision]
    next_key: str | None
    """What the next part starts behind; None: there is none."""

    @classmethod
    def first_of(cls, revisions: Iterable[RecordedRevision], limit: int) -> Slice:
        """What a page has room for, of what memory holds."""
        found: list[RecordedRevision] = []
        size = 0
        for revision in revisions:
            if len(found) == limit or size >= PAGE_BYTES:
                return cls(found, found[-1].key)
            found.append(revision)
            size += len(revision.content or b"")
        return cls(found, None)

    @classmethod
    def of_rows(cls, rows: Sequence[asyncpg.Record], limit: int) -> Slice:
        """What a page has room for, of rows of `_ROOM`."""
        found = [from_row(row) for row in rows[:limit] if row["ahead"] < PAGE_BYTES]
        return cls(found, found[-1].key if len(found) < len(rows) else None)


async def revisions_of_config(
    pool: asyncpg.Pool, project_id: str, key: str, below_version: int, limit: int
) -> list[RecordedRevision]:
    """A config's revisions without their contents, newest first, below a version."""
    rows = await pool.fetch(_OF_CONFIG, project_id, key, below_version, limit)
    return [keyed_from_row(row) for row in rows]


async def versions_of_config(
    pool: asyncpg.Pool, project_id: str, key: str, versions: Collection[int]
) -> dict[int, RecordedRevision]:
    """Some versions of a config; those that are not there are left out."""
    rows = await pool.fetch(_VERSIONS, project_id, key, list(versions))
    return {row["version"]: keyed_from_row(row) for row in rows}


async def moment_at_time(
    pool: asyncpg.Pool, project_id: str, at: datetime, prefix: str = ""
) -> Moment:
    """The last change of a config under `prefix` whose time is `at` or before; position 0 if there
    is none.

    For whoever sees no more than the prefix: of another config's change, its moment would tell.
    """
    row = await pool.fetchrow(_AT_TIME, project_id, at)
    if row and prefix:
        last = row["sequence"]
        row = await pool.fetchrow(_LATE_OF_PREFIX, project_id, last, prefix, LATE)
        if row is None:
            within = (project_id, "", prefix, prefix + _ABOVE_ALL)
            row = await pool.fetchrow(_LAST_OF_PREFIX, *within, last)
    return Moment(row["position"], row["sequence"]) if row else Moment(0, 0)


async def moment_at_position(pool: asyncpg.Pool, position: int) -> Moment:
    """Everything up to a log position, whatever stands there."""
    return Moment(position, await sequence_at(pool, position))


async def config_at(
    pool: asyncpg.Pool, project_id: str, key: str, moment: Moment
) -> RecordedRevision | None:
    """A config as it stood, tombstones too; None if it was not there yet."""
    row = await pool.fetchrow(_CONFIG_AT, project_id, key, moment.sequence)
    return from_row(row) if row else None


async def configs_at(
    pool: asyncpg.Pool, project_id: str, keys: Sequence[str], moment: Moment
) -> dict[str, RecordedRevision]:
    """Some configs as they stood, tombstones too; those that were not there are left out."""
    rows = await pool.fetch(_CONFIGS_AT, project_id, keys, moment.sequence)
    return {row["config_key"]: from_row(row) for row in rows}


async def changed_keys(
    pool: asyncpg.Pool, project_id: str, after: Moment, up_to: Moment
) -> list[str]:
    """The configs of a project that have a revision between two moments."""
    rows = await pool.fetch(_CHANGED_KEYS, project_id, after.sequence, up_to.sequence)
    return [row["key"] for row in rows]


async def project_at(
    pool: asyncpg.Pool, project_id: str, moment: Moment, prefix: str, after: str, limit: int
) -> Slice:
    """The configs that were live at a moment, in the order of their keys' bytes."""
    within = (project_id, after, prefix, prefix + _ABOVE_ALL)
    rows = await pool.fetch(_PROJECT_AT, *within, moment.sequence, MAX_SCANNED, limit + 1)
    found = Slice.of_rows(rows, limit)
    if found.next_key is not None:
        return found
    return Slice(found.revisions, await pool.fetchval(_LAST_SCANNED, *within, MAX_SCANNED))


async def matching_configs(
    pool: asyncpg.Pool, project_id: str, match: str, prefix: str, after: str, limit: int
) -> Slice:
    """The live configs whose content contains the JSON `match` (PostgreSQL's `@>`).

    Raises asyncpg.QueryCanceledError when it takes longer than SEARCH_TIMEOUT.
    """
    within = (project_id, after, prefix, prefix + _ABOVE_ALL)
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        await connection.execute(_PREPARE_SEARCH, SEARCH_TIMEOUT)
        rows = await connection.fetch(_MATCHING, *within, match, limit + 1)
    return Slice.of_rows(rows, limit)


async def feed(
    pool: asyncpg.Pool,
    project_id: str,
    behind: int,
    limit: int,
    *,
    newest_first: bool,
    user_id: str | None = None,
    key: str | None = None,
) -> list[RecordedRevision]:
    """A project's revisions behind a sequence, in either direction, without their contents.

    Of one key or of one user, not both: no index has the two.
    """
    assert user_id is None or key is None
    filtered = "user" if user_id is not None else "key" if key is not None else ""
    statement = _FEEDS[filtered, "DESC" if newest_first else "ASC"]
    rows = await pool.fetch(statement, project_id, behind, limit, user_id or key)
    return [keyed_from_row(row) for row in rows]


async def existing_schemas(pool: asyncpg.Pool, schema_ids: Collection[str]) -> set[str]:
    """Which of these schemas are still there."""
    rows = await pool.fetch(
        f"SELECT s.id FROM config_schemas s WHERE s.id = ANY($1::text[]) AND {IS_THERE}",  # noqa: S608
        list(schema_ids),
    )
    return {row["id"] for row in rows}


async def schema_deleted_behind(
    pool: asyncpg.Pool, schema_ids: Collection[str], position: int
) -> str | None:
    """One of these schemas that was deleted behind a position; None if none was."""
    found: str | None = await pool.fetchval(
        "SELECT id FROM deleted_schemas WHERE id = ANY($1::text[]) AND position > $2"
        " ORDER BY id LIMIT 1",
        list(schema_ids),
        position,
    )
    return found
