"""The JetStream adapter on a real Raft group that nothing happens to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import nats
import nats.errors
import nats.js.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js import JetStreamContext, api

from consensus.jetstream import JetStreamLog
from consensus.jetstream_consumer import PullConsumer
from consensus.jetstream_delivery import parse_delivery
from consensus.jetstream_direct import read_directly
from consensus.jetstream_layout import GROUP_ROOM, Layout
from consensus.jetstream_reader import JetStreamReader
from consensus.jetstream_snapshot import Access, begin_stream
from consensus.jetstream_stream import StreamMismatch, stream_config
from consensus.log import AccessUnusable, EntryKind, Log, LogCorrupt, LogError, LogUnavailable
from tests.consensus.contract import (
    LogContract,
    append,
    check_steps,
    eventually,
    given_steps,
    new_id,
    positions,
    read,
)
from tests.support.servers import RaftAddress

TIMEOUT_S = 10.0


@pytest.fixture
async def admin(nats_url: str) -> AsyncIterator[JetStreamContext]:
    """The engine's own interface, to do what our adapter never does."""
    client = await nats.connect(nats_url.split(","))
    yield client.jetstream(timeout=TIMEOUT_S)
    await client.close()


async def connect(raft_group: RaftAddress, stream_name: str, **options: Any) -> JetStreamLog:
    return await JetStreamLog.connect(
        raft_group.url.split(","), stream_name, monitor_urls=raft_group.monitor_urls, **options
    )


@pytest.fixture
async def jetstream_log(raft_group: RaftAddress, stream_name: str) -> AsyncIterator[JetStreamLog]:
    log = await connect(raft_group, stream_name)
    yield log
    await log.close()


class TestJetStreamLog(LogContract):
    step = GROUP_ROOM

    @pytest.fixture
    def log(self, jetstream_log: JetStreamLog) -> Log:
        return jetstream_log

    @given_steps(max_examples=20)
    async def test_any_sequence_of_calls(self, log: Log, steps: list[tuple[str, object]]) -> None:
        await check_steps(log, steps)


@pytest.fixture
async def ungrouped_log(
    admin: JetStreamContext, raft_group: RaftAddress, stream_name: str
) -> AsyncIterator[JetStreamLog]:
    """On a stream as it was made before there were groups."""
    config = stream_config(stream_name, 3)
    subjects = Layout(stream_name, groups=False).subjects
    assert subjects == [f"{stream_name}.change", f"{stream_name}.barrier"]
    await admin.add_stream(replace(config, subjects=subjects))
    log = await connect(raft_group, stream_name)
    yield log
    await log.close()


class TestJetStreamLogWithoutGroups(LogContract):
    @pytest.fixture
    def log(self, ungrouped_log: JetStreamLog) -> Log:
        return ungrouped_log

    @given_steps(max_examples=5)
    async def test_any_sequence_of_calls(self, log: Log, steps: list[tuple[str, object]]) -> None:
        await check_steps(log, steps)


# The stream


async def test_connecting_again_finds_the_same_log(
    jetstream_log: JetStreamLog, raft_group: RaftAddress, stream_name: str
) -> None:
    await append(jetstream_log, b"x")
    again = await connect(raft_group, stream_name)
    assert positions(await read(again.reader(0), 1)) == [GROUP_ROOM]
    await again.close()


async def test_several_processes_may_make_the_stream_at_once(
    raft_group: RaftAddress, stream_name: str
) -> None:
    logs = await asyncio.gather(*(connect(raft_group, stream_name) for _ in range(4)))
    assert await asyncio.gather(*(append(log, b"x") for log in logs))
    for log in logs:
        await log.close()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_replicas": 1}, "num_replicas is 1 instead of 3"),
        ({"deny_delete": False}, "deny_delete is False instead of True"),
        ({"deny_purge": False}, "deny_purge is False instead of True"),
        ({"allow_msg_ttl": None}, "allow_msg_ttl is False instead of True"),
        ({"storage": api.StorageType.MEMORY}, "storage is 'memory' instead of 'file'"),
        ({"max_msgs": 10}, "max_msgs is 10 instead of -1"),
        ({"max_age": 3600}, "max_age is 3600.0 instead of 0"),
        ({"duplicate_window": 1}, "duplicate_window is 1.0 instead of 120.0"),
    ],
)
async def test_a_stream_with_unsafe_settings_is_refused(
    admin: JetStreamContext,
    raft_group: RaftAddress,
    stream_name: str,
    changes: dict[str, object],
    named: str,
) -> None:
    await admin.add_stream(replace(stream_config(stream_name, 3), **changes))  # type: ignore[arg-type]
    with pytest.raises(StreamMismatch) as caught:
        await connect(raft_group, stream_name)
    assert named in str(caught.value)
    assert stream_name in str(caught.value)


