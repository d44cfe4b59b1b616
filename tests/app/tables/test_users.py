"""What of two who change one user at once is kept, and what goes with a user."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import asyncpg
import pytest

from app.access import sessions
from app.access.tokens import KeyRing
from app.errors import NotSignedIn
from app.tables import projects, roles, schemas, users
from tests.consensus.contract import eventually
from tests.support.rows import insert_config, insert_project, insert_schema, insert_user


async def test_a_password_is_changed_only_by_who_knows_the_present_one(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u")
    first = await users.change_password(connection, "u", "one")
    assert first is not None
    assert await users.change_password(connection, "u", "two", first) == first + 1
    assert await users.change_password(connection, "u", "three", first) is None
    # Nor does a hash that was renewed from an older password come back.
    await users.replace_hash(connection, "u", "one", "one anew")
    assert await connection.fetchval("SELECT password_hash FROM users") == "two"
    await users.replace_hash(connection, "u", "two", "two anew")
    assert await connection.fetchval("SELECT password_hash FROM users") == "two anew"
    await connection.close()


async def test_a_sign_in_that_begins_holds_off_who_ends_all_of_them(database_url: str) -> None:
    """The end would not see its token, which would outlive it."""
    first, second = [await asyncpg.connect(database_url) for _ in range(2)]
    await insert_user(first, "u")
    generation = await users.change_password(first, "u", "one")
    assert generation is not None
    ring = KeyRing.parse("a secret key of the tests that is long enough")
    async with first.transaction():
        await sessions.start(first, ring, "u", generation, cookie=False)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await second.execute("SELECT FROM users FOR NO KEY UPDATE NOWAIT")
    for connection in (first, second):
        await connection.close()


async def test_what_is_going_already_neither_keeps_a_user_nor_goes_with_them(
    database_url: str,
) -> None:
    going, remover = [await asyncpg.connect(database_url) for _ in range(2)]
    for user in ("u", "v"):
        await insert_user(going, user)
        await insert_project(going, f"of {user}", user)
    await insert_schema(going, "s", "u")
    await insert_config(going, "of v", "k", "v", "s")
    assert await users.is_bound_elsewhere(going, "u")
    assert await users.belongings(going, "u") == {
        "projects": [{"id": "of u", "name": "of u"}],
        "schemas": [{"id": "s", "name": "s"}],
        "roles": 0,
    }
    for user in ("u", "v"):
        assert await projects.mark_deleted(going, f"of {user}")
    assert not await users.is_bound_elsewhere(going, "u")
    assert (await users.belongings(going, "u"))["projects"] == []
    async with remover.transaction():
        # While all rows of their project go, which may take an hour.
        await remover.execute("SELECT FROM projects FOR UPDATE")
        await going.execute("SET lock_timeout = '5s'")
        assert await users.mark_deleted(going, "u") == ["of u"]
    # The user's row is the last to go: else it would take the project's along.
    for wait in (False, True):
        await users.remove_marked(going, "u", wait=wait, timeout=10)
    assert await users.marked_users(going) == ["u"]
    for project in ("of v", "of u"):
        await projects.remove_marked(going, project, wait=True, timeout=10)
    await users.remove_marked(going, "u", wait=True, timeout=10)
    assert await users.marked_users(going) == []
    for connection in (going, remover):
        await connection.close()


async def test_who_is_deleted_at_this_moment_makes_nothing_any_more(database_url: str) -> None:
    """It would be nobody's: answered for as made, and seen by none."""
    deleting, making, looking = [await asyncpg.connect(database_url) for _ in range(3)]
    for user in ("u", "v"):
        await insert_user(deleting, user)
    await insert_project(deleting, "p", "v")

    waiting = partial(
        looking.fetchval,
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock')",
    )

    async def while_deleted(made: Coroutine[Any, Any, object]) -> object:
        changing = deleting.transaction()
        await changing.start()
        await users.mark_deleted(deleting, "u")
        task = asyncio.create_task(made)
        await eventually(waiting)
        await changing.commit()
        try:
            return await task
        finally:
            await deleting.execute("UPDATE users SET deleted_at = NULL, email = '' WHERE id = 'u'")

    with pytest.raises(NotSignedIn):
        await while_deleted(schemas.insert_schema(making, "s", "s", None, "{}", "u"))
    with pytest.raises(NotSignedIn):
        await while_deleted(projects.insert_project(making, "q", "q", "u", "hash"))
    assert await while_deleted(roles.put_role(making, "p", "u", "viewer")) is None
    for connection in (deleting, making, looking):
        await connection.close()


async def test_whoever_is_disabled_is_no_other_superuser(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    for user in ("u", "v"):
        await insert_user(connection, user)
        await users.update_user(connection, user, is_superuser=True)
    assert await users.has_other_superuser(connection, "u")
    await users.update_user(connection, "v", disabled=True)
    assert not await users.has_other_superuser(connection, "u")
    assert await users.has_other_superuser(connection, "v")
    await connection.close()
