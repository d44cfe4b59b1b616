"""Goal: the housekeeping of a web process outlives what the database does to it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from app.access import upkeep
from app.access.principal import Application, Role
from app.access.upkeep import Upkeep
from app.tables import idempotency, keys
from tests.support.rows import insert_project, insert_user


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError("two processes noted the same keys"),
        asyncpg.ReadOnlySQLTransactionError("a standby that is not promoted yet"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        ConnectionRefusedError("nobody listens"),
        asyncpg.InsufficientPrivilegeError("a new table whose rights are not given yet"),
        asyncpg.UndefinedTableError("a new table whose migration was not run yet"),
    ],
)
async def test_what_could_not_be_written_is_written_the_next_time(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Race: a deadlock between two processes' notes ended a web process."""
    calls: list[dict[str, datetime]] = []
    written = asyncio.Event()

    async def store_uses(_pool: object, uses: dict[str, datetime]) -> None:
        calls.append(uses)
        if len(calls) == 1:
            raise error
        written.set()

    async def sweep(_self: Upkeep) -> None:
        """There is no database here."""

    monkeypatch.setattr(keys, "store_uses", store_uses)
    monkeypatch.setattr(upkeep, "FLUSH_INTERVAL_S", 0)
    monkeypatch.setattr(Upkeep, "sweep", sweep)
    pool: Any = None
    work = Upkeep(pool)
    work.used(Application("key", "reader", "project", "owner", Role.VIEWER, None))
    work._uses["key"] = noted = datetime.now(UTC)
    task = asyncio.create_task(work.run())
    waiting = asyncio.create_task(written.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED, timeout=30)
    assert not task.done(), "it died of a fault that passes"
    assert calls == [{"key": noted}, {"key": noted}]
    for each in (task, waiting):
        each.cancel()
    await asyncio.gather(task, waiting, return_exceptions=True)


async def test_the_use_of_a_key_that_another_process_noted_later_stays(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u")
    await insert_project(connection, "p", "u")
    for key in ("old", "new"):
        await connection.execute(
            "INSERT INTO api_keys (id, project_id, name, role_level, key_hash)"
            " VALUES ($1, 'p', $1, 'viewer', $1)",
            key,
        )
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    await keys.store_uses(connection, {"old": late, "new": early})
    await keys.store_uses(connection, {"old": early, "new": late, "gone": late})
    assert [row["last_used_at"] for row in await keys.list_keys(connection, "p", "", 9)] == [
        late,
        late,
    ]
    await connection.close()


async def test_what_says_nothing_any_more_goes_however_much_it_is(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand each ten minutes went, and none while no request had an Idempotency-Key: a table
    that grew for ever, at more than two such writes a second."""
    monkeypatch.setattr(idempotency, "FORGOTTEN_AT_ONCE", 10)
    connection = await asyncpg.connect(database_url)
    try:
        await insert_user(connection, "u")
        await insert_project(connection, "p", "u")
        await connection.execute(
            "INSERT INTO idempotency_keys"
            " (project_id, caller, key, request_digest, change_id, created_at)"
            " SELECT 'p', 'c', g, '', '', now() - g * interval '4 hours'"
            " FROM generate_series(1, 100) AS g"
        )
        await connection.execute(
            "INSERT INTO creation_keys (user_id, key, request_digest, created_at)"
            " SELECT 'u', g, '', now() - g * interval '4 hours' FROM generate_series(1, 100) AS g"
        )
        await connection.execute(
            "INSERT INTO refresh_tokens (id, family_id, user_id, token_hash, expires_at)"
            " SELECT g, 'f', 'u', g, now() - g * interval '4 hours'"
            " FROM generate_series(-2, 100) AS g"
        )
        await connection.execute(
            "INSERT INTO login_attempts (subject, full_at)"
            " SELECT g, now() - g * interval '1 minute' FROM generate_series(-2, 2) AS g"
        )
    finally:
        await connection.close()
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        await Upkeep(pool).sweep()
        for table in ("idempotency_keys", "creation_keys"):
            kept = await pool.fetchval(f"SELECT max(key::int) FROM {table}")
            assert kept == 7 * 24 // 4 - 1
        tokens = await pool.fetch("SELECT id::int FROM refresh_tokens ORDER BY 1")
        assert [row["id"] for row in tokens] == list(range(-2, 7 * 24 // 4))
        attempts = await pool.fetch("SELECT subject::int FROM login_attempts ORDER BY 1")
        assert [row["subject"] for row in attempts] == [-2, -1]
