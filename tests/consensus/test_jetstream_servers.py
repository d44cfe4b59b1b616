"""What the death of servers does to the adapter: each test kills members of its own group.

Method: writers and a reader work all the time; at the end every acknowledged append was
read exactly once, at its position, and nothing was read that was reported as not appended.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import nats.errors
import pytest

from app.embedded.raft import RaftGroup
from consensus.jetstream import JetStreamLog
from consensus.jetstream_layout import GROUP_ROOM
from consensus.jetstream_monitor import _holding_at
from consensus.log import AppendOutcomeUnknown, LogStatus, LogUnavailable
from tests.consensus.contract import eventually, new_id, positions, read

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

TIMEOUT_S = 45.0
WRITERS = 8
STREAM = "log"
ALL = (0, 1, 2)


@pytest.fixture
async def log(private_raft_group: RaftGroup) -> AsyncIterator[JetStreamLog]:
    log = await connect(private_raft_group)
    yield log
    await log.close()


async def connect(group: RaftGroup, *, barrier_ttl_s: int = 60) -> JetStreamLog:
    return await JetStreamLog.connect(
        group.url.split(","),
        STREAM,
        monitor_urls=group.monitor_urls,
        timeout=TIMEOUT_S,
        barrier_ttl_s=barrier_ttl_s,
    )


@dataclass
class Load:
    """Writers and a reader on one log. Leaving the context checks what they saw."""

    log: JetStreamLog
    acknowledged: dict[bytes, int] = field(default_factory=dict)
    unknown: set[bytes] = field(default_factory=set)
    refused: set[bytes] = field(default_factory=set)
    seen: list[tuple[int, bytes]] = field(default_factory=list)
    _stopping: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._write()) for _ in range(WRITERS)]
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._stopping = True
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.gather(*self._tasks)
                if kind is None:
                    await self._check()
        finally:
            self._reading.cancel()

    async def progress(self, appends: int = 50) -> None:
        """Wait until so many more appends are acknowledged and read."""
        goal = len(self.acknowledged) + appends
        async with asyncio.timeout(TIMEOUT_S), self._progress:
            await self._progress.wait_for(lambda: self._done() >= goal)

    def _done(self) -> int:
        return min(len(self.acknowledged), len(self.seen))

    async def _write(self) -> None:
        while not self._stopping:
            data = new_id().encode()
            try:
                self.acknowledged[data] = await self.log.append(
                    data.decode(), data, timeout=TIMEOUT_S
                )
            except AppendOutcomeUnknown:
                self.unknown.add(data)
            except LogUnavailable:
                self.refused.add(data)
            async with self._progress:
                self._progress.notify_all()

    async def _read(self) -> None:
        reader = self.log.reader(0)
        while True:
            batch = await reader.next_batch()
            self.seen.extend((entry.position, entry.data) for entry in batch)
            async with self._progress:
                self._progress.notify_all()

    async def _check(self) -> None:
        last = await self.log.barrier(timeout=TIMEOUT_S)
        async with self._progress:
            await self._progress.wait_for(lambda: self.seen[-1][0] >= last)
        places = [position for position, _ in self.seen]
        assert places == sorted(set(places))
        found = {data: position for position, data in self.seen if data}
        assert len(found) == sum(1 for _, data in self.seen if data), "an entry came twice"
        lost = self.acknowledged.items() - found.items()
        assert not lost, f"lost or moved: {lost}"
        assert found.keys() <= self.acknowledged.keys() | self.unknown
        assert not found.keys() & self.refused


async def healthy(log: JetStreamLog) -> LogStatus:
    """Wait until the group has a leader and every member has caught up."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                status = await log.status()
            except LogUnavailable:
                continue
            if status.leader and all(member.online and member.current for member in status.members):
                return status
            await asyncio.sleep(0.1)


