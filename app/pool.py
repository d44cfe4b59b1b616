"""The connections to PostgreSQL on which requests ask.

Nobody waits long on a database that says nothing: once that is noticed, every connection is given
up, and until it speaks again none is made. So each question ends at once, as if it were refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar
from weakref import WeakSet

import asyncpg
import structlog

from app.errors import Unavailable
from app.metrics import Metrics
from projections.database import (
    DATABASE_AWAY,
    Reminder,
    Silence,
    end_now,
    place_of,
    session_name,
)
from projections.follower import ANSWER_TIMEOUT_S

POOL_SIZE = 10
COMMAND_TIMEOUT_S = 30.0
START_RETRY_S = 0.25

_Answer = TypeVar("_Answer")

logger = structlog.get_logger(__name__)


async def connect_pool(
    dsn: str, metrics: Metrics, silence: Silence, *, timeout_s: float
) -> asyncpg.Pool:
    """The connections. Waits for a database that is away or just starting.

    Raises Unavailable after `timeout_s` seconds, and at once what waiting does not change:
    PostgresError when the server refuses us, ClientConfigurationError for a URL that is none.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    reminder = Reminder()
    while True:
        try:
            return await _pool(dsn, metrics, silence)
        except asyncpg.exceptions.ClientConfigurationError:
            raise
        except DATABASE_AWAY as error:
            if loop.time() >= deadline:
                raise Unavailable(
                    f"cannot connect to PostgreSQL at {place_of(dsn)} within {timeout_s:g} s:"
                    f" {error!r}"
                ) from error
            if reminder.is_due(loop.time()):
                logger.warning("database_awaited", database=place_of(dsn), error=repr(error))
            await asyncio.sleep(START_RETRY_S)


async def before_any_change(asked: Awaitable[_Answer]) -> _Answer:
    """What is asked before the request changes anything. Raises Unavailable for a database that is
    away: of whatever is asked later it is not known whether it was done."""
    try:
        return await asked
    except DATABASE_AWAY as error:
        raise Unavailable("the database is away; nothing was changed") from error


async def _pool(dsn: str, metrics: Metrics, silence: Silence) -> asyncpg.Pool:
    made: WeakSet[asyncpg.Connection] = WeakSet()
    making: set[asyncio.Timeout] = set()

    async def connect(*where: Any, **how: Any) -> asyncpg.Connection:
        if silence.known:
            raise TimeoutError("the database says nothing")
        async with asyncio.timeout(ANSWER_TIMEOUT_S) as limit:
            making.add(limit)
            try:
                connection: asyncpg.Connection = await asyncpg.connect(*where, **how)
            finally:
                making.discard(limit)
        made.add(connection)
        return connection

    def give_up() -> None:
        for limit in making:
            end_now(limit)
        for connection in tuple(made):
            if not connection.is_closed():
                connection.terminate()

    pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=POOL_SIZE,
        command_timeout=COMMAND_TIMEOUT_S,
        connect=connect,
        init=metrics.watch_connection,
        server_settings={"application_name": session_name("web")},
    )
    silence.on_noticed(give_up)
    return pool
