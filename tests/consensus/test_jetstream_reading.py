"""Groups of entries, and reading, on a real Raft group that nothing happens to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import nats
import nats.errors
import nats.js.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from consensus import jetstream_consumer, jetstream_reader
from consensus.jetstream import JetStreamLog
from consensus.jetstream_consumer import PullConsumer
from consensus.jetstream_delivery import parse_delivery
from consensus.jetstream_direct import read_directly
from consensus.jetstream_layout import GROUP_ROOM
from consensus.jetstream_reader import JetStreamReader
from consensus.jetstream_snapshot import Access, begin_stream
from consensus.jetstream_stream import stream_config
from consensus.log import AccessUnusable, EntryKind, LogCorrupt, LogError, LogUnavailable
from tests.consensus.conftest import connect
from tests.consensus.contract import (
    append,
    eventually,
    positions,
    read,
)
from tests.support.servers import RaftAddress

TIMEOUT_S = 10.0


# Groups


async def test_what_is_appended_at_once_takes_few_messages(jetstream_log: JetStreamLog) -> None:
    await asyncio.gather(*(append(jetstream_log, b"x") for _ in range(64)))
    status = await jetstream_log.status()
    assert status.behind(0) < 64 / 4
    assert status.behind(status.last_position - 1) == 1
    assert status.behind(status.last_position) == 0


async def test_the_replicas_are_read_from_the_middle_of_a_group(
    jetstream_log: JetStreamLog,
) -> None:
    written = sorted(
        await asyncio.gather(*(append(jetstream_log, b"%d" % number) for number in range(20)))
    )
    middle = await jetstream_log.entry_at(written[12])
    assert middle is not None
    directly = await read_directly(
        jetstream_log._connection.client,
        jetstream_log._layout,
        (middle.position, middle.time),
        timeout=TIMEOUT_S,
    )
    assert positions(directly) == written[13:]


@pytest.mark.parametrize("checkpoint", [0, 1, 99, 100, 101, 250])
async def test_a_log_that_begins_anew_begins_behind_any_position(
    raft_group: RaftAddress, stream_name: str, checkpoint: int
) -> None:
    await begin_stream(Access(raft_group.servers), stream_name, checkpoint + 1)
    log = await connect(raft_group, stream_name)
    got = await asyncio.gather(*(append(log, b"x") for _ in range(20)))
    assert min(got) > checkpoint
    assert max(got) <= checkpoint + 22 * GROUP_ROOM
    assert positions(await read(log.reader(checkpoint), 20)) == sorted(got)
    await log.close()


# Reading much


async def test_a_slow_reader_does_not_pile_up_the_log(ungrouped_log: JetStreamLog) -> None:
    count = 5_000
    await asyncio.gather(*(append(ungrouped_log, b"%d" % number) for number in range(count)))
    reader = ungrouped_log.reader(0)
    first = await reader.next_batch(1, timeout=TIMEOUT_S)
    # What the reader has fetched ahead arrives while this asks the servers a few times.
    for _ in range(20):
        await ungrouped_log.status()
    assert len(reader._buffer) <= 2_001
    rest = await read(reader, count - 1)
    assert positions([*first, *rest]) == list(range(1, count + 1))


async def test_a_reader_survives_that_its_consumer_is_removed(
    jetstream_log: JetStreamLog, admin: JetStreamContext, stream_name: str
) -> None:
    reader = jetstream_log.reader(0)
    subscriptions = set()
    for number in range(1, 4):
        await append(jetstream_log, b"x")
        assert positions(await read(reader, 1)) == [number * GROUP_ROOM]
        subscriptions.add(len(jetstream_log._connection.client._subs))
        await delete_consumers(admin, stream_name)
    assert len(subscriptions) == 1  # the ones of before are given back


async def test_a_reader_to_whom_nothing_comes_keeps_its_consumer_and_asks_again(
    jetstream_log: JetStreamLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request ends after 20 s, and heartbeats come meanwhile."""
    monkeypatch.setattr(jetstream_consumer, "_HEARTBEAT_S", 0.2)
    monkeypatch.setattr(jetstream_consumer, "_PULL_EXPIRES_S", 1.2)
    reader = await reader_behind_one(jetstream_log)
    consumer = reader._consumer
    assert consumer is not None

    async def asked_again() -> bool:
        return consumer._pull_number >= 2 or reader._consumer is not consumer

    await eventually(asked_again)
    assert consumer._broken == ""
    await append(jetstream_log, b"2")
    assert positions(await read(reader, 1)) == [2 * GROUP_ROOM]
    assert reader._consumer is consumer


async def test_a_stream_that_stays_away_is_told_to_who_reads_it(
    jetstream_log: JetStreamLog,
    admin: JetStreamContext,
    stream_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jetstream_reader, "_STREAM_GONE_S", 0.1)
    reader = await reader_behind_one(jetstream_log)
    await admin.delete_stream(stream_name)
    with pytest.raises(LogCorrupt, match=f"'{stream_name}' is gone"):
        await reader.next_batch(timeout=TIMEOUT_S)


async def test_a_reader_that_is_refused_for_good_says_so(
    jetstream_log: JetStreamLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **__: object) -> str:
        raise nats.js.errors.BadRequestError(code=400, err_code=10025, description="no consumer")

    monkeypatch.setattr(PullConsumer, "make", refused)
    with pytest.raises(LogError, match="refuse to be read"):
        await jetstream_log.reader(0).next_batch(timeout=TIMEOUT_S)


