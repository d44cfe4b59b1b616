"""Goal: the seed's cascade rules and the immutable log hold in the database itself.

Method: plain SQL against a migrated database, in one made by the migrations and in one
restored from a dump, with the constraints made in either order.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.migrations import create_database
from tests.support.broker import database_of
from tests.support.dump import dump, restore
from tests.support.rows import insert_config, insert_project, insert_schema, insert_user
from tests.support.servers import ask

OWNER_KEY = ("projects", "projects_owner_user_id_fkey", "owner_user_id")
SCHEMA_KEY = ("config_schemas", "config_schemas_created_by_user_id_fkey", "created_by_user_id")


ORDERS = ("as migrated", "schemas cascade last", "schemas cascade first", "restored")
in_any_order = pytest.mark.parametrize("connection", ORDERS, indirect=True)


@pytest.fixture
async def connection(
    request: pytest.FixtureRequest, database_url: str
) -> AsyncIterator[asyncpg.Connection]:
    """The same tables with their constraints made in different orders."""
    order = getattr(request, "param", "as migrated")
    url = database_url
    copy = f"test_{uuid.uuid4().hex}"
    if order == "restored":
        dumped = await dump(database_url)
        url = database_of(database_url, copy)
        await create_database(url)
        await restore(dumped, url)
    connection: asyncpg.Connection = await asyncpg.connect(url)
    if order == "schemas cascade first":
        await _make_again(connection, OWNER_KEY)
    if order == "schemas cascade last":
        await _make_again(connection, SCHEMA_KEY)
    yield connection
    await connection.close()
    if url != database_url:
        ask("drop_database", copy)


async def _make_again(connection: asyncpg.Connection, key: tuple[str, str, str]) -> None:
    """Cascades fire in the order in which their constraints were made: make this one last."""
    table, name, column = key
    await connection.execute(
        f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name}"
        f" FOREIGN KEY ({column}) REFERENCES users (id) ON DELETE CASCADE"
    )


async def _count(connection: asyncpg.Connection) -> dict[str, int]:
    tables = ("users", "projects", "config_schemas", "configs", "config_revisions")
    return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


@in_any_order
async def test_deleting_a_user_takes_their_projects_and_schemas_in_use(
    connection: asyncpg.Connection,
) -> None:
    await insert_user(connection, "ann")
    await insert_project(connection, "shop", "ann")
    await insert_schema(connection, "limits", "ann")
    await insert_config(connection, "shop", "a.b", "ann", "limits")

    await connection.execute("DELETE FROM users WHERE id = 'ann'")

    assert set((await _count(connection)).values()) == {0}


@in_any_order
async def test_a_schema_in_use_cannot_be_deleted(connection: asyncpg.Connection) -> None:
    await insert_user(connection, "ann")
    await insert_project(connection, "shop", "ann")
    await insert_schema(connection, "limits", "ann")
    await insert_config(connection, "shop", "a.b", "ann", "limits")

    with pytest.raises(asyncpg.ForeignKeyViolationError) as caught:
        await connection.execute("DELETE FROM config_schemas WHERE id = 'limits'")
    assert caught.value.as_dict()["constraint_name"] == "configs_schema_id_fkey"

    await connection.execute("UPDATE configs SET schema_id = NULL")
    await connection.execute("DELETE FROM config_schemas WHERE id = 'limits'")
    assert (await _count(connection))["config_schemas"] == 0


@in_any_order
async def test_a_user_whose_schema_others_use_cannot_be_deleted(
    connection: asyncpg.Connection,
) -> None:
    for user in ("ann", "bob"):
        await insert_user(connection, user)
    await insert_project(connection, "shop", "bob")
    await insert_schema(connection, "limits", "ann")
    await insert_config(connection, "shop", "a.b", "bob", "limits")
    before = await _count(connection)

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute("DELETE FROM users WHERE id = 'ann'")

    assert await _count(connection) == before


@in_any_order
async def test_history_survives_its_author(connection: asyncpg.Connection) -> None:
    for user in ("ann", "bob"):
        await insert_user(connection, user)
    await insert_project(connection, "shop", "ann")
    await insert_config(connection, "shop", "a.b", "bob")
    before = await connection.fetchrow("SELECT * FROM config_revisions")

    await connection.execute("DELETE FROM users WHERE id = 'bob'")

    after = await connection.fetchrow("SELECT * FROM config_revisions")
    assert before is not None
    assert after is not None
    assert dict(after) == {**dict(before), "created_by_user_id": None}
    assert await connection.fetchval("SELECT updated_by_user_id FROM configs") is None


@in_any_order
async def test_deleting_a_project_takes_its_configs_and_history(
    connection: asyncpg.Connection,
) -> None:
    await insert_user(connection, "ann")
    for sequence, project in enumerate(("shop", "bank"), 1):
        await insert_project(connection, project, "ann")
        await insert_config(connection, project, "a.b", "ann", sequence=sequence)

    await connection.execute("DELETE FROM projects WHERE id = 'shop'")

    for table in ("configs", "config_revisions"):
        rows = await connection.fetch(f"SELECT project_id FROM {table}")
        assert [row["project_id"] for row in rows] == ["bank"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE config_revisions SET comment = 'better'",
        "UPDATE config_revisions SET content = content",
        "UPDATE config_revisions SET created_by_user_id = NULL",
        "DELETE FROM config_revisions",
        "TRUNCATE config_revisions",
        "TRUNCATE projects CASCADE",
        "DELETE FROM configs",
    ],
)
async def test_history_cannot_be_edited(connection: asyncpg.Connection, statement: str) -> None:
    await insert_user(connection, "ann")
    await insert_project(connection, "shop", "ann")
    await insert_config(connection, "shop", "a.b", "ann")
    before = await connection.fetch("SELECT * FROM config_revisions")

    with pytest.raises((asyncpg.RestrictViolationError, asyncpg.ForeignKeyViolationError)):
        await connection.execute(statement)

    assert await connection.fetch("SELECT * FROM config_revisions") == before


@pytest.mark.parametrize(
    "body",
    [
        "DELETE FROM config_revisions",
        "UPDATE config_revisions SET created_by_user_id = NULL",
        "UPDATE config_revisions SET state = 'other'",
    ],
)
async def test_a_trigger_of_somebody_else_is_no_way_around(
    connection: asyncpg.Connection, body: str
) -> None:
    """Goal: `pg_trigger_depth() > 1` alone opens nothing. Method: edit from inside a trigger."""
    await insert_user(connection, "ann")
    await insert_project(connection, "shop", "ann")
    await insert_config(connection, "shop", "a.b", "ann")
    await connection.execute(
        f"""
        CREATE FUNCTION edit() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN {body}; RETURN NEW; END $$;
        CREATE TRIGGER edit AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION edit();
        """
    )
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await connection.execute("UPDATE users SET updated_at = now()")


async def test_a_revision_may_come_before_its_config_but_not_without(
    connection: asyncpg.Connection,
) -> None:
    await insert_user(connection, "ann")
    await insert_project(connection, "shop", "ann")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(
            "INSERT INTO config_revisions (id, project_id, config_key, version, created_at,"
            " event, state, hash, position, change_id, change_index, sequence)"
            " VALUES ('r', 'shop', 'a', 1, now(), 'config:created', '', '', 1, 'c', 0, 1)"
        )


async def test_only_a_tombstone_has_no_content(connection: asyncpg.Connection) -> None:
    await insert_user(connection, "ann")
    await insert_project(connection, "shop", "ann")
    await insert_config(connection, "shop", "a.b", "ann")
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("UPDATE configs SET content = NULL")
    await connection.execute("UPDATE configs SET content = NULL, deleted = true")
