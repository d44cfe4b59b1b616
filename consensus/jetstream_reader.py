"""Reading the stream in order from one position on, through every failure of a server.

A task follows one consumer after another, each made behind the last entry received, and
reads from the replicas directly while none can be made. Must never return an entry twice,
skip one, or buffer without bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from consensus.jetstream_connection import Connection, is_transient
from consensus.jetstream_consumer import PULL_MESSAGES, PullConsumer
from consensus.jetstream_direct import read_directly
from consensus.jetstream_layout import Layout
from consensus.log import (
    MAX_BATCH_BYTES,
    Entry,
    LogCorrupt,
    LogError,
    LogUnavailable,
)

logger = logging.getLogger(__name__)

_QUICK_TIMEOUT_S: Final = 1.0
"""How long a question to the JetStream API waits. Questions are lost while there is no
leader, and the reader should be back soon after there is one."""
_SLOW_TIMEOUT_S: Final = 5.0
_QUICK_ATTEMPTS: Final = 20
"""After so many failures in a row the group may only be slow, and is given more time."""

_DIRECT_POLL_S: Final = 0.05
"""How often the replicas are asked directly while a consumer is not to be had."""

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.25

_STREAM_GONE_S: Final = 15.0
"""A stream that the servers do not know for this long is gone; shorter, they are starting."""


class JetStreamReader:
    """A `LogReader`: a task fills a bounded buffer, `next_batch` takes from it."""

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        after: int,
        *,
        created: datetime | None,
        barrier: Callable[[], Awaitable[int]],
        on_close: Callable[[JetStreamReader], None],
    ) -> None:
        if after < 0:
            raise ValueError("a position is never negative")
        self._connection = connection
        self._layout = layout
        self._stream = layout.stream
        self._created = created
        self._barrier = barrier
        self._on_close = on_close
        self._received = after
        """The last position that was buffered or returned."""
        self._last: tuple[int, datetime] | None = None
        """Position and time of the last entry received: proves which log this is."""
        self._buffer: deque[Entry] = deque()
        self._buffered_bytes = 0
        self._news = asyncio.Event()
        """Set while the buffer has entries, and for ever once the reader has ended."""
        self._task: asyncio.Task[None] | None = None
        self._consumer: PullConsumer | None = None
        self._failures = 0
        """Attempts in a row that brought no consumer."""
        self._failure: BaseException | None = None
        self._closed = False

    async def next_batch(
        self, max_entries: int = 1000, timeout: float | None = None
    ) -> Sequence[Entry]:
        """See `consensus.log.LogReader`."""
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
        if self._consumer is not None:
            self._consumer.give_up("the connection changed")

    # The buffer

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
        if self._consumer is not None and self._consumer.is_idle and self._has_room():
            self._consumer.stir()
        return batch

    def _has_room(self) -> bool:
        """Whether one more request may be answered: the buffer holds two answers at most."""
        return len(self._buffer) <= PULL_MESSAGES and self._buffered_bytes <= MAX_BATCH_BYTES

    def _accept(self, entry: Entry) -> None:
        self._received = entry.position
        self._last = (entry.position, entry.time)
        self._buffer.append(entry)
        self._buffered_bytes += len(entry.data)
        self._news.set()

    # The task

    async def _run(self) -> None:
        """Follow one consumer after another until this reader fails or is closed."""
        clock = asyncio.get_running_loop().time
        pause = _FIRST_PAUSE_S
        unknown_since: float | None = None
        while True:
            before = self._received
            try:
                reason = await self._follow()
                unknown_since = None
            except nats.js.errors.NotFoundError as error:
                unknown_since = unknown_since or clock()
                if clock() - unknown_since > _STREAM_GONE_S:
                    raise LogCorrupt(f"the stream {self._stream!r} is gone") from error
                reason = str(error)
            except LogUnavailable as error:
                reason = str(error)
            except nats.errors.Error as error:
                if not is_transient(error):
                    raise LogError(f"the servers refuse to be read: {error}") from error
                reason = str(error) or type(error).__name__
            logger.info("reader of %s: anew behind %d: %s", self._stream, before, reason)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S) if self._failures else _FIRST_PAUSE_S

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """Whatever ended the task is the caller's to see."""
        if not task.cancelled():
            self._failure = task.exception()
            self._news.set()

    async def _follow(self) -> str:
        """Make a consumer and follow it; why it ended."""
        await self._connection.wait_up()
        self._failures += 1
        consumer = PullConsumer(
            self._connection.client,
            self._layout,
            accept=self._accept,
            has_room=self._has_room,
        )
        # From here on a change of the connection ends it.
        self._consumer = consumer
        try:
            name = await self._make(consumer)
            self._failures = 0
            return await consumer.follow(name, skip_to=self._received)
        finally:
            self._consumer = None

    async def _make(self, consumer: PullConsumer) -> str:
        """Check the log and make the consumer; read directly as long as that takes."""
        making = asyncio.create_task(self._check_and_make(consumer))
        try:
            await asyncio.wait({making}, timeout=_DIRECT_POLL_S)
            while not making.done() or making.exception() is not None:
                await self._read_directly()
                if making.done():
                    break
                await asyncio.wait({making}, timeout=_DIRECT_POLL_S)
            return await making
        finally:
            making.cancel()

    async def _read_directly(self) -> None:
        client = self._connection.client
        if self._last is None or not self._has_room() or not client.is_connected:
            return
        for entry in await read_directly(
            client, self._layout, self._last, timeout=_QUICK_TIMEOUT_S
        ):
            self._accept(entry)

    async def _check_and_make(self, consumer: PullConsumer) -> str:
        quick = self._failures <= _QUICK_ATTEMPTS
        timeout = _QUICK_TIMEOUT_S if quick else _SLOW_TIMEOUT_S
        jetstream = self._connection.jetstream(timeout)
        await self._check_not_truncated(jetstream)
        return await consumer.make(jetstream, after=self._received)

    async def _check_not_truncated(self, jetstream: JetStreamContext) -> None:
        """Raise LogCorrupt if the log lost what was read from it, or is another one."""
        info = await jetstream.stream_info(self._stream)
        if self._created is not None and info.created != self._created:
            raise LogCorrupt(
                f"the stream {self._stream!r} was made anew at {info.created}: it is another log"
            )
        received = self._received
        if self._layout.position(info.state.last_seq) >= received:
            return
        # A leader that was just elected may not have applied all that is committed; a
        # barrier is behind everything that is.
        end = await self._barrier() - self._layout.room
        if end < received:
            raise LogCorrupt(
                f"the log ends at position {end}, but position {received} was read from it before"
            )
