"""What of two who change one user at once is kept."""

from __future__ import annotations

import asyncpg
import pytest

from app.access import sessions
from app.access.tokens import KeyRing
from app.tables import users
from tests.support.rows import insert_user


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
