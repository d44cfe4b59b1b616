"""Goal: a migration that must wait for a lock does not make the service wait behind it for long.

Method: somebody reads a table and stays in their transaction; a migration wants that table.
"""

from __future__ import annotations

import asyncio
from functools import partial

import asyncpg
import pytest

from app import migrations
from tests.app.test_migrations import COUNT
from tests.consensus.contract import eventually

_WAITS = """
SELECT count(*) > 0 FROM pg_locks WHERE relation = 'users'::regclass AND NOT granted
"""


async def test_a_migration_gives_up_a_lock_that_it_does_not_get(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited behind a reader for as long as that took, and everybody's reads behind it."""
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_MS", 500)
    reader, service = [await asyncpg.connect(database_url) for _ in range(2)]
    try:
        behind = [
            "025_mark_deleted_users",
            "026_release_configs_of_deleted_users",
            "027_clean_pending_lists_aside",
        ]
        assert await migrations.down(database_url, len(behind)) == behind[::-1]
        await reader.execute("SET application_name = 'a long report'")
        reading = reader.transaction()
        await reading.start()
        await reader.fetch("SELECT FROM users")

        up = asyncio.ensure_future(migrations.up(database_url))
        await eventually(partial(service.fetchval, _WAITS))
        assert await service.fetchval("SELECT count(*) FROM users", timeout=20) == 0
        with pytest.raises(migrations.LocksHeld) as told:
            await asyncio.wait_for(up, 20)
        assert "025_mark_deleted_users" in str(told.value)
        assert f"a long report (pid {reader.get_server_pid()}, for " in str(told.value)
        assert len(await migrations.applied(database_url)) == COUNT - len(behind)

        await reading.rollback()
        assert await migrations.up(database_url) == behind
    finally:
        await reader.close()
        await service.close()


async def test_who_migrates_at_the_same_time_waits_as_long_as_it_takes(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no lock that a service waits for."""
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_MS", 1)
    await migrations.create_database(empty_database_url)
    both = [migrations.up(empty_database_url) for _ in range(2)]
    assert sorted(map(len, await asyncio.gather(*both))) == [0, COUNT]
