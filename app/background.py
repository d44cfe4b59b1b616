"""Tasks that live as long as the web process: one that breaks ends the process, with one line.

They wait out whatever is away by themselves; what they raise is a bug or an invariant that
broke, and a process without one of them would answer from a state that stands still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

logger = structlog.get_logger(__name__)


class Background:
    """The tasks of one application; made in its event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._starting = True

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task until `stop`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def started(self, ready: asyncio.Event) -> None:
        """Wait until `ready` is set. Raises what a task died of meanwhile.

        From then on a task that dies ends the process.
        """
        waiting = asyncio.ensure_future(ready.wait())
        try:
            await asyncio.wait((waiting, self._broken), return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                self._broken.result()
            self._starting = False
        finally:
            waiting.cancel()

    async def stop(self) -> None:
        """Cancel every task and wait for its end. Idempotent."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._broken.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._starting and not self._broken.done():
            self._broken.set_exception(error)
            return
        # A log line too: standard error may be read by nobody.
        logger.critical("background_task_broke", error=repr(error), exc_info=error)
        raise SystemExit(f"error: a background task broke: {error!r}") from error
