"""Keeps the pending lists of the GIN indexes short, beside the projector.

PostgreSQL notes in them what an index has yet to take in (its manual, GIN Fast Update Technique).
Whoever finds one too long sorts it in, which takes seconds; that must never be the projector, whom
everybody who writes waits for.
"""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from projections.database import DATABASE_AWAY, UNDONE_TRY_AGAIN, session_name

INTERVAL_S = 1.0
"""The longer, the cheaper for each change; the lists hold some ten thousands."""
RETRY_S = 5.0
CLEAN = "SELECT clean_pending_lists()"
TIMEOUT_S = 60.0

logger = structlog.get_logger(__name__)


class PendingLists:
    """Those of one database."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._filled = asyncio.Event()

    def filled(self) -> None:
        """Something was written."""
        self._filled.set()

    async def keep_short(self) -> None:
        """Clean them until cancelled, whenever something was written; waits out a database that is
        away."""
        while True:
            try:
                connection = await asyncpg.connect(
                    self._dsn,
                    command_timeout=TIMEOUT_S,
                    server_settings={"application_name": session_name("pending lists")},
                )
                try:
                    await self._clean(connection)
                finally:
                    connection.terminate()
            except (*DATABASE_AWAY, *UNDONE_TRY_AGAIN) as error:
                logger.warning("pending_lists_left", error=repr(error))
                self._filled.set()
                await asyncio.sleep(RETRY_S)

    async def _clean(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            await connection.execute(CLEAN)
            await asyncio.sleep(INTERVAL_S)
