"""What a database holds of the log, as one hash for each project and table.

Two databases that applied the same entries have the same fingerprints. Must never cover what
depends on the database alone: `sequence` has gaps where a project was deleted, and of one that is
gone some rows may still be there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from projections.revisions import Connection

_TABLES = {
    "config_revisions": ("config_key, version", {"sequence"}),
    "configs": ("key", set[str]()),
    "rejected_changes": ("change_id", set[str]()),
    "audit_heads": ("project_id", {"head_sequence"}),
}
_COLUMNS = """
SELECT array_agg(quote_ident(column_name) ORDER BY column_name COLLATE "C")
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = $1 AND NOT column_name = ANY($2)
"""
_WRITTEN_AS_EVERYWHERE = """
SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL bytea_output = 'hex'
"""
PAGE = 5000


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The rows of one project in one table."""

    rows: int
    sha256: str


Fingerprints = dict[tuple[str, str], Fingerprint]
"""By table and project id."""


async def fingerprints(connection: Connection) -> Fingerprints:
    """Hash every projected row, inside the caller's transaction (one snapshot)."""
    await connection.execute(_WRITTEN_AS_EVERYWHERE)
    found: Fingerprints = {}
    for table, (order, ignored) in _TABLES.items():
        columns = await connection.fetchval(_COLUMNS, table, sorted(ignored))
        # Names come from the catalogue, quoted by it.
        query = (
            f"SELECT project_id, md5(ROW({', '.join(columns)})::text) AS hash FROM {table}"  # noqa: S608
            " WHERE project_id <> ALL(ARRAY(SELECT id FROM projects WHERE deleted_at IS NOT NULL))"
            f" ORDER BY project_id, {order}"
        )
        project, digest, rows = "", hashlib.sha256(), 0
        async for row in connection.cursor(query, prefetch=PAGE):
            if row["project_id"] != project:
                if rows:
                    found[table, project] = Fingerprint(rows, digest.hexdigest())
                project, digest, rows = row["project_id"], hashlib.sha256(), 0
            digest.update(row["hash"].encode())
            rows += 1
        if rows:
            found[table, project] = Fingerprint(rows, digest.hexdigest())
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """A table of a project that is not the same on both sides."""

    table: str
    project_id: str
    left: Fingerprint | None
    right: Fingerprint | None


def differences(left: Fingerprints, right: Fingerprints) -> list[Difference]:
    """Where two databases are not the same, by table and project."""
    return [
        Difference(*place, left.get(place), right.get(place))
        for place in sorted(left.keys() | right.keys())
        if left.get(place) != right.get(place)
    ]
