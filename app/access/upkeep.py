"""What the ordinary tables need from time to time: uses of keys noted, old rows removed.

Must never do work for a request: a thousand uses of a key in a minute are one UPDATE.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import structlog

from app.access.principal import Application
from app.tables import creations, idempotency, keys, sessions, throttle
from projections.database import DATABASE_AWAY, UNDONE_TRY_AGAIN

FLUSH_INTERVAL_S = 30.0
SWEEP_EVERY_FLUSHES = 120
MAX_USES = 100_000
_NOT_YET = (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError)
"""In an upgrade a new table, or the rights to it (db/grants.sql), may come a little later."""
POSTPONED = (*DATABASE_AWAY, *UNDONE_TRY_AGAIN, *_NOT_YET)
"""The processes note the uses of the same keys, each in its own order: they may deadlock."""

logger = structlog.get_logger(__name__)


class Upkeep:
    """Notes when keys were used, and writes that down in batches."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._uses: dict[str, datetime] = {}

    def used(self, application: Application) -> None:
        """This key was used now. The project's own key has no row for it."""
        if not application.key_id.startswith("project:") and len(self._uses) < MAX_USES:
            self._uses[application.key_id] = datetime.now(UTC)

    async def run(self) -> None:
        """Work until cancelled; what was noted last is written at the end if it can be."""
        try:
            flushes = 0
            while True:
                await asyncio.sleep(FLUSH_INTERVAL_S)
                flushes += 1
                try:
                    await self.flush()
                    if flushes % SWEEP_EVERY_FLUSHES == 1:
                        await self.sweep()
                except POSTPONED as error:
                    logger.warning("upkeep_postponed", error=type(error).__name__)
        finally:
            try:
                async with asyncio.timeout(2.0):
                    await self.flush()
            except POSTPONED:
                logger.warning("key_uses_lost", keys=len(self._uses))

    async def flush(self) -> None:
        """Write the noted uses. What cannot be written is kept for the next time."""
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await keys.store_uses(self._pool, uses)
        except POSTPONED:
            self._uses = uses | self._uses
            raise

    async def sweep(self) -> None:
        """Remove what says nothing any more: refilled throttles, sessions long over, answers to
        requests that nobody sends again."""
        async with self._pool.acquire() as connection:
            await throttle.forget_full(connection)
        await sessions.forget_expired(self._pool)
        await idempotency.forget_old(self._pool)
        await creations.forget_old(self._pool)
