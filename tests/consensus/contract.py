"""What every adapter of the log port must do. Run on each by a subclass with a `log` fixture.

Goal: code that was tested on the log in memory behaves the same on the real one. Method:
only the port is used; every test works on a log of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consensus.log import (
    MAX_BATCH_BYTES,
    Entry,
    EntryKind,
    EntryTooLarge,
    Log,
    LogCorrupt,
    LogReader,
    LogUnavailable,
)

TIMEOUT_S = 10.0


def new_id() -> str:
    return uuid.uuid4().hex


async def append(log: Log, data: bytes) -> int:
    return await log.append(new_id(), data, timeout=TIMEOUT_S)


async def read(reader: LogReader, count: int) -> list[Entry]:
    """Exactly `count` entries, in as many batches as it takes."""
    entries: list[Entry] = []
    while len(entries) < count:
        batch = await reader.next_batch(count - len(entries), timeout=TIMEOUT_S)
        assert batch, f"only {len(entries)} of {count} entries came"
        entries.extend(batch)
    return entries


def positions(entries: Sequence[Entry]) -> list[int]:
    return [entry.position for entry in entries]


class LogContract:
    """The tests; `log` is empty at the start of each."""

    step = 1
    """How far the positions of entries that come one by one lie apart."""

    def at(self, *numbers: int) -> list[int]:
        """The positions of the first, second, … entry or barrier, each appended by itself."""
        return [self.step * number for number in numbers]

    # Appending

    async def test_positions_start_at_1_and_grow(self, log: Log) -> None:
        assert [await append(log, b"a"), await append(log, b"b")] == self.at(1, 2)

    async def test_the_same_id_again_returns_the_first_position(self, log: Log) -> None:
        message_id = new_id()
        first = await log.append(message_id, b"first", timeout=TIMEOUT_S)
        await append(log, b"between")
        assert await log.append(message_id, b"first", timeout=TIMEOUT_S) == first
        assert [(await log.status()).last_position] == self.at(2)

    async def test_the_same_id_at_the_same_time_is_appended_once(self, log: Log) -> None:
        message_id = new_id()
        got = await asyncio.gather(
            *(log.append(message_id, b"x", timeout=TIMEOUT_S) for _ in range(8))
        )
        assert set(got) == {*self.at(1)}
        assert [(await log.status()).last_position] == self.at(1)

    async def test_concurrent_appends_get_positions_of_their_own(self, log: Log) -> None:
        data = [b"%d" % number for number in range(64)]
        got = await asyncio.gather(*(append(log, item) for item in data))
        entries = await read(log.reader(0), 64)
        assert sorted(got) == positions(entries)
        assert {entry.position: entry.data for entry in entries} == dict(
            zip(got, data, strict=True)
        )

    async def test_a_reader_starts_behind_each_of_many_that_came_at_once(self, log: Log) -> None:
        got = sorted(await asyncio.gather(*(append(log, b"%d" % n) for n in range(32))))
        for number, position in enumerate(got[:-1]):
            reader = log.reader(position)
            assert positions(await read(reader, len(got) - number - 1)) == got[number + 1 :]
            await reader.close()

    async def test_one_writers_appends_keep_their_order(self, log: Log) -> None:
        async def writer(name: int) -> list[int]:
            return [await append(log, b"%d" % name) for _ in range(5)]

        for got in await asyncio.gather(*(writer(name) for name in range(8))):
            assert got == sorted(got)

    async def test_any_bytes_come_back_equal(self, log: Log) -> None:
        samples = [b"", b"\x00", b"\r\n\r\n", b"NATS/1.0\r\n", bytes(range(256)), "ключ".encode()]
        for sample in samples:
            await append(log, sample)
        assert [entry.data for entry in await read(log.reader(0), len(samples))] == samples

    async def test_the_largest_entry_fits_and_one_byte_more_does_not(self, log: Log) -> None:
        largest = b"x" * log.max_entry_bytes
        position = await append(log, largest)
        with pytest.raises(EntryTooLarge, match=str(len(largest) + 1)):
            await append(log, largest + b"x")
        assert [entry.data for entry in await read(log.reader(0), 1)] == [largest]
        assert (await log.status()).last_position == position

    # Reading

    async def test_a_reader_returns_all_kinds_in_order(self, log: Log) -> None:
        await append(log, b"one")
        await log.barrier(timeout=TIMEOUT_S)
        await append(log, b"two")
        entries = await read(log.reader(0), 3)
        assert positions(entries) == self.at(1, 2, 3)
        assert [(entry.kind, entry.data) for entry in entries] == [
            (EntryKind.CHANGE, b"one"),
            (EntryKind.BARRIER, b""),
            (EntryKind.CHANGE, b"two"),
        ]

    async def test_times_are_aware_utc_and_now(self, log: Log) -> None:
        before = datetime.now(UTC)
        await append(log, b"x")
        (entry,) = await read(log.reader(0), 1)
        assert entry.time.tzinfo is UTC
        assert abs(entry.time - before) < timedelta(seconds=10)

    async def test_an_empty_log_times_out_with_an_empty_batch(self, log: Log) -> None:
        reader = log.reader(0)
        assert list(await reader.next_batch(timeout=0.05)) == []
        assert list(await reader.next_batch(timeout=0)) == []
        await append(log, b"x")
        assert positions(await read(reader, 1)) == self.at(1)

    async def test_an_append_wakes_a_waiting_reader(self, log: Log) -> None:
        reader = log.reader(0)
        waiting = asyncio.create_task(reader.next_batch())
        await reader_is_idle(log, waiting)
        await append(log, b"x")
        async with asyncio.timeout(TIMEOUT_S):
            assert positions(await waiting) == self.at(1)

    async def test_a_cancelled_wait_loses_nothing(self, log: Log) -> None:
        reader = log.reader(0)
        for number in range(1, 11):
            waiting = asyncio.create_task(reader.next_batch())
            await asyncio.sleep(0)
            position = await append(log, b"%d" % number)
            waiting.cancel()
            got = await asyncio.gather(waiting, return_exceptions=True)
            if isinstance(got[0], BaseException):
                assert positions(await read(reader, 1)) == [position]
            else:
                assert positions(got[0]) == [position]

    async def test_a_reader_starts_behind_any_position(self, log: Log) -> None:
        for number in range(5):
            await append(log, b"%d" % number)
        for after in range(5):
            reader = log.reader(after * self.step)
            assert positions(await read(reader, 5 - after)) == self.at(*range(after + 1, 6))
            await reader.close()

    async def test_two_readers_do_not_disturb_each_other(self, log: Log) -> None:
        for number in range(4):
            await append(log, b"%d" % number)
        one, two = log.reader(0), log.reader(2 * self.step)
        assert positions(await read(one, 2)) == self.at(1, 2)
        assert positions(await read(two, 2)) == self.at(3, 4)
        assert positions(await read(one, 2)) == self.at(3, 4)

    async def test_a_batch_is_bounded_in_entries(self, log: Log) -> None:
        for number in range(7):
            await append(log, b"%d" % number)
        reader = log.reader(0)
        sizes: list[int] = []
        while sum(sizes) < 7:
            sizes.append(len(await reader.next_batch(3, timeout=TIMEOUT_S)))
        assert max(sizes) <= 3

    async def test_a_batch_is_bounded_in_bytes(self, log: Log) -> None:
        size = min(log.max_entry_bytes, 6 * 1024 * 1024)
        count = MAX_BATCH_BYTES // size + 3
        for _ in range(count):
            await append(log, b"x" * size)
        reader = log.reader(0)
        got = 0
        while got < count:
            batch = await reader.next_batch(timeout=TIMEOUT_S)
            assert sum(len(entry.data) for entry in batch) <= MAX_BATCH_BYTES
            got += len(batch)
        assert got == count

    async def test_a_reader_ahead_of_the_log_is_corrupt(self, log: Log) -> None:
        await append(log, b"x")
        reader = log.reader(1000 * self.step)
        with pytest.raises(LogCorrupt, match="1000"):
            await reader.next_batch(timeout=TIMEOUT_S)
        with pytest.raises(LogCorrupt):
            await reader.next_batch(timeout=TIMEOUT_S)

    async def test_a_reader_ahead_of_the_log_by_a_part_of_a_message_is_corrupt(
        self, log: Log
    ) -> None:
        await append(log, b"x")
        with pytest.raises(LogCorrupt):
            await log.reader(self.step + (self.step + 1) // 2).next_batch(timeout=TIMEOUT_S)

    async def test_senseless_arguments_are_refused(self, log: Log) -> None:
        with pytest.raises(ValueError, match="negative"):
            log.reader(-1)
        with pytest.raises(ValueError, match="at least 1"):
            await log.reader(0).next_batch(0)

    # Barriers

    async def test_a_barrier_is_behind_all_that_was_committed(self, log: Log) -> None:
        position = await append(log, b"x")
        barrier = await log.barrier(timeout=TIMEOUT_S)
        assert log.position_step == self.step
        assert barrier == position + self.step
        assert (await log.status()).last_position == barrier
        assert await append(log, b"y") > barrier

    async def test_a_reader_from_a_barrier_on_sees_what_is_behind_it(self, log: Log) -> None:
        barrier = await log.barrier(timeout=TIMEOUT_S)
        reader = log.reader(barrier)
        assert list(await reader.next_batch(timeout=0.05)) == []
        position = await append(log, b"x")
        assert positions(await read(reader, 1)) == [position]

    # Single entries and status

    async def test_entry_at_equals_what_a_reader_returns(self, log: Log) -> None:
        await append(log, b"")
        await append(log, b"two")
        await log.barrier(timeout=TIMEOUT_S)
        await asyncio.gather(*(append(log, b"%d" % number) for number in range(16)))
        for entry in await read(log.reader(0), 19):
            assert await log.entry_at(entry.position) == entry

    async def test_entry_at_is_none_where_nothing_is(self, log: Log) -> None:
        await append(log, b"x")
        assert await log.entry_at(0) is None
        assert await log.entry_at(1_000_000) is None

    async def test_status_of_an_empty_log(self, log: Log) -> None:
        status = await log.status()
        assert (status.first_position, status.last_position, status.begins_at) == (0, 0, 1)

    async def test_status_names_the_leader_among_the_members(self, log: Log) -> None:
        await append(log, b"x")

        async def complete() -> bool:
            return all(member.online for member in (await log.status()).members)

        await eventually(complete)
        status = await log.status()
        assert status.leader in {member.name for member in status.members}
        assert (status.first_position, [status.last_position]) == (1, self.at(1))
        assert status.term is None or status.term >= 1

    # Closing

    async def test_closing_ends_a_waiting_reader(self, log: Log) -> None:
        reader = log.reader(0)
        waiting = asyncio.create_task(reader.next_batch())
        await reader_is_idle(log, waiting)
        await log.close()
        with pytest.raises(LogUnavailable):
            await waiting

    async def test_close_is_idempotent_and_final(self, log: Log) -> None:
        reader = log.reader(0)
        await append(log, b"x")
        assert positions(await read(reader, 1)) == self.at(1)
        await reader.close()
        await reader.close()
        with pytest.raises(LogUnavailable):
            await reader.next_batch()
        await log.close()
        await log.close()
        with pytest.raises(LogUnavailable):
            await append(log, b"y")
        with pytest.raises(LogUnavailable):
            await log.barrier(timeout=TIMEOUT_S)
        with pytest.raises(LogUnavailable):
            await log.status()
        with pytest.raises(LogUnavailable):
            await log.entry_at(1)
        with pytest.raises(LogUnavailable):
            log.reader(0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.binary(max_size=40)),
        st.tuples(st.just("at once"), st.integers(2, 6)),
        st.tuples(st.just("again"), st.integers(0, 5)),
        st.tuples(st.just("barrier"), st.none()),
        st.tuples(st.just("read"), st.integers(1, 4)),
        st.tuples(st.just("reopen"), st.none()),
    ),
    max_size=25,
)


def given_steps(max_examples: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a test that calls `check_steps`. A log grows from example to example.

    Not in the contract's class: hypothesis wants each test of its own class.
    """

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        sized = settings(max_examples=max_examples, deadline=None, suppress_health_check=checks)
        decorated: Callable[..., Any] = sized(given(steps=STEPS)(test))
        return decorated

    return decorate


