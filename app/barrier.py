"""Barriers of the log, shared by all who wait at the same moment."""

from __future__ import annotations

import asyncio

from app.errors import Unavailable
from consensus.log import Log, LogError, LogUnavailable
from projections.read_model import ReadModel

PUBLISH_TIMEOUT_S = 5.0
"""Of the barrier itself. Not a caller's: one who hardly waits must not spoil it for the others."""
LONGEST_WAIT_S = 60.0
"""Nobody waits longer; then those who still do are told, and the barrier's task ends."""

Waiter = asyncio.Future[int]


class SharedBarrier:
    """Waits until the read model holds all that was committed before the call.

    A caller may share a barrier only if that barrier is published after the call, so
    those who come while one is in flight share the next.
    """

    def __init__(self, log: Log, model: ReadModel) -> None:
        self._log = log
        self._model = model
        self._waiting: list[Waiter] = []
        """Those whose barrier was not published yet."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = asyncio.Lock()
        self._nothing_new_up_to = 0
        """Up to here the log holds nothing but barriers that the model does not hold."""

    async def applied(self, timeout_s: float) -> None:
        """As `wait`, and the read model is at the barrier: no position that was told before the
        call is as high. For that the projector must run."""
        position = await self.wait(timeout_s)
        try:
            await self._model.wait_for(position, timeout_s)
        except TimeoutError:
            raise Unavailable("no projector applies the log") from None

    async def wait(self, timeout_s: float) -> int:
        """Return when the read model has caught up; the barrier's position, which it need not have
        reached itself. Raises Unavailable after `timeout_s`."""
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        self._waiting.append(waiter)
        if len(self._waiting) == 1:
            task = asyncio.create_task(self._pass())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # By hand, because reads come here: asyncio.timeout() takes five times as long (4 µs).
        alarm = loop.call_later(timeout_s, _fail, [waiter], TimeoutError())
        try:
            return await waiter
        except TimeoutError:
            raise Unavailable("this process could not catch up with the log in time") from None
        except LogUnavailable as error:
            raise Unavailable(f"no quorum of the log: {error}", 2) from error
        finally:
            alarm.cancel()

    async def _pass(self) -> None:
        """Publish one barrier for all who wait by then, and tell them when it is passed."""
        async with self._in_flight:
            group, self._waiting = self._waiting, []
            try:
                position = await self._log.barrier(timeout=PUBLISH_TIMEOUT_S)
            except LogError as error:
                _fail(group, error)
                return
        # All that was committed before the barrier is at `before` or earlier, so neither the
        # barrier itself need be applied, nor those of ours directly before it.
        before = position - self._log.position_step
        if self._nothing_new_up_to < before:
            try:
                await self._model.wait_for(before, LONGEST_WAIT_S)
            except TimeoutError as error:
                _fail(group, error)
                return
        self._nothing_new_up_to = max(self._nothing_new_up_to, position)
        for waiter in group:
            if not waiter.done():  # it waited no longer
                waiter.set_result(position)


def _fail(group: list[Waiter], error: Exception) -> None:
    for waiter in group:
        if not waiter.done():
            waiter.set_exception(error)
            waiter.exception()  # it is nobody's fault if its waiter leaves just now
