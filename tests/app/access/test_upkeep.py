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
from app.tables import keys


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError("two processes noted the same keys"),
        asyncpg.ReadOnlySQLTransactionError("a standby that is not promoted yet"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        ConnectionRefusedError("nobody listens"),
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
