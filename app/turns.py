"""Requests under the same Idempotency-Key take turns, within one process.

Between processes the id of the change set keeps them apart: `app.api.idempotency`.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from app.tables.idempotency import Name


class Turns:
    """One at a time of the requests under one key; whoever waits finds the answer kept."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Name, asyncio.Lock] = WeakValueDictionary()

    def of(self, name: Name) -> asyncio.Lock:
        """The lock of a key; it is there as long as somebody holds it or waits."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock
