"""Asks again, while somebody watches, whether they still may.

At once when the database says that anybody's access changed, and every few seconds, because
keys and tokens expire without a word. Watchers with the same credentials are asked for once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator

from app.access.directory import Directory
from app.watch_hub import End, Watcher

CHECK_INTERVAL_S = 5.0
CONCURRENT_CHECKS = 4

Check = Callable[[], Awaitable[bool]]


class AccessGuard:
    """Ends the watches of callers who lost their right to them."""

    def __init__(self, directory: Directory) -> None:
        self._groups: dict[Hashable, dict[Watcher, Check]] = {}
        self._changed = asyncio.Event()
        directory.on_change(self._changed.set)

    def enter(self, caller: Hashable, watcher: Watcher, check: Check) -> None:
        """Look after a watcher. `caller`: the same for all whose checks would say the same."""
        self._groups.setdefault(caller, {})[watcher] = check

    def leave(self, caller: Hashable, watcher: Watcher) -> None:
        """Forget a watcher. Idempotent."""
        if group := self._groups.get(caller):
            group.pop(watcher, None)
            if not group:
                del self._groups[caller]

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            try:
                async with asyncio.timeout(CHECK_INTERVAL_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            callers = iter(tuple(self._groups))
            async with asyncio.TaskGroup() as tasks:
                for _ in range(CONCURRENT_CHECKS):
                    # One iterator for all: each takes the next caller.
                    tasks.create_task(self._check(callers))

    async def _check(self, callers: Iterator[Hashable]) -> None:
        for caller in callers:
            group = self._groups.get(caller)
            if not group:
                continue
            if not await next(iter(group.values()))():
                for watcher in tuple(group):
                    watcher.end(End.REVOKED)
            # Most checks are answered from memory, without a pause.
            await asyncio.sleep(0)