async def test_a_name_that_is_no_stream_is_refused(raft_group: RaftAddress) -> None:
    with pytest.raises(ValueError, match="a stream's name"):
        await connect(raft_group, "a.b")


async def test_more_replicas_than_servers_is_refused_in_time(
    raft_group: RaftAddress, stream_name: str
) -> None:
    with pytest.raises(LogError, match=r"replicas|peers|ready"):
        await connect(raft_group, stream_name, replicas=5, timeout=1)


# What must never be in the log


async def test_an_unknown_subject_is_corrupt(
    jetstream_log: JetStreamLog, admin: JetStreamContext, stream_name: str
) -> None:
    await append(jetstream_log, b"x")
    config = stream_config(stream_name, 3)
    subjects = [*(config.subjects or ()), f"{stream_name}.foreign"]
    await admin.update_stream(replace(config, subjects=subjects))

    async def published() -> bool:
        try:
            await admin.publish(f"{stream_name}.foreign", b"y")
        except nats.js.errors.NoStreamResponseError:
            return False  # our server has not heard of the new subject yet
        return True

    await eventually(published)
    reader = jetstream_log.reader(0)
    assert positions(await reader.next_batch(1, timeout=TIMEOUT_S)) == [GROUP_ROOM]
    with pytest.raises(LogCorrupt, match=r"position 200 has the unknown subject .*foreign"):
        await reader.next_batch(timeout=TIMEOUT_S)
    with pytest.raises(LogCorrupt, match="position 200"):
        await jetstream_log.entry_at(200)


async def test_a_stream_made_anew_is_another_log(
    jetstream_log: JetStreamLog,
    admin: JetStreamContext,
    raft_group: RaftAddress,
    stream_name: str,
) -> None:
    for _ in range(3):
        await append(jetstream_log, b"x")
    reader = jetstream_log.reader(0)
    await read(reader, 3)
    await admin.delete_stream(stream_name)
    another = await connect(raft_group, stream_name)
    for _ in range(5):
        await append(another, b"another")
    await another.close()
    with pytest.raises(LogCorrupt, match="made anew"):
        await reader.next_batch(timeout=TIMEOUT_S)


# Appends and barriers


async def test_an_id_that_another_connection_used_is_known(
    jetstream_log: JetStreamLog, raft_group: RaftAddress, stream_name: str
) -> None:
    other = await connect(raft_group, stream_name)
    message_id = new_id()
    got = await asyncio.gather(
        *(log.append(message_id, b"x", timeout=TIMEOUT_S) for log in (jetstream_log, other) * 4)
    )
    assert set(got) == {GROUP_ROOM}
    assert (await other.status()).last_position == GROUP_ROOM
    await other.close()


@pytest.mark.parametrize("message_id", ["", "x" * 1000, "ключ"])
async def test_a_senseless_message_id_is_refused(
    jetstream_log: JetStreamLog, message_id: str
) -> None:
    with pytest.raises(ValueError, match="message id"):
        await jetstream_log.append(message_id, b"x", timeout=1)


async def test_a_timeout_beyond_the_duplicate_window_is_refused(
    jetstream_log: JetStreamLog,
) -> None:
    with pytest.raises(ValueError, match="timeout is at most 60 s"):
        await jetstream_log.append(new_id(), b"x", timeout=61)


async def test_a_barrier_expires_and_its_position_stays_used(
    raft_group: RaftAddress, stream_name: str
) -> None:
    log = await connect(raft_group, stream_name, barrier_ttl_s=1)
    position = await append(log, b"x")
    barrier = await log.barrier(timeout=TIMEOUT_S)
    assert await log.entry_at(barrier) is not None

    async def expired() -> bool:
        return await log.entry_at(barrier) is None

    await eventually(expired)
    assert positions(await read(log.reader(0), 1)) == [position]
    assert await append(log, b"y") > barrier
    reader = log.reader(barrier)
    assert all(entry.position > barrier for entry in await read(reader, 1))
    await log.close()


async def test_the_status_tells_the_term(jetstream_log: JetStreamLog) -> None:
    status = await jetstream_log.status()
    assert status.term is not None
    assert status.term >= 1
    assert len(status.members) == 3


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
    for number in range(1, 4):
        await append(jetstream_log, b"x")
        assert positions(await read(reader, 1)) == [number * GROUP_ROOM]
        await delete_consumers(admin, stream_name)


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
    reader = jetstream_log.reader(0)
    await append(jetstream_log, b"1")
    await read(reader, 1)
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
    reader = jetstream_log.reader(0)
    await append(jetstream_log, b"x")
    await read(reader, 1)
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