async def check_steps(log: Log, steps: list[tuple[str, object]]) -> None:
    """Any sequence of calls behaves like a list that remembers who has read how far."""
    start = (await log.status()).last_position
    written: list[tuple[int, EntryKind, bytes]] = []
    appended: list[tuple[str, int, bytes]] = []
    returned: list[tuple[int, EntryKind, bytes]] = []
    reader = log.reader(start)
    for step, value in steps:
        match step, value:
            case "append", bytes(data):
                message_id = new_id()
                position = await log.append(message_id, data, timeout=TIMEOUT_S)
                written.append((position, EntryKind.CHANGE, data))
                appended.append((message_id, position, data))
            case "at once", int(count):
                each = [b"%d" % number for number in range(count)]
                got = await asyncio.gather(*(append(log, data) for data in each))
                together = zip(got, each, strict=True)
                written.extend((place, EntryKind.CHANGE, data) for place, data in sorted(together))
            case "again", int(index) if index < len(appended):
                message_id, position, data = appended[index]
                assert await log.append(message_id, data, timeout=TIMEOUT_S) == position
            case "barrier", _:
                written.append((await log.barrier(timeout=TIMEOUT_S), EntryKind.BARRIER, b""))
            case "read", int(count) if len(returned) < len(written):
                batch = await reader.next_batch(count, timeout=TIMEOUT_S)
                assert 1 <= len(batch) <= count
                returned.extend((e.position, e.kind, e.data) for e in batch)
            case "reopen", _:
                await reader.close()
                reader = log.reader(returned[-1][0] if returned else start)
            case _:
                pass
    rest = await read(reader, len(written) - len(returned))
    returned.extend((e.position, e.kind, e.data) for e in rest)
    await reader.close()
    assert returned == written
    assert all(a < b for a, b in itertools.pairwise(p for p, _, _ in written))


async def eventually(check: Callable[[], Awaitable[bool]], timeout: float = 30.0) -> None:
    """Wait for what no event tells of, an election at the longest."""
    async with asyncio.timeout(timeout):
        while True:
            if await check():
                return
            await asyncio.sleep(0.05)


async def reader_is_idle(log: Log, waiting: asyncio.Task[Sequence[Entry]]) -> None:
    """Give the reader the time to reach its wait: two round trips to the log.

    If it is not there yet, the test that follows still must pass; it only proves less.
    """
    await log.status()
    await log.status()
    assert not waiting.done()
