"""The log in memory: the contract, and its knobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from consensus.log import AppendOutcomeUnknown, Log, LogCorrupt, LogUnavailable
from consensus.memory import MemoryLog
from tests.consensus.contract import (
    LogContract,
    append,
    check_steps,
    given_steps,
    new_id,
    positions,
    read,
)

TIMEOUT_S = 1.0


class TestMemoryLog(LogContract):
    @pytest.fixture
    async def log(self) -> AsyncIterator[Log]:
        log = MemoryLog()
        yield log
        await log.close()

    @given_steps(max_examples=100)
    async def test_any_sequence_of_calls(self, log: Log, steps: list[tuple[str, object]]) -> None:
        await check_steps(log, steps)


async def test_an_unknown_outcome_is_committed_or_not_as_asked() -> None:
    log = MemoryLog()
    lost, kept = new_id(), new_id()
    log.make_next_append_unknown(committed=False)
    with pytest.raises(AppendOutcomeUnknown):
        await log.append(lost, b"lost", timeout=TIMEOUT_S)
    log.make_next_append_unknown(committed=True)
    with pytest.raises(AppendOutcomeUnknown):
        await log.append(kept, b"kept", timeout=TIMEOUT_S)
    assert [entry.data for entry in await log.reader(0).next_batch(timeout=0)] == [b"kept"]
    assert await log.append(kept, b"kept", timeout=TIMEOUT_S) == 1
    assert await log.append(lost, b"lost", timeout=TIMEOUT_S) == 2


async def test_an_unavailable_log_refuses_and_its_readers_wait() -> None:
    log = MemoryLog()
    await append(log, b"x")
    log.set_available(False)
    for call in (append(log, b"y"), log.barrier(timeout=1), log.status(), log.entry_at(1)):
        with pytest.raises(LogUnavailable):
            await call
    reader = log.reader(0)
    waiting = asyncio.create_task(reader.next_batch())
    await asyncio.sleep(0)
    log.set_available(True)
    assert positions(await waiting) == [1]


async def test_expired_barriers_leave_gaps() -> None:
    log = MemoryLog()
    await log.barrier(timeout=TIMEOUT_S)
    await append(log, b"x")
    await log.barrier(timeout=TIMEOUT_S)
    log.expire_barriers()
    assert positions(await read(log.reader(0), 1)) == [2]
    status = await log.status()
    assert (status.first_position, status.last_position) == (2, 3)
    assert await log.entry_at(3) is None
    assert await append(log, b"y") == 4


async def test_a_reader_of_a_truncated_log_is_corrupt() -> None:
    log = MemoryLog()
    for _ in range(3):
        await append(log, b"x")
    reader = log.reader(0)
    await read(reader, 3)
    log.truncate(1)
    with pytest.raises(LogCorrupt):
        await reader.next_batch(timeout=TIMEOUT_S)


async def test_replaced_bytes_are_seen_by_the_next_reader() -> None:
    log = MemoryLog()
    await append(log, b"true")
    log.replace(1, b"false")
    assert [entry.data for entry in await read(log.reader(0), 1)] == [b"false"]