async def test_a_leader_that_has_not_applied_all_yet_is_no_log_that_lost_something(
    jetstream_log: JetStreamLog,
    admin: JetStreamContext,
    stream_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = await reader_behind_one(jetstream_log)
    usual = JetStreamContext.stream_info

    async def late(*given: Any, **more: Any) -> StreamInfo:
        info = await usual(*given, **more)
        info.state.last_seq = 0
        return info

    monkeypatch.setattr(JetStreamContext, "stream_info", late)
    await delete_consumers(admin, stream_name)
    # What was read is all that is before the barrier by which that is asked.
    [barrier] = await read(reader, 1)
    assert (barrier.position, barrier.kind) == (2 * GROUP_ROOM, EntryKind.BARRIER)
    await append(jetstream_log, b"3")
    assert positions(await read(reader, 1)) == [3 * GROUP_ROOM]


async def reader_behind_one(log: JetStreamLog) -> JetStreamReader:
    """A reader that has read the log's first entry."""
    reader = log.reader(0)
    await append(log, b"1")
    await read(reader, 1)
    return reader


async def no_answer(*_: object, **__: object) -> str:
    raise nats.errors.TimeoutError


async def delete_consumers(admin: JetStreamContext, stream_name: str) -> None:
    for consumer in await admin.consumers_info(stream_name):
        await admin.delete_consumer(stream_name, consumer.name)


async def test_while_no_consumer_can_be_made_the_replicas_are_read(
    jetstream_log: JetStreamLog,
    admin: JetStreamContext,
    stream_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = await reader_behind_one(jetstream_log)
    with monkeypatch.context() as patch:
        patch.setattr(PullConsumer, "make", no_answer)
        await delete_consumers(admin, stream_name)
        await append(jetstream_log, b"2")
        await jetstream_log.barrier(timeout=TIMEOUT_S)
        await append(jetstream_log, b"4")
        directly = await read(reader, 3)
    assert directly == [await jetstream_log.entry_at(position) for position in (200, 300, 400)]

    async def has_consumer() -> bool:
        return bool(await admin.consumers_info(stream_name))

    await eventually(has_consumer)
    await append(jetstream_log, b"5")
    assert positions(await read(reader, 1)) == [500]


async def test_the_replicas_of_another_log_are_not_believed(
    jetstream_log: JetStreamLog,
    admin: JetStreamContext,
    raft_group: RaftAddress,
    stream_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = await reader_behind_one(jetstream_log)
    monkeypatch.setattr(JetStreamReader, "_check_not_truncated", no_answer)
    await admin.delete_stream(stream_name)
    another = await connect(raft_group, stream_name)
    for _ in range(3):
        await append(another, b"another")
    await another.close()
    assert list(await reader.next_batch(timeout=0.5)) == []


async def test_a_closed_reader_leaves_no_consumer(
    jetstream_log: JetStreamLog, admin: JetStreamContext, stream_name: str
) -> None:
    await append(jetstream_log, b"x")
    reader = jetstream_log.reader(0)
    await read(reader, 1)
    assert len(await admin.consumers_info(stream_name)) == 1
    await reader.close()

    async def gone() -> bool:
        return not await admin.consumers_info(stream_name)

    await eventually(gone)


# Connecting


async def test_no_server_is_unavailable_and_tells_no_password(unused_tcp_port: int) -> None:
    url = f"nats://guardian:s3cret@127.0.0.1:{unused_tcp_port}"
    with pytest.raises(LogUnavailable) as caught:
        await JetStreamLog.connect([url], "log", timeout=0.5)
    assert f"127.0.0.1:{unused_tcp_port}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_refused_credentials_are_told_at_once(nats_url: str, stream_name: str) -> None:
    host = nats_url.split(",")[0].rpartition("@")[2]
    async with asyncio.timeout(TIMEOUT_S):
        with pytest.raises(LogUnavailable, match="refuses our credentials") as caught:
            await JetStreamLog.connect([f"nats://guardian:wr0ng@{host}"], stream_name, timeout=60)
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    "servers", [[], ["nats://a:b@one:1", "nats://c:d@two:2"], ["nats://user:pw@"]]
)
async def test_senseless_servers_are_refused(servers: list[str]) -> None:
    with pytest.raises(AccessUnusable, match="NATS server") as caught:
        await JetStreamLog.connect(servers, "log", timeout=1)
    assert "pw" not in str(caught.value)


# The reply subject


@given(
    position=st.integers(1, 2**63),
    sequence=st.integers(1, 2**63),
    nanoseconds=st.integers(0, 4_000_000_000 * 10**9),
    long=st.booleans(),
)
def test_a_reply_subject_is_parsed_to_the_microsecond(
    position: int, sequence: int, nanoseconds: int, long: bool
) -> None:
    names = "_.hash.stream.consumer" if long else "stream.consumer"
    tail = ".7.token" if long else ".7"
    delivery = parse_delivery(f"$JS.ACK.{names}.1.{position}.{sequence}.{nanoseconds}{tail}")
    assert delivery.stream_sequence == position
    assert delivery.consumer_sequence == sequence
    since = delivery.time - datetime(1970, 1, 1, tzinfo=UTC)
    micro = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    assert micro == nanoseconds // 1000


@pytest.mark.parametrize("reply", ["", "_INBOX.x", "$JS.ACK.a.b.1.x.2.3.4", "$JS.ACK.a.b.1.2"])
def test_another_reply_subject_is_corrupt(reply: str) -> None:
    with pytest.raises(LogCorrupt):
        parse_delivery(reply)


def test_there_is_a_subject_for_every_kind_and_one_for_groups() -> None:
    assert stream_config("s", 3).subjects == [*(f"s.{kind.value}" for kind in EntryKind), "s.group"]
