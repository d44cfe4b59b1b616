"""The JetStream adapter on a real Raft group that nothing happens to."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import nats
import nats.errors
import nats.js.errors
import pytest
from nats.js import JetStreamContext, api

from consensus.jetstream import JetStreamLog
from consensus.jetstream_layout import GROUP_ROOM
from consensus.jetstream_stream import StreamMismatch, stream_config
from consensus.log import Log, LogCorrupt, LogError
from tests.consensus.conftest import connect
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


class TestJetStreamLog(LogContract):
    step = GROUP_ROOM

    @pytest.fixture
    def log(self, jetstream_log: JetStreamLog) -> Log:
        return jetstream_log

    @given_steps(max_examples=20)
    async def test_any_sequence_of_calls(self, log: Log, steps: list[tuple[str, object]]) -> None:
        await check_steps(log, steps)


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
        (
            {"retention": api.RetentionPolicy.INTEREST},
            "retention is 'interest' instead of 'limits'",
        ),
        ({"discard": api.DiscardPolicy.OLD}, "discard is 'old' instead of 'new'"),
        ({"max_msgs": 10}, "max_msgs is 10 instead of -1"),
        ({"max_bytes": 10_000_000}, "max_bytes is 10000000 instead of -1"),
        ({"max_msgs_per_subject": 10}, "max_msgs_per_subject is 10 instead of -1"),
        ({"max_msg_size": 10}, "max_msg_size is 10 instead of 8388608"),
        ({"no_ack": True}, "no_ack is True instead of False"),
        ({"sources": [api.StreamSource(name="another")]}, "sources is set"),
        ({"republish": api.RePublish(src=">", dest="copy.>")}, "republish is set"),
        (
            {"subject_transform": api.SubjectTransform(src="x", dest="y")},
            "subject_transform is set",
        ),
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


async def test_a_stream_that_takes_in_what_is_not_ours_is_refused(
    admin: JetStreamContext, raft_group: RaftAddress, stream_name: str
) -> None:
    config = stream_config(stream_name, 3)
    assert config.subjects is not None
    await admin.add_stream(replace(config, subjects=[*config.subjects, f"{stream_name}.other"]))
    with pytest.raises(StreamMismatch, match="subjects is"):
        await connect(raft_group, stream_name)


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
