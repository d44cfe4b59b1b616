"""Barriers of the log, shared by all who wait at the same moment."""

from __future__ import annotations

import asyncio

from app.errors import Unavailable
from consensus.log import Log, LogUnavailable
from projections.read_model import ReadModel

PUBLISH_TIMEOUT_S = 5.0
"""Of the barrier itself. Not a caller's: one who hardly waits must not spoil it for the others."""


class SharedBarrier:
    """Waits until the read model holds all that was committed before the call.

    A caller may share a barrier only if that barrier is published after the call, so
    those who come while one is in flight share the next.
    """

    def __init__(self, log: Log, model: ReadModel) -> None:
        self._log = log
        self._model = model
        self._next: asyncio.Task[int] | None = None
        self._in_flight = asyncio.Lock()
        self._nothing_new_up_to = 0
        """Up to here the log holds nothing but barriers that the model does not hold."""

    async def wait(self, timeout_s: float) -> None:
        """Return when the read model has caught up. Raises Unavailable after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                if self._next is None:
                    self._next = asyncio.create_task(self._publish())
                    self._next.add_done_callback(_noticed)
                position = await asyncio.shield(self._next)
                # All that was committed before the barrier is before its position, so neither the
                # barrier itself need be applied, nor those of ours directly before it.
                if self._nothing_new_up_to < position - 1:
                    await self._model.wait_for(position - 1)
                self._nothing_new_up_to = max(self._nothing_new_up_to, position)
        except TimeoutError:
            raise Unavailable("this process could not catch up with the log in time") from None
        except LogUnavailable as error:
            raise Unavailable(f"no quorum of the log: {error}", 2) from error

    async def _publish(self) -> int:
        async with self._in_flight:
            self._next = None
            return await self._log.barrier(timeout=PUBLISH_TIMEOUT_S)


def _noticed(barrier: asyncio.Task[int]) -> None:
    """A barrier that failed after all who waited for it had left is nobody's error."""
    if not barrier.cancelled():
        barrier.exception()
