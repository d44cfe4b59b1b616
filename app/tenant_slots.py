"""Slots for work that is dear, shared fairly by tenants: `async with slots.hold(tenant): …`.

For what runs in this process or in PostgreSQL; what runs in worker processes has a pool of its
own (`app.validation.pool`). Who waits here must hold nothing that others need: no connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import TooManyRequests
from app.validation.fair_queue import FairQueue, QueueFull


class TenantSlots:
    """At most `slots` pieces of work at once, at most one of them of one tenant.

    Of one tenant at most `tenant_waiting` wait, of all `all_waiting`.
    """

    def __init__(self, what: str, *, slots: int, tenant_waiting: int, all_waiting: int) -> None:
        self._what = what
        self._queue: FairQueue[asyncio.Event] = FairQueue(
            slots=slots, per_tenant=1, tenant_waiting=tenant_waiting, all_waiting=all_waiting
        )

    @asynccontextmanager
    async def hold(self, tenant: str) -> AsyncIterator[None]:
        """Do the block in a slot, once it is this tenant's turn. Raises TooManyRequests."""
        turn = asyncio.Event()
        try:
            self._queue.push(tenant, turn)
        except QueueFull:
            raise TooManyRequests(f"too many {self._what} wait already", retry_after_s=1) from None
        self._wake()
        start_s = time.monotonic()
        try:
            await turn.wait()
            start_s = time.monotonic()
            yield
        finally:
            # Who is cancelled may have been given the slot just before.
            if not self._queue.discard(tenant, turn):
                self._queue.done(tenant, time.monotonic() - start_s)
                self._wake()

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return self._queue.waiting

    def _wake(self) -> None:
        while (taken := self._queue.pop()) is not None:
            taken[1].set()
