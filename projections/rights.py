"""Whether a process's database user has what db/grants.sql gives to its kind of process.

A migration makes tables and columns, and the script must be run behind it. Where that was forgotten
a process would start, and fail at the first request that needs them. An owner has every right.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final, Literal

from projections.revisions import Connection

SCRIPT: Final = Path(__file__).resolve().parent.parent / "db" / "grants.sql"
Kind = Literal["guardian_web", "guardian_projector"]

_GRANT = re.compile(r"^GRANT ([^;]*?)\s+ON\s+([a-z_,\s]+)\s+TO (\w+);", re.MULTILINE)
_RIGHT = re.compile(r"([A-Z]+)(?: \(([a-z_]+)\))?")
_MISSING = """
SELECT current_user::text AS who, string_agg(DISTINCT g.wanted, ', ' ORDER BY g.wanted) AS wanted,
    g.place
FROM (
    SELECT w.wanted, CASE w.name WHEN '' THEN w.place ELSE w.place || '.' || w.name END AS place,
        CASE w.name WHEN '' THEN has_table_privilege(w.place, w.wanted)
            ELSE has_column_privilege(w.place, w.name, w.wanted) END AS given
    FROM unnest($1::text[], $2::text[], $3::text[]) AS w (place, wanted, name)
) AS g
WHERE NOT g.given GROUP BY g.place ORDER BY g.place
"""
"""Fails for a table or column that is not there: the database is not migrated."""


class RightsMissing(Exception):
    """The database user lacks rights; the message names each, and the script that gives them."""


async def require_rights(connection: Connection, kind: Kind) -> None:
    """Raise RightsMissing for a user who lacks what the script gives to this kind of process."""
    rows = await connection.fetch(_MISSING, *zip(*_wanted(kind), strict=True))
    if rows:
        lacks = "; ".join(f"{row['wanted']} on {row['place']}" for row in rows)
        raise RightsMissing(
            f"the database user {rows[0]['who']} lacks rights ({lacks}): run db/grants.sql as the"
            " owner of the tables, as after each migration (docs/DEPLOYMENT.md, Least privileges)"
        )


@cache
def _wanted(kind: Kind) -> list[tuple[str, str, str]]:
    """Table, right, and column or "", of each grant that names its tables."""
    named = [
        (table.strip(), right, column, role)
        for rights, tables, role in _GRANT.findall(SCRIPT.read_text(encoding="utf-8"))
        for table in tables.split(",")
        for right, column in _RIGHT.findall(rights)
    ]
    wanted = [grant[:3] for grant in named if grant[3] == kind]
    if kind == "guardian_web":  # SELECT ON ALL TABLES
        wanted += [(table, "SELECT", "") for table in sorted({grant[0] for grant in named})]
    return wanted
