"""Holds requests until a config changes: who waits for which key, in one index.

Must never hold longer than it was asked to, nor when the process is to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from app.errors import Unavailable
from projections.read_model import ReadModel, RecordedRevision

MAX_WAITING: Final = 20_000


class LongPolls:
    """Requests that wait for the next revision of a config."""

    def __init__(self, model: ReadModel) -> None:
        self._waiting: dict[tuple[str, str], set[asyncio.Future[None]]] = {}
        self._count = 0
        self._closing = False
        model.listen(self._hear)

    async def change(
        self, project_id: str, key: str, timeout_s: float, *, left: asyncio.Future[None]
    ) -> None:
        """Return when the config has a new revision, after `timeout_s`, when whoever asked has
        `left`, or when we end.

        Raises Unavailable when too many wait already.
        """
        if self._closing:
            return
        if self._count >= MAX_WAITING:
            raise Unavailable("this process holds no more requests")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault((project_id, key), set())
        waiting.add(future)
        self._count += 1

        def tell(_: object) -> None:
            _release({future})

        left.add_done_callback(tell)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            pass
        finally:
            left.remove_done_callback(tell)
            self._count -= 1
            waiting.discard(future)
            if not waiting:
                del self._waiting[project_id, key]

    def close(self) -> None:
        """Let every request be answered now."""
        self._closing = True
        for waiting in self._waiting.values():
            _release(waiting)

    def _hear(self, revisions: Sequence[RecordedRevision]) -> None:
        if not self._waiting:
            return
        for revision in revisions:
            _release(self._waiting.get((revision.project_id, revision.key), ()))


def _release(waiting: set[asyncio.Future[None]] | tuple[()]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
