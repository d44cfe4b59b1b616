"""Reading the stream in order from one position on, through every failure of a server.

A pull consumer without acknowledgements, one request at a time, made anew behind the last
entry received as soon as anything is in doubt. Must never return an entry twice, skip one,
or buffer without bound.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from consensus.jetstream_connection import Connection, is_transient
from consensus.jetstream_delivery import parse_delivery
from consensus.jetstream_stream import subject_of
from consensus.log import MAX_BATCH_BYTES, Entry, EntryKind, LogCorrupt, LogError, LogUnavailable

logger = logging.getLogger(__name__)

_API: Final = api.DEFAULT_PREFIX
_PULL_ENTRIES: Final = 1000
_PULL_EXPIRES_S: Final = 20.0
_HEARTBEAT_S: Final = 0.5
_MISSED_HEARTBEATS: Final = 3
"""A consumer that is silent for this many heartbeats is given up: 1.5 to 2 s."""

_INACTIVE_S: Final = 30.0
"""The servers drop a consumer that nobody pulls from for this long."""

_STREAM_GONE_S: Final = 15.0
"""A stream that the servers do not know for this long is gone; shorter, they are starting."""

_QUICK_TIMEOUT_S: Final = 1.0
"""How long a question to the JetStream API waits. Questions are lost while there is no
leader, and the reader should be back soon after there is one."""
_SLOW_TIMEOUT_S: Final = 5.0
_QUICK_ATTEMPTS: Final = 20
"""After so many failures in a row the group may only be slow, and is given more time."""

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.25


class JetStreamReader:
    """A `LogReader`: a task fills a bounded buffer, `next_batch` takes from it."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        after: int,
        *,
        created: datetime | None,
        barrier: Callable[[], Awaitable[int]],
        on_close: Callable[[JetStreamReader], None],
    ) -> None:
        if after < 0:
            raise ValueError("a position is never negative")
        self._connection = connection
        self._stream = stream
        self._kinds = {subject_of(stream, kind): kind for kind in EntryKind}
        self._created = created
        self._barrier = barrier
        self._on_close = on_close
        self._received = after
        """The last position that was buffered or returned; the next consumer starts behind."""
        self._buffer: deque[Entry] = deque()
        self._buffered_bytes = 0
        self._news = asyncio.Event()
        """Set when the buffer has entries, or the reader has ended."""
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._failure: BaseException | None = None
        # Of the current consumer:
        self._inbox = ""
        self._pull_number = 0
        self._wanted = 0
        """Messages that the open pull request may still bring; 0: none is open."""
        self._consumer_sequence = 0
        self._attempts = 0
        """Failures in a row to get a consumer."""
        self._broken = ""
        """Why the consumer must be made anew."""
        self._stir = asyncio.Event()
        """Set for the task: the consumer broke, a request ended, or there is room again."""
        self._heard = False

    async def next_batch(
        self, max_entries: int = 1000, timeout: float | None = None
    ) -> Sequence[Entry]:
        """See `consensus.log.LogReader`. Not for two callers at the same time."""
        if max_entries < 1:
            raise ValueError("max_entries must be at least 1")
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run(), name=f"reader of {self._stream}")
            self._task.add_done_callback(self._on_end)
        if not self._buffer and timeout != 0:
            try:
                async with asyncio.timeout(timeout):
                    await self._news.wait()
            except TimeoutError:
                pass
        return self._take(max_entries)

    async def close(self) -> None:
        """Release the consumer; a waiting `next_batch` raises LogUnavailable. Idempotent."""
        self._closed = True
        self._news.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._on_close(self)

    def connection_changed(self) -> None:
        """The connection was lost or made: what was on its way may be lost."""
        self._break("the connection changed")

    def _take(self, max_entries: int) -> list[Entry]:
        if self._closed:
            raise LogUnavailable("the reader is closed")
        batch: list[Entry] = []
        size = 0
        while self._buffer and len(batch) < max_entries:
            size += len(self._buffer[0].data)
            if batch and size > MAX_BATCH_BYTES:
                break
            entry = self._buffer.popleft()
            self._buffered_bytes -= len(entry.data)
            batch.append(entry)
        if not batch and self._failure is not None:
            raise self._failure
        if not self._buffer and self._failure is None:
            self._news.clear()
        if self._wanted == 0 and self._has_room():
            self._stir.set()
        return batch

    def _has_room(self) -> bool:
        return len(self._buffer) <= _PULL_ENTRIES and self._buffered_bytes <= MAX_BATCH_BYTES

    # The task

    async def _run(self) -> None:
        """Follow one consumer after another until this reader fails or is closed."""
        clock = asyncio.get_running_loop().time
        pause = _FIRST_PAUSE_S
        unknown_since: float | None = None
        while self._failure is None:
            before = self._received
            try:
                await self._follow()
                unknown_since = None
            except nats.js.errors.NotFoundError as error:
                unknown_since = unknown_since or clock()
                if clock() - unknown_since > _STREAM_GONE_S:
                    raise LogCorrupt(f"the stream {self._stream!r} is gone") from error
                self._broken = str(error)
            except (nats.errors.Error, LogUnavailable) as error:
                if isinstance(error, nats.errors.Error) and not is_transient(error):
                    raise LogError(f"the servers refuse to be read: {error}") from error
                self._broken = str(error) or type(error).__name__
            logger.info("reader of %s: anew behind %d: %s", self._stream, before, self._broken)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S) if self._attempts else _FIRST_PAUSE_S

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """Whatever ended the task is the caller's to see."""
        if not task.cancelled() and task.exception() is not None:
            self._fail(task.exception())

    def _fail(self, error: BaseException | None) -> None:
        self._failure = self._failure or error
        self._break("failed")
        self._news.set()

    async def _follow(self) -> None:
        """Make a consumer and pull from it until it breaks."""
        await self._connection.wait_up()
        self._broken = ""
        self._wanted = self._consumer_sequence = 0
        self._stir.clear()
        self._attempts += 1
        await self._check_not_truncated()
        client = self._connection.client
        self._inbox = client.new_inbox()
        subscription = await client.subscribe(f"{self._inbox}.*", cb=self._on_message)
        consumer = ""
        try:
            consumer = await self._make_consumer()
            self._attempts = 0
            while not self._broken:
                if self._wanted == 0 and self._has_room():
                    await self._pull(client, consumer)
                await self._wait_while_alive()
        finally:
            # A late message of this consumer must not be taken for one of the next.
            self._inbox = ""
            self._wanted = 0
            if not client.is_closed:
                await subscription.unsubscribe()
            if consumer and client.is_connected:
                # Frees it at once. Nobody waits for the answer: without this request the
                # servers do it after _INACTIVE_S.
                await client.publish(f"{_API}.CONSUMER.DELETE.{self._stream}.{consumer}")

    async def _check_not_truncated(self) -> None:
        """Raise LogCorrupt if the log lost what was read from it, or is another one."""
        info = await self._jetstream().stream_info(self._stream)
        if self._created is not None and info.created != self._created:
            raise LogCorrupt(
                f"the stream {self._stream!r} was made anew at {info.created}: it is another log"
            )
        if info.state.last_seq >= self._received:
            return
        # A leader that was just elected may not have applied all that is committed; a
        # barrier is behind everything that is.
        position = await self._barrier()
        if position <= self._received:
            raise LogCorrupt(
                f"the log ends at position {position - 1}, but position {self._received} "
                "was read from it before"
            )

    def _jetstream(self) -> JetStreamContext:
        quick = self._attempts <= _QUICK_ATTEMPTS
        return self._connection.jetstream(_QUICK_TIMEOUT_S if quick else _SLOW_TIMEOUT_S)

    async def _make_consumer(self) -> str:
        info = await self._jetstream().add_consumer(
            self._stream,
            api.ConsumerConfig(
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._received + 1,
                ack_policy=api.AckPolicy.NONE,
                inactive_threshold=_INACTIVE_S,
                num_replicas=1,
                mem_storage=True,
            ),
        )
        return info.name

    async def _pull(self, client: Client, consumer: str) -> None:
        self._pull_number += 1
        self._wanted = _PULL_ENTRIES
        request = {
            "batch": _PULL_ENTRIES,
            "max_bytes": MAX_BATCH_BYTES,
            "expires": int(_PULL_EXPIRES_S * 1e9),
            "idle_heartbeat": int(_HEARTBEAT_S * 1e9),
        }
        await client.publish(
            f"{_API}.CONSUMER.MSG.NEXT.{self._stream}.{consumer}",
            json.dumps(request).encode(),
            reply=f"{self._inbox}.{self._pull_number}",
        )

    async def _wait_while_alive(self) -> None:
        """Return when the task is stirred; break the consumer when it falls silent.

        Ticks are counted, not seconds: a loop that was blocked for long wakes with one
        late tick, and the heartbeats that came meanwhile are still in the socket.
        """
        missed = 0
        while not self._stir.is_set():
            self._heard = False
            try:
                async with asyncio.timeout(_HEARTBEAT_S):
                    await self._stir.wait()
            except TimeoutError:
                missed = 0 if self._heard or self._wanted == 0 else missed + 1
                if missed > _MISSED_HEARTBEATS:
                    self._break("its heartbeats stopped")
        self._stir.clear()

    # What the servers send

    async def _on_message(self, message: Msg) -> None:
        self._heard = True
        try:
            if message.reply.startswith("$JS.ACK."):
                self._on_entry(message)
            else:
                self._on_status(message)
        except LogCorrupt as error:
            self._fail(error)

    def _on_entry(self, message: Msg) -> None:
        if self._broken or not self._inbox or self._failure is not None:
            return
        delivery = parse_delivery(message.reply)
        if delivery.consumer_sequence != self._consumer_sequence + 1:
            self._break(f"a message was lost before position {delivery.position}")
            return
        if delivery.position <= self._received:
            raise LogCorrupt(f"position {delivery.position} came behind position {self._received}")
        kind = self._kinds.get(message.subject)
        if kind is None:
            raise LogCorrupt(
                f"position {delivery.position} has the unknown subject {message.subject!r}"
            )
        self._consumer_sequence = delivery.consumer_sequence
        self._received = delivery.position
        self._buffer.append(Entry(delivery.position, kind, message.data, delivery.time))
        self._buffered_bytes += len(message.data)
        self._news.set()
        self._wanted -= 1
        if self._wanted == 0:
            self._stir.set()

    def _on_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status, text = headers.get("Status", ""), headers.get("Description", "")
        current = message.subject == f"{self._inbox}.{self._pull_number}"
        if status == "100" or not current or text.lower().startswith("batch completed"):
            return
        ended = status == "408" or text.lower().startswith("message size exceeds")
        if not ended:
            self._break(f"{status} {text}".strip())
        elif int(headers.get("Nats-Pending-Messages", self._wanted)) != self._wanted:
            self._break("a message was lost")
        else:
            self._wanted = 0
            self._stir.set()

    def _break(self, reason: str) -> None:
        self._broken = self._broken or reason
        self._stir.set()
