"""Copies the ordinary tables (users, projects, schemas, …) from one database to a fresh one.

Must never copy what the projector writes: that comes from the log.
"""

from __future__ import annotations

import tempfile
from typing import BinaryIO, cast

from projections.revisions import Connection

PROJECTED = (
    "configs",
    "config_revisions",
    "rejected_changes",
    "audit_heads",
    "checkpoints",
    "projector_halts",
    "log_beginnings",
)
_NOT_COPIED = (*PROJECTED, "schema_migrations")
_SPOOL_BYTES = 8 * 1024 * 1024

_TABLES = """
SELECT c.relname::text AS name,
    (SELECT array_agg(quote_ident(a.attname) ORDER BY a.attnum) FROM pg_attribute a
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         AND a.attgenerated = '') AS columns,
    (SELECT coalesce(array_agg(DISTINCT f.confrelid::regclass::text), '{}') FROM pg_constraint f
     WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid) AS needs
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
    AND NOT c.relname = ANY($1::text[])
ORDER BY c.relname
"""


async def copy_ordinary_tables(source: Connection, target: Connection) -> dict[str, int]:
    """Copy every row in the snapshot of `source`'s transaction; the rows by table.

    Both databases have the same migrations. The target's tables are empty.
    """
    tables = {row["name"]: row for row in await source.fetch(_TABLES, list(_NOT_COPIED))}
    copied: dict[str, int] = {}
    while len(copied) < len(tables):
        # A table after those that its foreign keys name.
        ready = [
            row
            for name, row in tables.items()
            if name not in copied
            and all(need in copied or need not in tables for need in row["needs"])
        ]
        if not ready:
            raise ValueError(f"foreign keys in a circle: {sorted(tables.keys() - copied.keys())}")
        for row in ready:
            copied[row["name"]] = await _copy(source, target, row["name"], row["columns"])
    return copied


async def _copy(source: Connection, target: Connection, table: str, columns: list[str]) -> int:
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as file:
        spool = cast(BinaryIO, file)
        query = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - from the catalogue
        await source.copy_from_query(query, output=spool, format="binary")
        spool.seek(0)
        names = [column.strip('"') for column in columns]
        tag = await target.copy_to_table(table, source=spool, columns=names, format="binary")
    return int(tag.split()[-1])
