"""The Raft log on NATS JetStream: one stream with three replicas.

The servers do the consensus; this adapter only asks. Must never report an append as
failed when it may have happened, nor as done before a quorum has it. Durability also
needs `sync_interval: always` on every server, which a client cannot see or set.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import nats.errors
import nats.js.errors
from nats.js import api

from consensus.jetstream_connection import API_TIMEOUT_S, Connection, is_transient
from consensus.jetstream_group import GroupAppender
from consensus.jetstream_layout import Layout, subject_of
from consensus.jetstream_monitor import lacking, observe
from consensus.jetstream_publisher import Publisher
from consensus.jetstream_reader import JetStreamReader
from consensus.jetstream_stream import (
    HEADER_ROOM_BYTES,
    MAX_APPEND_TIMEOUT_S,
    MAX_ENTRY_BYTES,
    ensure_stream,
)
from consensus.log import (
    AppendOutcomeUnknown,
    Entry,
    EntryKind,
    EntryTooLarge,
    LogCorrupt,
    LogError,
    LogStatus,
    LogUnavailable,
    Member,
)

logger = logging.getLogger(__name__)

BARRIER_TTL_S: Final = 60
"""How long a barrier stays: longer than any request waits for one, so that a reader which
is late still meets it."""

_STATUS_TIMEOUT_S: Final = 5.0
_SILENT_S: Final = 3.0
"""A member that the leader did not hear for this long is offline; it hears each every second."""

_NO_MESSAGE_FOUND: Final = 10037
_PAUSE_S: Final = 0.1
_FIRST_QUESTION_S: Final = 0.25
"""A stream without a leader answers nothing, later neither: what was asked meanwhile is lost."""
_FIRST_TOLD_S: Final = 1.0
"""How long a group without a leader is waited for before that is told; then after twice as long
each."""
_DEFAULT_ACCOUNT: Final = "$G"


class JetStreamLog:
    """A `Log`. Made by `connect`, shared by all tasks of a process."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        info: api.StreamInfo,
        *,
        publisher: Publisher,
        account: str,
        monitor_urls: Sequence[str],
        barrier_ttl_s: int,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._info = info
        """The last one that a leader gave."""
        self._created: datetime | None = info.created
        self._publisher = publisher
        self._account = account
        self._monitor_urls = tuple(monitor_urls)
        self._barrier_headers = {"Nats-TTL": f"{barrier_ttl_s}s"}
        self._layout = Layout.of(stream, info.config.subjects)
        self._appender = GroupAppender(connection, publisher, self._layout)
        self._barrier_subject = subject_of(stream, EntryKind.BARRIER)
        self._readers: set[JetStreamReader] = set()
        connection.on_change.append(self._connection_changed)

    @classmethod
    async def connect(
        cls,
        servers: Sequence[str],
        stream: str,
        *,
        replicas: int = 3,
        monitor_urls: Sequence[str] = (),
        credentials: Path | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "guardian",
        timeout: float = 30.0,
        barrier_ttl_s: int = BARRIER_TTL_S,
    ) -> Self:
        """Connect, and make the stream if it is not there.

        `monitor_urls` are the servers' HTTP monitoring addresses, for `status` and `lacking`.
        Raises LogUnavailable when the group is not ready within `timeout` seconds, or at
        once when it refuses the credentials; StreamMismatch when the stream exists with
        settings that are not safe.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        connection = Connection(servers, name=name, credentials=credentials, tls=tls)
        publisher = Publisher(connection)
        await connection.open(timeout)
        try:
            info = await _await_stream(connection, stream, replicas, deadline)
            account = await _account_of(connection)
        except BaseException:
            await connection.close()
            raise
        return cls(
            connection,
            stream,
            info,
            publisher=publisher,
            account=account,
            monitor_urls=monitor_urls,
            barrier_ttl_s=barrier_ttl_s,
        )

    @property
    def position_step(self) -> int:
        """See `consensus.log.Log`."""
        return self._layout.room

    @property
    def max_entry_bytes(self) -> int:
        """The largest entry that the connected server accepts."""
        return min(MAX_ENTRY_BYTES, self._connection.client.max_payload - HEADER_ROOM_BYTES)

    async def append(self, message_id: str, data: bytes, *, timeout: float) -> int:
        """See `consensus.log.Log`. `timeout` is at most MAX_APPEND_TIMEOUT_S."""
        if not message_id or len(message_id) > HEADER_ROOM_BYTES // 2 or not message_id.isascii():
            raise ValueError(f"a message id is 1 to {HEADER_ROOM_BYTES // 2} ASCII characters")
        if timeout > MAX_APPEND_TIMEOUT_S:
            # Later retries could fall out of the duplicate window and append twice.
            raise ValueError(f"an append's timeout is at most {MAX_APPEND_TIMEOUT_S:g} s")
        if len(data) > self.max_entry_bytes:
            raise EntryTooLarge(
                f"an entry of {len(data)} bytes; the log accepts {self.max_entry_bytes}"
            )
        return await self._appender.append(message_id, data, timeout=timeout)

    async def barrier(self, *, timeout: float) -> int:
        """See `consensus.log.Log`."""
        try:
            # No Nats-Msg-Id: a retry may append a second barrier, which harms nobody, while
            # an id would fill the servers' duplicate window.
            sequence = await self._publisher.publish(
                self._barrier_subject, b"", self._barrier_headers, timeout=timeout
            )
        except AppendOutcomeUnknown as error:
            raise LogUnavailable(str(error)) from error
        return self._layout.position(sequence)

    def reader(self, after: int) -> JetStreamReader:
        """See `consensus.log.Log`."""
        if self._connection.is_closed:
            raise LogUnavailable("the connection to the log is closed")
        reader = JetStreamReader(
            self._connection,
            self._layout,
            after,
            created=self._created,
            barrier=lambda: self.barrier(timeout=_STATUS_TIMEOUT_S),
            on_close=self._readers.discard,
        )
        self._readers.add(reader)
        return reader

    async def entry_at(self, position: int) -> Entry | None:
        """See `consensus.log.Log`. Raises LogUnavailable."""
        if position < 1:
            return None
        try:
            message = await self._message_at(position)
            if message is None:
                # A leader that was just elected may not have applied all that is committed:
                # "not there" is believed only behind a barrier.
                await self.barrier(timeout=_STATUS_TIMEOUT_S)
                message = await self._message_at(position)
        except nats.errors.Error as error:
            raise LogUnavailable(f"position {position} cannot be read: {error}") from error
        if message is None:
            return None
        if message.time is None:
            raise LogCorrupt(f"position {position} has no time")
        entries = self._layout.entries(
            message.subject, self._layout.sequence(position), message.data or b"", message.time
        )
        return next((entry for entry in entries if entry.position == position), None)

    async def status(self) -> LogStatus:
        """See `consensus.log.Log`.

        Without a leader the members and positions are the last known, and a member is
        online if its monitoring port answers.
        """
        try:
            info = await self._connection.jetstream().stream_info(self._stream)
        except nats.errors.Error as error:
            if not self._connection.is_up or not self._monitor_urls:
                raise LogUnavailable(f"the Raft group does not answer: {error}") from error
            return await self._status_without_leader()
        self._info = info
        cluster = info.cluster or api.ClusterInfo()
        members = [_member(peer) for peer in cluster.replicas or ()]
        if cluster.leader:
            members.append(Member(cluster.leader, online=True, current=True, lag=0))
        observed = await observe(self._monitor_urls, self._account, cluster.raft_group)
        return self._status(info, cluster.leader or None, observed.term, members)

    async def lacking(self, recorded: int = 0) -> Mapping[str, int]:
        """See `consensus.log.Log`; by the monitoring ports."""
        try:
            info = await self._connection.jetstream().stream_info(self._stream, subjects_filter=">")
        except nats.errors.Error as error:
            raise LogUnavailable(f"the Raft group does not answer: {error}") from error
        subjects = info.state.subjects or {}
        held = sum(subjects.get(subject, 0) for subject in self._layout.change_subjects)
        return await lacking(
            self._monitor_urls,
            self._account,
            self._stream,
            kept=max(held, recorded),
            last=info.state.last_seq,
        )

    async def _status_without_leader(self) -> LogStatus:
        cluster = self._info.cluster or api.ClusterInfo()
        observed = await observe(self._monitor_urls, self._account, cluster.raft_group)
        names = [peer.name or "?" for peer in cluster.replicas or ()]
        names += [cluster.leader] if cluster.leader else []
        members = [
            Member(name, online=name in observed.alive, current=False, lag=0) for name in names
        ]
        return self._status(self._info, None, observed.term, members)

    def _status(
        self, info: api.StreamInfo, leader: str | None, term: int | None, members: list[Member]
    ) -> LogStatus:
        state, layout = info.state, self._layout
        return LogStatus(
            leader=leader,
            term=term,
            members=tuple(sorted(members, key=lambda member: member.name)),
            first_position=layout.first_position(state.first_seq) if state.messages else 0,
            last_position=layout.position(state.last_seq),
            position_step=layout.room,
            begins_at=layout.first_position(info.config.first_seq or 1),
        )

    async def close(self) -> None:
        """See `consensus.log.Log`. Closes its readers too."""
        await self._appender.close()
        for reader in list(self._readers):
            await reader.close()
        await self._connection.close()

    async def _message_at(self, position: int) -> api.RawStreamMsg | None:
        """Ask the leader: a follower may not have applied a committed entry yet."""
        try:
            return await self._connection.jetstream().get_msg(
                self._stream, self._layout.sequence(position)
            )
        except nats.js.errors.NotFoundError as error:
            if error.err_code != _NO_MESSAGE_FOUND:
                raise
            return None

    def _connection_changed(self) -> None:
        for reader in self._readers:
            reader.connection_changed()


def _member(peer: api.PeerInfo) -> Member:
    """A follower as the leader sees it.

    The engine leaves `current` true and `offline` false for a killed follower until there
    is something to replicate (measured); only the time since it was last heard tells.
    """
    heard_ns = peer.active or 0  # 0: never, since this leader was elected
    online = not peer.offline and 0 < heard_ns <= _SILENT_S * 1e9
    return Member(peer.name or "?", online, online and bool(peer.current), peer.lag or 0)


async def _account_of(connection: Connection) -> str:
    """The account of our user, which the monitoring ports want to know."""
    try:
        answer = await connection.client.request("$SYS.REQ.USER.INFO", timeout=API_TIMEOUT_S)
        return str(json.loads(answer.data)["data"]["account"])
    except (nats.errors.Error, KeyError, ValueError):
        return _DEFAULT_ACCOUNT  # the user may not ask, or the server is too old


async def _await_stream(
    connection: Connection, stream: str, replicas: int, deadline: float
) -> api.StreamInfo:
    """`ensure_stream`, asked again while the group elects its leaders."""
    loop = asyncio.get_running_loop()
    patience, pause = _FIRST_QUESTION_S, _FIRST_TOLD_S
    tell_at = loop.time() + pause
    while True:
        try:
            return await ensure_stream(connection.jetstream(patience), stream, replicas)
        except nats.errors.Error as error:
            if not is_transient(error):
                raise LogError(f"the servers refuse the stream {stream!r}: {error}") from error
            if loop.time() + _PAUSE_S >= deadline:
                raise LogUnavailable(f"the Raft group is not ready: {error}") from error
            if loop.time() >= tell_at:
                hosts = ", ".join(connection.servers)
                logger.warning("nats: %r at %s is not ready yet: %s", stream, hosts, error)
                pause *= 2
                tell_at = loop.time() + pause
        patience = min(2 * patience, API_TIMEOUT_S)
        await asyncio.sleep(_PAUSE_S)
