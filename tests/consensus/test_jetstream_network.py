"""What the network can do to the adapter, with a healthy Raft group behind it.

Method: a proxy loses exactly one thing; a second connection, straight to the group, tells
what really happened there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from consensus.jetstream import JetStreamLog
from consensus.jetstream_layout import GROUP_ROOM
from consensus.log import AppendOutcomeUnknown, Entry, LogUnavailable
from tests.consensus.contract import append, eventually, new_id, positions, read
from tests.consensus.proxy import Proxy
from tests.support.servers import RaftAddress

TIMEOUT_S = 20.0


@pytest.fixture
async def direct(raft_group: RaftAddress, stream_name: str) -> AsyncIterator[JetStreamLog]:
    log = await JetStreamLog.connect(raft_group.url.split(","), stream_name)
    yield log
    await log.close()


@pytest.fixture
async def proxy(raft_group: RaftAddress) -> AsyncIterator[Proxy]:
    async with Proxy(raft_group.url.split(",")[0]) as proxy:
        yield proxy


@pytest.fixture
async def proxied(
    direct: JetStreamLog, proxy: Proxy, stream_name: str
) -> AsyncIterator[JetStreamLog]:
    """Connected through the proxy; may go on with another server once that is cut."""
    while True:
        log = await JetStreamLog.connect([proxy.url], stream_name)
        if proxy.connections == 1:
            break
        await log.close()
    yield log
    proxy.mute = False
    await log.close()


async def test_an_append_whose_answer_was_lost_is_not_doubled(
    direct: JetStreamLog, proxy: Proxy, proxied: JetStreamLog
) -> None:
    proxy.mute = True
    appending = asyncio.create_task(proxied.append(new_id(), b"x", timeout=TIMEOUT_S))
    assert positions(await read(direct.reader(0), 1)) == [GROUP_ROOM]
    assert not appending.done()
    proxy.mute = False
    proxy.cut()
    assert await appending == GROUP_ROOM
    assert (await direct.status()).last_position == GROUP_ROOM


async def test_an_append_without_an_answer_is_unknown_and_can_be_sent_again(
    direct: JetStreamLog, proxy: Proxy, proxied: JetStreamLog
) -> None:
    message_id = new_id()
    proxy.mute = True
    with pytest.raises(AppendOutcomeUnknown):
        await proxied.append(message_id, b"x", timeout=0.5)
    assert positions(await read(direct.reader(0), 1)) == [GROUP_ROOM]
    proxy.mute = False
    proxy.cut()
    assert await proxied.append(message_id, b"x", timeout=TIMEOUT_S) == GROUP_ROOM
    assert (await direct.status()).last_position == GROUP_ROOM


async def test_a_barrier_without_an_answer_is_unavailable(
    proxy: Proxy, proxied: JetStreamLog
) -> None:
    proxy.mute = True
    with pytest.raises(LogUnavailable):
        await proxied.barrier(timeout=0.3)


async def test_many_appends_through_a_connection_that_breaks_again_and_again(
    direct: JetStreamLog, proxy: Proxy, proxied: JetStreamLog
) -> None:
    async def writer(name: int) -> dict[int, bytes]:
        data = [b"%d-%d" % (name, number) for number in range(30)]
        return {await proxied.append(new_id(), item, timeout=TIMEOUT_S): item for item in data}

    async def breaker() -> None:
        for _ in range(5):
            generation = proxied._connection.generation
            # Closes the socket to whichever server it is, without waiting for anything.
            await proxied._connection.client.force_reconnect()

            async def reconnected(before: int = generation) -> bool:
                return proxied._connection.generation > before

            await eventually(reconnected)
            await append(direct, b"pause")

    breaking = asyncio.create_task(breaker())
    written = await asyncio.gather(*(writer(name) for name in range(8)))
    await breaking
    expected = {position: item for part in written for position, item in part.items()}
    assert len(expected) == 8 * 30
    last = (await direct.status()).last_position
    reader, entries = direct.reader(0), list[Entry]()
    while not entries or entries[-1].position < last:
        entries += await reader.next_batch(timeout=TIMEOUT_S)
    assert {e.position: e.data for e in entries if e.data != b"pause"} == expected


async def test_a_reader_notices_a_message_that_was_lost_on_its_way(
    direct: JetStreamLog, proxy: Proxy, proxied: JetStreamLog
) -> None:
    reader = proxied.reader(0)
    await append(direct, b"1")
    assert positions(await read(reader, 1)) == [GROUP_ROOM]
    swallowed = asyncio.create_task(reader.next_batch())
    proxy.mute = True
    await append(direct, b"2")
    assert await direct.entry_at(2 * GROUP_ROOM) is not None
    proxy.mute = False
    await append(direct, b"3")
    async with asyncio.timeout(TIMEOUT_S):
        first = await swallowed
        rest = await read(reader, 2 - len(first))
    assert positions([*first, *rest]) == [2 * GROUP_ROOM, 3 * GROUP_ROOM]


async def test_a_reader_gives_up_a_consumer_that_fell_silent(
    direct: JetStreamLog, proxy: Proxy, proxied: JetStreamLog
) -> None:
    reader = proxied.reader(0)
    await append(direct, b"1")
    assert positions(await read(reader, 1)) == [GROUP_ROOM]
    waiting = asyncio.create_task(reader.next_batch())
    consumer = reader._consumer
    assert consumer is not None
    proxy.mute = True
    await append(direct, b"2")

    async def given_up() -> bool:
        return reader._consumer is not consumer

    await eventually(given_up)
    assert "heartbeats" in consumer._broken
    assert not waiting.done()
    proxy.mute = False
    async with asyncio.timeout(TIMEOUT_S):
        assert positions(await waiting) == [2 * GROUP_ROOM]


async def test_an_error_that_closes_the_client_for_good_makes_a_new_one(
    direct: JetStreamLog, proxy: Proxy, proxied: JetStreamLog
) -> None:
    reader = proxied.reader(0)
    await append(direct, b"1")
    assert positions(await read(reader, 1)) == [GROUP_ROOM]
    waiting = asyncio.create_task(reader.next_batch())
    old = proxied._connection.client
    proxy.inject(b"-ERR 'Slow Consumer'\r\n")

    async def closed() -> bool:
        return old.is_closed

    await eventually(closed)
    assert await append(proxied, b"2") == 2 * GROUP_ROOM
    assert proxied._connection.client is not old
    async with asyncio.timeout(TIMEOUT_S):
        assert positions(await waiting) == [2 * GROUP_ROOM]


async def test_closing_while_the_connection_is_broken_ends_at_once(
    proxy: Proxy, proxied: JetStreamLog
) -> None:
    reader = proxied.reader(0)
    waiting = asyncio.create_task(reader.next_batch())
    appending = asyncio.create_task(proxied.append(new_id(), b"x", timeout=TIMEOUT_S))
    await asyncio.sleep(0)
    proxy.mute = True
    proxy.cut()
    async with asyncio.timeout(5):
        await proxied.close()
        with pytest.raises(LogUnavailable):
            await waiting
        with pytest.raises((LogUnavailable, AppendOutcomeUnknown)):
            await appending
