"""What people and keys may do, and which configs are bound to a schema, is found among however many
others there are. Method: see tests/support/plans.py."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from app.tables import access, keys, projects, schemas, sessions, users
from tests.support.plans import PLANS, Statements, planned, reading_more
from tests.support.rows import insert_project, insert_user
from tests.support.servers import own_database

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 51
MOST_ROWS = 4 * LIMIT
EVERYTHING = ("u1", True, None)
MEMBER = ("member", False, None)

_FILL = """
INSERT INTO users (id, email, password_hash) SELECT 'u' || n, 'u' || n || '@x', ''
FROM generate_series(1, 2000) AS n;
INSERT INTO projects (id, name, api_key, owner_user_id)
SELECT 'p' || n, '', 'p' || n, 'u' || n FROM generate_series(1, 2000) AS n;
INSERT INTO roles (user_id, project_id, role_level) VALUES ('member', 'shop', 'viewer');
INSERT INTO roles (user_id, project_id, role_level)
SELECT 'u1', 'p' || n, 'viewer' FROM generate_series(2, 2000) AS n;
INSERT INTO config_schemas (id, name, project_id, schema_content, created_by_user_id)
SELECT 's' || n, '', 'p' || n, '{}', 'u1' FROM generate_series(1, 2000) AS n;
INSERT INTO config_schemas (id, name, schema_content, created_by_user_id)
SELECT name, '', '{}', 'u1' FROM unnest(ARRAY['seldom', 'often', 'unused']) AS s (name);
INSERT INTO configs (project_id, key, version, content, position, created_at, updated_at, schema_id)
SELECT 'shop', 'k.' || lpad(n::text, 5, '0'), 20, '{}', n, now(), now(),
    CASE WHEN n % 5 = 0 THEN NULL WHEN n % 2000 = 1 THEN 'seldom' ELSE 'often' END
FROM generate_series(1, 5000) AS n;
INSERT INTO config_revisions (id, sequence, project_id, config_key, version, event, state,
    position, change_id, change_index, created_at, content, hash)
SELECT n || '.' || v, n * 20 + v, 'shop', 'k.' || lpad(n::text, 5, '0'), v, 'config:updated', '',
    n * 20 + v, n || '.' || v, 0, now(), '1', ''
FROM generate_series(1, 1000) AS n, generate_series(1, 20) AS v;
INSERT INTO refresh_tokens (id, family_id, user_id, token_hash, expires_at)
SELECT 't' || n, 'f' || n / 5, CASE WHEN n % 2 = 0 THEN 'robot' ELSE 'u' || (1 + n % 2000) END,
    'h' || n, now() + interval '1 day'
FROM generate_series(1, 10000) AS n;
INSERT INTO api_keys (id, project_id, name, role_level, key_hash)
SELECT 'k' || n, 'p' || (1 + n % 2000), 'n' || n, 'viewer', 'h' || n
FROM generate_series(1, 5000) AS n;
"""


async def _fill(connection: asyncpg.Connection) -> None:
    for user in ("member", "robot"):
        await insert_user(connection, user)
    await insert_project(connection, "shop", "robot")
    await connection.execute(_FILL)


STATEMENTS: Statements = {
    "session of many": (access._SESSION, ["robot", "f10"]),
    "session that is not": (access._SESSION, ["robot", "gone"]),
    "key": (access._KEY, ["h77"]),
    "no key": (access._KEY, ["gone"]),
    "role": (access._ROLE, ["p7", "member"]),
    "keys": (keys._LIST, ["p7", "", LIMIT]),
    "keys of none": (keys._LIST, ["shop", "", LIMIT]),
    "take a token": (sessions._TAKE, ["h77"]),
    "all projects": (projects._LIST, ["u1", "", LIMIT]),
    "projects of one": (projects._OF_USER, ["member", "", LIMIT]),
    "projects of nobody": (projects._OF_USER, ["gone", "", LIMIT]),
    "all users": (users._LIST, ["", LIMIT]),
    "user by address": (users._LIST_OF_EMAIL, ["", "u1777@x", LIMIT]),
    "nobody by address": (users._LIST_OF_EMAIL, ["", "gone", LIMIT]),
    "schema": (schemas._SEEN, [*MEMBER, "s77"]),
    "schemas": (schemas._LIST, [*EVERYTHING, None, "", LIMIT, 10**6]),
    "schemas of a project": (schemas._LIST_OF_PROJECT, [*EVERYTHING, "p77", "", LIMIT, 10**6]),
    "schemas of none": (schemas._LIST_OF_PROJECT, [*EVERYTHING, "shop", "", LIMIT, 10**6]),
    **{
        f"{name} of {schema} behind {after}": (text, [*eyes, schema, "shop", after, LIMIT])
        for schema in ("often", "seldom", "unused")
        for after in ("", "k.04900", "z")
        for name, text, eyes in (
            ("bound", schemas._BOUND, ()),
            ("usage", schemas._USAGE, (*EVERYTHING, "")),
        )
    },
    "contents": (schemas._CONTENTS, [["shop"] * 2, ["k.00007", "k.00009"], [20, 7]]),
}


# Shared by the module's tests, which only read: to fill the tables takes a hundred times as long.
@pytest_asyncio.fixture(params=PLANS, scope="module", loop_scope="module")
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    with own_database() as url:
        async with planned(url, request.param, STATEMENTS, _fill) as connection:
            yield connection


async def test_what_others_have_is_not_read(connection: asyncpg.Connection) -> None:
    assert await reading_more(connection, STATEMENTS, MOST_ROWS) == {}


async def test_who_sees_a_project_is_not_asked_for_each_of_its_configs(
    connection: asyncpg.Connection,
) -> None:
    configs = await connection.fetchval("SELECT count(*) FROM configs")
    count: Statements = {"count": (schemas._COUNT_USAGE, [*MEMBER, "", "often"])}
    assert await reading_more(connection, count, configs + LIMIT) == {}
    counted = await connection.fetchrow(schemas._COUNT_USAGE, *MEMBER, "k.04", "often")
    assert counted is not None
    assert tuple(counted) == (3997, 799)
