"""Requests under the same Idempotency-Key take turns, within one process.

Between processes the id of the change set keeps them apart: `app.api.idempotency`.
"""

from __future__ import annotations

import asyncio
import time
from weakref import WeakValueDictionary

import asyncpg

from app.tables.idempotency import Name, prune

PRUNE_INTERVAL_S = 600.0


class Turns:
    """One at a time of the requests under one key; whoever waits finds the answer kept."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._locks: WeakValueDictionary[Name, asyncio.Lock] = WeakValueDictionary()
        self._pruned_at = time.monotonic()

    def of(self, name: Name) -> asyncio.Lock:
        """The lock of a key; it is there as long as somebody holds it or waits."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    async def prune(self) -> None:
        """Forget old answers, now and then."""
        if time.monotonic() - self._pruned_at > PRUNE_INTERVAL_S:
            self._pruned_at = time.monotonic()
            await prune(self._pool)
