"""A page of history costs the same in a small project and in one many times its size.

Method: EXPLAIN (ANALYZE, BUFFERS) of the product's own statements, with the generic plan that a
prepared statement may get, over rows made by SQL. Pages touched are counted, not time.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.tables import changes, history, watch
from tests.support.rows import insert_project, insert_user

SIZES = {"small": 500, "big": 40_000}
KEYS = {"small": 50, "big": 1_000}
START = datetime(2026, 1, 1, tzinfo=UTC)
MAX_PAGES = 700
"""Far below the thousands that a walk over the big project touches."""
ARGUMENTS: dict[str, list[str | None]] = {
    "": [None],
    "user": ["u", "rare"],
    "key": ["k.00007"],
}
ABOVE = "\U0010ffff"

_FILL = """
INSERT INTO config_revisions (id, sequence, project_id, config_key, version, event, state,
    position, change_id, change_index, created_at, content, created_by_user_id, hash)
SELECT $1 || g, $4::bigint + g, $1, 'k.' || lpad((g % $3)::text, 5, '0'), g / $3 + 1,
    'config:updated', '{"content":1}', $4::bigint + g, $1 || g, 0,
    $5::timestamptz + g * interval '1 second', jsonb_build_object('n', g),
    CASE WHEN g % 1000 = 0 THEN 'rare' ELSE 'u' END, ''
FROM generate_series(0, $2::int - 1) AS g
"""
_PROJECT = """
INSERT INTO configs (project_id, key, version, content, deleted, position, created_at, updated_at)
SELECT DISTINCT ON (config_key) project_id, config_key, version, content, false, position,
    created_at, created_at
FROM config_revisions WHERE project_id = $1 ORDER BY config_key, version DESC
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Two projects, one eighty times the other."""
    connection: asyncpg.Connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "SET session_replication_role = replica; SET plan_cache_mode = force_generic_plan"
        )
        for user in ("u", "rare"):
            await insert_user(connection, user)
        first = 1
        for project, size in SIZES.items():
            await insert_project(connection, project, "u")
            await connection.execute(_FILL, project, size, KEYS[project], first, START)
            await connection.execute(_PROJECT, project)
            first += size
        await connection.execute("VACUUM ANALYZE")
        yield connection
    finally:
        await connection.close()


def statements(project: str) -> dict[str, tuple[str, list[Any]]]:
    """Each statement with arguments in the middle of the project's history."""
    half = SIZES[project] // 2 + (1 if project == "small" else SIZES["small"] + 1)
    at = START + timedelta(seconds=SIZES[project] // 2)
    everything = ["", "", ABOVE]
    found: dict[str, tuple[str, list[Any]]] = {
        "revisions": (history._OF_CONFIG, ["k.00007", 2**62, 51]),
        "versions": (history._VERSIONS, ["k.00007", [1, 3]]),
        "time": (history._AT_TIME, [at]),
        "config at": (history._CONFIG_AT, ["k.00007", half]),
        "project at": (history._PROJECT_AT, [*everything, half, 2000, 51]),
        "last scanned": (history._LAST_SCANNED, [*everything, 2000]),
        "match": (history._MATCHING, [*everything, '{"n": 499}', 51]),
        "position": (watch._BEFORE, [half]),
        "change": (changes._APPLIED, [f"{project}7"]),
    }
    for (filtered, order), text in history._FEEDS.items():
        for argument in ARGUMENTS[filtered]:
            found[f"feed {filtered} {order} {argument}"] = (text, [0, 2**62, 51, argument])
    return found


async def test_a_page_touches_no_more_of_a_big_project(connection: asyncpg.Connection) -> None:
    for project in SIZES:
        for name, (text, rest) in statements(project).items():
            arguments = rest if name in ("position", "change") else [project, *rest]
            rows = await connection.fetch("EXPLAIN (ANALYZE, BUFFERS) " + text, *arguments)
            plan = "\n".join(row[0] for row in rows)
            top = plan.partition("Planning")[0]
            buffers = re.search(r"Buffers: shared([^\n]*)", top)
            assert buffers is not None, plan
            pages = sum(map(int, re.findall(r"(?:hit|read)=(\d+)", buffers[1])))
            assert pages <= MAX_PAGES, f"{project}: {name}: {pages} pages\n{plan}"
