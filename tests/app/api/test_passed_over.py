"""Goal: who wrote a change that the projector passed over is told why, and never that a project
which is there is gone.

Method: the projector is stopped, so that the change waits in the log; then another one runs that
does not get to see it, or was told by an operator to pass over it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from app.services import SERVICES
from consensus.log import Entry, EntryKind, LogReader
from tests.consensus.contract import eventually
from tests.support.leaks import LogCollector
from tests.support.service import Answer, Client, Service


class LossyReader:
    """A reader at a Raft server that has lost all change sets."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    async def next_batch(
        self, max_entries: int = 1000, timeout: float | None = None
    ) -> Sequence[Entry]:
        batch = await self._reader.next_batch(max_entries, timeout)
        return [entry for entry in batch if entry.kind is EntryKind.BARRIER]

    async def close(self) -> None:
        await self._reader.close()


async def waits_in_the_log(
    service: Service, admin: Client, path: str
) -> tuple[asyncio.Task[Answer], int]:
    """The request that waits for its outcome, and the position of its change set."""
    service.projector_task.cancel()
    with suppress(asyncio.CancelledError):
        await service.projector_task
    before = (await service.log.status()).last_position
    asking = asyncio.create_task(admin("PUT", path, json={"content": 1, "version": 0}))

    async def is_there() -> bool:
        return (await service.log.status()).last_position > before

    await eventually(is_there)
    return asking, (await service.log.status()).last_position


@asynccontextmanager
async def projecting(service: Service) -> AsyncIterator[None]:
    task = asyncio.create_task(service.projector.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_change_that_the_projector_never_saw_is_told_as_what_it_is(
    service: Service,
    admin: Client,
    configs: str,
    logs: LogCollector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was a 404: the project is not there any more."""
    asking, position = await waits_in_the_log(service, admin, f"{configs}/a")
    whole = service.log.reader
    monkeypatch.setattr(service.log, "reader", lambda after: LossyReader(whole(after)))
    async with projecting(service):
        await service.hears()
        answer = await asking
    assert (answer.status, answer.json["type"]) == (500, "/problems/internal-error")
    assert any(
        f"the change set at position {position} was committed" in str(line)
        and "guardian log status" in str(line)
        for line in logs.lines
    )


async def test_a_change_that_an_operator_let_pass_over_changed_nothing(
    service: Service, admin: Client, configs: str
) -> None:
    asking, position = await waits_in_the_log(service, admin, f"{configs}/a")
    entry = await service.log.entry_at(position)
    assert entry is not None
    connection = await asyncpg.connect(service.settings.require_database_url())
    await connection.execute(
        "INSERT INTO skipped_entries (position, digest, reason, decided_by)"
        " VALUES ($1, $2, 'a test', 'me')",
        position,
        hashlib.sha256(entry.data).digest(),
    )
    await connection.close()
    async with projecting(service):
        answer = await asking
        assert (answer.status, answer.json["type"]) == (503, "/problems/unavailable")
        assert "nothing was changed" in answer.json["detail"]
        assert (await admin("GET", f"{configs}/a")).status == 404
        services = service.app[SERVICES]
        again = await admin("PUT", f"{configs}/a", json={"content": 1, "version": 0})
        assert (again.status, again.json["position"]) == (201, services.model.position)
