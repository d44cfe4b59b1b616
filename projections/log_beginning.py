"""Beginning the log anew behind what this database holds of it, when the Raft group is lost.

Every acknowledged change is in PostgreSQL, so none is lost; what was committed and not yet
applied here was never acknowledged. A decision of a person, recorded for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from projections.checkpoint import read_checkpoint
from projections.database import SESSIONS
from projections.projector import LOCK_CLASS, LOCK_OBJECT
from projections.revisions import APPLICATION, Connection
from projections.skips import retire_skips

_RECORD = """
INSERT INTO log_beginnings (first_position, change_digest, reason, decided_by)
VALUES ($1, $2, $3, $4)
"""
# Nothing of the new log was applied yet, so there is no entry of it to compare.
_FORGET_LAST_ENTRY = """
UPDATE checkpoints SET change_position = 0, change_digest = NULL WHERE application_name = $1
"""
_FORGET_HALT = "DELETE FROM projector_halts WHERE application_name = $1"
# PostgreSQL tells everybody the names of all sessions.
_CONNECTED = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, $1) ORDER BY 1
"""
_LEAVING_S = 2.0
"""How long the session of a process that was just stopped may still be there."""
_POLL_S = 0.05


class ServicesRun(Exception):
    """Web processes or projectors are connected to the database: stop them all first."""


class ProjectorRuns(Exception):
    """A projector holds the lock: stop them all first."""


async def keep_projectors_off(connection: Connection) -> None:
    """No projector works on this database as long as `connection` lives. Raises ProjectorRuns."""
    if not await connection.fetchval(
        "SELECT pg_try_advisory_lock($1, $2)", LOCK_CLASS, LOCK_OBJECT
    ):
        raise ProjectorRuns("a projector runs; stop them all, and the web processes")


async def _require_nobody(connection: Connection) -> None:
    """Raises ServicesRun, with their names, if a web process or projector is connected."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LEAVING_S
    while rows := await connection.fetch(_CONNECTED, SESSIONS):
        if loop.time() >= deadline:
            names = ", ".join(row["application_name"] for row in rows)
            raise ServicesRun(
                f"still connected to the database: {names}; stop every web process and projector"
            )
        await asyncio.sleep(_POLL_S)


async def begin_anew(
    dsn: str, reason: str, decided_by: str, make_log: Callable[[int], Awaitable[None]]
) -> int:
    """Let `make_log` make an empty log that begins behind the checkpoint; its first position.

    Raises ServicesRun, ProjectorRuns, and whatever `make_log` raises: then nothing was changed
    here.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await _require_nobody(connection)
        await keep_projectors_off(connection)
        async with connection.transaction():
            checkpoint = await read_checkpoint(connection, lock=True)
            first = checkpoint.position + 1
            await connection.execute(_RECORD, first, checkpoint.change_digest, reason, decided_by)
            await connection.execute(_FORGET_LAST_ENTRY, APPLICATION)
            await connection.execute(_FORGET_HALT, APPLICATION)
            await retire_skips(connection, first)
            await make_log(first)
        return first
    finally:
        connection.terminate()