def connected_member(group: RaftGroup, log: JetStreamLog) -> int:
    url = log._connection.client.connected_url
    assert url is not None
    return next(i for i in ALL if group.member_url(i).endswith(f":{url.port}"))


async def is_offline(log: JetStreamLog, name: str) -> bool:
    members = {member.name: member for member in (await log.status()).members}
    return not members[name].online and not members[name].current


async def is_disconnected(log: JetStreamLog) -> bool:
    return not log._connection.is_up


async def is_expired(log: JetStreamLog, barrier: int) -> bool:
    """Asked without `entry_at`, which would append another barrier."""
    return await log._message_at(barrier) is None


async def is_lacking(log: JetStreamLog, expected: dict[str, int]) -> bool:
    """Known once that server has come to the last message."""
    return await log.lacking() == expected


async def leads(log: JetStreamLog, name: str) -> bool:
    """Whether it leads the stream; if not, it is asked to."""
    if (await log.status()).leader == name:
        return True
    body = json.dumps({"placement": {"preferred": name}}).encode()
    with suppress(nats.errors.Error):
        await log._connection.client.request(
            f"$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}", body, timeout=1
        )
    return False


async def holds(group: RaftGroup, member: int, messages: int) -> bool:
    found = _holding_at(group.monitor_urls[member], "$G", STREAM)
    return found is not None and found.messages == messages


async def test_the_connected_server_and_then_the_leader_are_killed(
    private_raft_group: RaftGroup, log: JetStreamLog
) -> None:
    group = private_raft_group
    async with Load(log) as load:
        await load.progress()
        victim = connected_member(group, log)
        group.kill_member(victim)
        await load.progress()
        group.start_member(victim)
        before = await healthy(log)
        assert before.leader is not None
        victim = group.names.index(before.leader)
        group.kill_member(victim)
        await load.progress()
        await eventually(partial(is_offline, log, before.leader))
        during = await log.status()
        assert during.leader not in {None, before.leader}
        assert (during.term or 0) > (before.term or 0)
        group.start_member(victim)
        await healthy(log)
        await load.progress()
    assert not load.refused
    assert not load.unknown


async def test_a_frozen_server_is_left(private_raft_group: RaftGroup, log: JetStreamLog) -> None:
    async with Load(log) as load:
        await load.progress()
        victim = connected_member(private_raft_group, log)
        private_raft_group.pause_member(victim)
        await load.progress()
        private_raft_group.resume_member(victim)
        await healthy(log)
        await load.progress()


async def test_without_a_quorum_nothing_is_acknowledged_and_all_resumes(
    private_raft_group: RaftGroup, log: JetStreamLog
) -> None:
    group = private_raft_group
    async with Load(log) as load:
        await load.progress()
        status = await healthy(log)
        reader = log.reader(status.last_position)
        # With the leader: one that is left alone leads and answers reads for some seconds more.
        leader = group.names.index(status.leader or "")
        victims, survivor = (leader, (leader + 1) % 3), (leader + 2) % 3
        for victim in victims:
            group.kill_member(victim)
        acknowledged = len(load.acknowledged)
        with pytest.raises((LogUnavailable, AppendOutcomeUnknown)):
            await log.append(new_id(), b"", timeout=2)
        with pytest.raises(LogUnavailable):
            await log.barrier(timeout=1)
        with pytest.raises(LogUnavailable):
            await log.entry_at(1)
        lonely = await log.status()
        assert lonely.leader is None
        online = [member.name for member in lonely.members if member.online]
        assert online == [group.names[survivor]]
        # What had been committed before the kill may have been acknowledged after it.
        assert len(load.acknowledged) <= acknowledged + WRITERS
        for victim in victims:
            group.start_member(victim)
        await load.progress()
        assert await read(reader, 1)


