"""A page of history reads as much as it holds, whatever else the tables hold. Method: see
tests/support/plans.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.tables import changes, history, watch
from projections import follower
from tests.support.plans import (
    PLANS,
    Statements,
    planned,
    reading_more,
    rows_read,
    rows_read_by,
)
from tests.support.rows import insert_project, insert_user
from tests.support.servers import own_database

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 51
MOST_ROWS = 4 * LIMIT
"""Far below the thousands that a walk over a project or a config reads."""
ABOVE = "\U0010ffff"
BEYOND = 2**62
PROJECTS = {"big": (40_000, 1_000), "one config": (10_000, 1), "hot": (10_000, 5)}
"""Revisions and keys. They are made one project behind the other: who looks for the first revisions
of the last one from the beginning on walks over all others."""
TINY_PROJECTS = 300

_FILL = """
INSERT INTO config_revisions (id, sequence, project_id, config_key, version, event, state,
    position, change_id, change_index, created_at, content, created_by_user_id, hash)
SELECT $1 || g, $4::bigint + g, $1, 'k.' || lpad((g % $3)::text, 5, '0'), g / $3 + 1,
    'config:updated', '{"content":1}', $4::bigint + g, $1 || g, 0,
    $5::timestamptz + ($4::bigint + g) * interval '1 second', jsonb_build_object('n', g),
    CASE WHEN g < 200 THEN 'left' WHEN g % 1000 = 0 THEN 'rare' ELSE 'u' END, ''
FROM generate_series(0, $2::int - 1) AS g
"""
_SELDOM = """
INSERT INTO config_revisions (id, sequence, project_id, config_key, version, event, state,
    position, change_id, change_index, created_at, content, created_by_user_id, hash)
VALUES ($1 || 'seldom', $2, $1, 'seldom', 1, 'config:created', '{"content":1}', $2,
    $1 || 'seldom', 0, $3, '{"n": -1}', 'u', '')
"""
_PROJECT = """
INSERT INTO configs (project_id, key, version, content, deleted, position, created_at, updated_at)
SELECT DISTINCT ON (config_key) project_id, config_key, version, content, false, position,
    created_at, created_at
FROM config_revisions WHERE project_id = $1 ORDER BY config_key, version DESC
"""


async def _fill(connection: asyncpg.Connection) -> None:
    """A big project, one whose only config was changed ten thousand times, one with few configs of
    which one was hardly ever changed, and very many small ones."""
    for user in ("u", "rare", "left"):
        await insert_user(connection, user)
    first = 1
    tiny = {f"tiny-{number}": (4, 2) for number in range(TINY_PROJECTS)}
    for project, (revisions, keys) in (PROJECTS | tiny).items():
        await insert_project(connection, project, "u")
        await connection.execute(_SELDOM, project, first, START + timedelta(seconds=first))
        await connection.execute(_FILL, project, revisions, keys, first + 1, START)
        await connection.execute(_PROJECT, project)
        first += revisions + 1


# Shared by the module's tests, which only read: to fill the tables takes a hundred times as long.
@pytest_asyncio.fixture(params=PLANS, scope="module", loop_scope="module")
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    with own_database() as url:
        async with planned(url, request.param, statements(), _fill) as connection:
            yield connection


def statements() -> Statements:
    """Each statement with arguments that the API lets a caller give, the worst among them."""
    found: Statements = {
        "position": (watch._BEFORE, [20_000]),
        "before a change set": (watch._BEFORE_SET, [20_000]),
        "change": (changes._APPLIED, ["big7"]),
    }
    for project in (*PROJECTS, "tiny-7", "not there"):
        per_project: Statements = {
            "last scanned": (history._LAST_SCANNED, ["", "", ABOVE, 50]),
            "changed since": (history._CHANGED_KEYS, [BEYOND, BEYOND]),
        }
        for start in (0, 20_000, BEYOND):
            for keys in (None, ["seldom"], ["not there"]):
                per_project[f"watch {keys} from {start}"] = (
                    watch._PAGE,
                    [start, BEYOND, "", keys, LIMIT, 128 * 1024, LIMIT],
                )
            per_project[f"ahead of {start}"] = (watch._AHEAD, [start, BEYOND, LIMIT])
        for moment, (at, sequence) in {
            "before all": (START - timedelta(days=1), 0),
            "middle": (START + timedelta(seconds=20_000), 20_000),
            "now": (START + timedelta(days=365), BEYOND),
        }.items():
            per_project |= {
                f"time {moment}": (history._AT_TIME, [at]),
                f"project at {moment}": (
                    history._PROJECT_AT,
                    ["", "", ABOVE, sequence, LIMIT, LIMIT],
                ),
            }
            for key in ("k.00000", "seldom", "not there"):
                per_project |= {
                    f"{key} at {moment}": (history._CONFIG_AT, [key, sequence]),
                    f"{key} of several at {moment}": (
                        history._CONFIGS_AT,
                        [[key, "k.00001"], sequence],
                    ),
                }
            for start, order in ((sequence, "ASC"), (sequence, "DESC")):
                feeds = [("", None), *(("user", who) for who in ("u", "rare", "left", "nobody"))]
                feeds += [("key", key) for key in ("k.00000", "seldom", "not there")]
                per_project |= {
                    f"feed {order} of {one} {moment}": (
                        history._FEEDS[filtered, order],
                        [start, LIMIT, one],
                    )
                    for filtered, one in feeds
                }
        for key in ("k.00000", "seldom", "not there"):
            per_project |= {
                f"revisions of {key}": (history._OF_CONFIG, [key, BEYOND, LIMIT]),
                f"first revisions of {key}": (history._OF_CONFIG, [key, 3, LIMIT]),
                f"versions of {key}": (history._VERSIONS, [key, [1, 3, BEYOND]]),
            }
        found |= {
            f"{project}: {name}": (text, [project, *rest])
            for name, (text, rest) in per_project.items()
        }
    # Every config of this project was changed since, but they are few.
    found["hot: changed behind the beginning"] = (history._CHANGED_KEYS, ["hot", 0, BEYOND])
    return found


async def test_a_page_reads_what_it_holds(connection: asyncpg.Connection) -> None:
    assert await reading_more(connection, statements(), MOST_ROWS) == {}


async def test_a_start_reads_one_revision_of_each_config(connection: asyncpg.Connection) -> None:
    configs = await connection.fetchval("SELECT count(*) FROM configs")
    load: Statements = {"load": (follower._LOAD, [])}
    assert await reading_more(connection, load, 2 * configs) == {}


async def test_a_moment_of_a_prefix_that_is_often_changed_is_near(
    connection: asyncpg.Connection,
) -> None:
    pool: Any = connection
    async with connection.transaction(readonly=True):
        at = START + timedelta(seconds=20_000)
        moment = history.moment_at_time(pool, "big", at, "k.")
        assert await rows_read_by(connection, moment) <= LIMIT + history.LATE
        seldom = await history.moment_at_time(pool, "big", at, "seldom")
        assert seldom.sequence == 1


@pytest.mark.parametrize("connection", ["force_generic_plan"], indirect=True)
@pytest.mark.parametrize("match", ['{"n": 39999}', '{"n": "nowhere"}', "{}"])
async def test_what_is_searched_for_decides_how(connection: asyncpg.Connection, match: str) -> None:
    """What is nowhere is found missing at once; what is everywhere fills a page at once."""
    async with connection.transaction(readonly=True):
        await connection.execute(history._PREPARE_SEARCH, "10s")
        arguments = ["big", "", "", ABOVE, match, LIMIT]
        assert await rows_read(connection, history._MATCHING, arguments) <= MOST_ROWS
