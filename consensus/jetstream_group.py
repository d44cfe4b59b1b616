"""Group commit: change sets that come while one message is under way go together in the next.

One Raft proposal of the engine costs far more than the bytes in it, so under load a message
carries as many entries as came meanwhile; an entry that comes alone goes alone and at once.
Must never tell a caller that nothing was appended once a message with its entry may have been
taken in, nor send such an entry in another message, nor send any once its callers' time is over:
they hold what it was checked against (the locks on schemas) no longer than that.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from typing import Final

from consensus.jetstream_connection import Connection
from consensus.jetstream_layout import (
    GROUP_ROOM,
    LENGTH_BYTES,
    Layout,
    encode_group,
    group_subject,
    subject_of,
)
from consensus.jetstream_publisher import FIRST_PAUSE_S, LONGEST_PAUSE_S, Publisher
from consensus.log import (
    AppendOutcomeUnknown,
    EntryKind,
    EntryTooLarge,
    LogUnavailable,
)

GROUP_BYTES: Final = 64 * 1024
"""A group takes no more: larger messages hold up the engine's heartbeats."""

_ALONE_BYTES: Final = GROUP_BYTES // 4
"""A larger entry goes by itself, beside the groups, so that it holds up nobody."""


_SPREAD_S: Final = 1.5
"""Entries whose times end further apart do not go together: the first end is the message's."""


class _Waiting:
    """One entry on its way, and all who asked for it."""

    __slots__ = ("callers", "data", "deadline", "message_id", "sent")

    def __init__(self, message_id: str, data: bytes) -> None:
        self.message_id = message_id
        self.data = data
        self.callers: list[asyncio.Future[int]] = []
        self.deadline = 0.0
        """The latest of its callers', by the loop's clock."""
        self.sent = False
        """A message that holds it may have been taken in."""

    @property
    def is_wanted(self) -> bool:
        return any(not caller.done() for caller in self.callers)

    def answer(self, position: int) -> None:
        for caller in self.callers:
            if not caller.done():
                caller.set_result(position)

    def fail(self, error: BaseException) -> None:
        for caller in self.callers:
            if not caller.done():
                caller.set_exception(error)

    def give_up(self, caller: asyncio.Future[int]) -> None:
        """The caller's time is over."""
        if caller.done():
            return
        if self.sent:
            caller.set_exception(AppendOutcomeUnknown("no confirmation in time"))
        else:
            caller.set_exception(LogUnavailable("nothing was appended in time"))


class GroupAppender:
    """Appends change sets in groups, one message at a time."""

    def __init__(self, connection: Connection, publisher: Publisher, layout: Layout) -> None:
        self._connection = connection
        self._publisher = publisher
        self._layout = layout
        self._one = subject_of(layout.stream, EntryKind.CHANGE)
        self._many = group_subject(layout.stream)
        self._queue: deque[_Waiting] = deque()
        self._by_id: dict[str, _Waiting] = {}
        self._group: list[_Waiting] = []
        """What is under way."""
        self._limit = GROUP_BYTES
        self._task: asyncio.Task[None] | None = None

    async def append(self, message_id: str, data: bytes, *, timeout: float) -> int:
        """See `consensus.log.Log`."""
        if not self._layout.groups or len(data) > _ALONE_BYTES:
            headers = {"Nats-Msg-Id": message_id}
            return self._layout.position(
                await self._publisher.publish(self._one, data, headers, timeout=timeout)
            )
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        waiting = self._by_id.get(message_id)
        if waiting is None:
            waiting = self._by_id[message_id] = _Waiting(message_id, data)
            self._queue.append(waiting)
        waiting.deadline = max(waiting.deadline, deadline)
        caller: asyncio.Future[int] = loop.create_future()
        waiting.callers.append(caller)
        if self._task is None:
            # In the loop's next turn, so that all that comes in this one goes together.
            self._task = asyncio.create_task(self._run(), name="group commit")
            self._task.add_done_callback(self._on_end)
        alarm = loop.call_at(deadline, waiting.give_up, caller)
        try:
            return await caller
        finally:
            alarm.cancel()

    async def close(self) -> None:
        """Whoever still waits is told what is certain. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Send group after group until nobody waits."""
        pause = FIRST_PAUSE_S
        while self._queue:
            deadline = max(waiting.deadline for waiting in self._queue)
            is_up = await self._connection.wait_up(deadline)
            if self._connection.is_closed:
                break
            # Behind the wait: who gave up meanwhile was told that nothing was appended.
            if not self._keep_wanted() or not is_up:
                continue
            self._take()
            if await self._send():
                pause = FIRST_PAUSE_S
            else:
                self._queue.extendleft(reversed(self._group))
                self._group = []
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
        # Here and not in _on_end, which comes a turn later: an append between would wait for ever.
        self._end(LogUnavailable("the connection to the log is closed"))

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """Whatever ended the task before its time is for all who wait to see."""
        if task.cancelled():
            self._end(LogUnavailable("the connection to the log is closed"))
        elif (error := task.exception()) is not None:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        for waiting in self._queue:
            waiting.fail(error)
        unknown = AppendOutcomeUnknown("the connection to the log was closed meanwhile")
        for waiting in self._group:
            waiting.fail(unknown if isinstance(error, LogUnavailable) else error)
        self._queue.clear()
        self._group = []
        self._by_id.clear()
        self._task = None

    def _keep_wanted(self) -> bool:
        """Forget the entries that nobody waits for any more; whether any is left."""
        gone = [waiting for waiting in self._queue if not waiting.is_wanted]
        for waiting in gone:
            del self._by_id[waiting.message_id]
        if gone:
            self._queue = deque(waiting for waiting in self._queue if waiting.is_wanted)
        return bool(self._queue)

    def _take(self) -> None:
        """The next group: as many as fit, one at least; who does not go along keeps the place."""
        size, deadline = 0, self._queue[0].deadline
        left: list[_Waiting] = []
        while self._queue and len(self._group) < GROUP_ROOM:
            waiting = self._queue.popleft()
            if abs(waiting.deadline - deadline) > _SPREAD_S:
                left.append(waiting)
                continue
            size += LENGTH_BYTES + len(waiting.data)
            if self._group and size > self._limit:
                left.append(waiting)
                break
            self._group.append(waiting)
        self._queue.extendleft(reversed(left))

    async def _send(self) -> bool:
        """Whether the group is done with; False: it certainly was not appended, and goes again."""
        group, loop = self._group, asyncio.get_running_loop()
        if len(group) == 1:
            subject, data, message_id = self._one, group[0].data, group[0].message_id
        else:
            data = encode_group([waiting.data for waiting in group])
            # Not one of the entries': a caller may send that one again by itself.
            subject, message_id = self._many, uuid.uuid4().hex
        for waiting in group:
            waiting.sent = True
        try:
            sequence = await self._publisher.publish(
                subject,
                data,
                {"Nats-Msg-Id": message_id},
                timeout=min(waiting.deadline for waiting in group) - loop.time(),
                retry_refused=False,
            )
        except LogUnavailable:
            for waiting in group:
                waiting.sent = False
            return False
        except EntryTooLarge as error:
            if len(group) > 1:  # no single entry is: the servers were given a lower limit
                self._limit = len(data) // 2
                return False
            group[0].fail(error)
        except AppendOutcomeUnknown as error:
            for waiting in group:
                waiting.fail(error)
        else:
            first = self._layout.position(sequence) - len(group) + 1
            for place, waiting in enumerate(group):
                waiting.answer(first + place)
        for waiting in group:
            del self._by_id[waiting.message_id]
        self._group = []
        return True