async def test_a_server_that_has_lost_a_part_of_the_log_is_named(
    private_raft_group: RaftGroup, log: JetStreamLog, short_path: Path
) -> None:
    """It calls itself current, and what it tells as a leader is not the log."""
    for _ in range(20):
        await log.append(new_id(), b"x", timeout=TIMEOUT_S)
    assert await log.lacking() == {}
    leader = (await log.status()).leader
    member = next(index for index in ALL if private_raft_group.names[index] != leader)
    name = private_raft_group.names[member]
    files = short_path / "raft" / name / "jetstream"

    private_raft_group.stop_member(member)
    for block in files.glob(f"$G/streams/{STREAM}/msgs/*.blk"):
        block.unlink()
    private_raft_group.start_member(member)
    private_raft_group.wait_for_member(member)
    await log.append(new_id(), b"x", timeout=TIMEOUT_S)
    await eventually(partial(is_lacking, log, {name: 20}))
    # As the leader it is the measure itself; what was read from the log before is another one.
    await eventually(partial(leads, log, name))
    assert await log.lacking() == {}
    assert await log.lacking(recorded=20) == {name: 19}

    private_raft_group.stop_member(member)
    shutil.rmtree(files)
    private_raft_group.start_member(member)
    private_raft_group.wait_for_member(member)
    await log.append(new_id(), b"x", timeout=TIMEOUT_S)
    await eventually(partial(holds, private_raft_group, member, 22))
    assert await log.lacking() == {}


async def test_everything_is_killed_at_once(
    private_raft_group: RaftGroup, log: JetStreamLog
) -> None:
    async with Load(log) as load:
        for _ in range(2):
            await load.progress()
            for member in ALL:
                private_raft_group.kill_member(member)
            for member in ALL:
                private_raft_group.start_member(member)
        await load.progress()
    assert not load.refused


async def test_without_any_server_it_is_certain_that_nothing_was_appended(
    private_raft_group: RaftGroup, log: JetStreamLog
) -> None:
    for member in ALL:
        private_raft_group.kill_member(member)
    await eventually(partial(is_disconnected, log))
    message_id = new_id()
    with pytest.raises(LogUnavailable):
        await log.append(message_id, b"x", timeout=0.5)
    with pytest.raises(LogUnavailable):
        await log.status()
    for member in ALL:
        private_raft_group.start_member(member)
    assert await log.append(message_id, b"x", timeout=TIMEOUT_S) == GROUP_ROOM


async def test_expired_barriers_keep_their_positions_over_the_death_of_all(
    private_raft_group: RaftGroup,
) -> None:
    log = await connect(private_raft_group, barrier_ttl_s=1)
    await log.append(new_id(), b"x", timeout=TIMEOUT_S)
    barrier = max([await log.barrier(timeout=TIMEOUT_S) for _ in range(5)])
    await eventually(partial(is_expired, log, barrier))
    reader = log.reader(barrier)
    waiting = asyncio.create_task(reader.next_batch())
    for member in ALL:
        private_raft_group.kill_member(member)
    for member in ALL:
        private_raft_group.start_member(member)
    position = await log.append(new_id(), b"y", timeout=TIMEOUT_S)
    assert position > barrier
    async with asyncio.timeout(TIMEOUT_S):
        assert positions(await waiting) == [position]
    await log.close()


async def test_large_appends_to_servers_that_are_frozen_end_with_their_time(
    log: JetStreamLog, private_raft_group: RaftGroup
) -> None:
    # More at once than the client holds back for a socket that nobody reads.
    large = b"x" * (log.max_entry_bytes * 3 // 4)
    for member in ALL:
        private_raft_group.pause_member(member)
    try:
        async with asyncio.timeout(10):
            ends = await asyncio.gather(
                *(log.append(new_id(), large, timeout=2.0) for _ in range(6)),
                return_exceptions=True,
            )
    finally:
        for member in ALL:
            private_raft_group.resume_member(member)
    assert {type(end) for end in ends} <= {AppendOutcomeUnknown, LogUnavailable}
    assert await log.append(new_id(), b"x", timeout=TIMEOUT_S)
