"""What it looks like when PostgreSQL is away, and what is told of it: everybody who lives longer
waits it out.

One list for all, so that no fault ends one kind of process and is survived by another.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

SESSIONS = "guardian-"
"""What the names of our long sessions begin with, in pg_stat_activity."""

DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server ended the session while nobody listened
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresIOError,  # its disk
    asyncpg.IdleInTransactionSessionTimeoutError,  # we were frozen
    asyncpg.ReadOnlySQLTransactionError,  # a standby, until it is promoted
)
"""Nothing of the statement happened, or that cannot be known; later it may work."""

UNDONE_TRY_AGAIN = (asyncpg.TransactionRollbackError,)
"""A deadlock or a serialization failure: the transaction was certainly undone."""


_PARTS = 3
"""A stop costs a question one part of its time; the rest is for what lies ready."""
_ENDS_WITH_PORT = re.compile(r":[0-9]+$")
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Reminder:
    """When to tell again of what goes on being away: at once, then after pauses that double."""

    def __init__(self) -> None:
        self._next_at = float("-inf")
        self._pause_s = FIRST_PAUSE_S

    def is_due(self, now: float) -> bool:
        """Whether to tell now, in seconds of a clock that never goes back."""
        if now < self._next_at:
            return False
        self._next_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return True

    def over(self) -> None:
        """It was there meanwhile: the next time is told at once."""
        self._next_at, self._pause_s = float("-inf"), FIRST_PAUSE_S


class Silence:
    """Whether the database says nothing, though nothing ended the connections to it: it is frozen,
    its host is gone, or what is between forgot us.

    The follower finds out, because it asks all the time; whoever else has connections gives them up
    then, so that nobody waits on one until its own time is over.
    """

    def __init__(self) -> None:
        self.known = False
        self._listeners: list[Callable[[], None]] = []

    def on_noticed(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever it is noticed, also when it was known before."""
        self._listeners.append(listener)

    def noticed(self) -> None:
        """A question was not answered in time."""
        self.known = True
        for listener in self._listeners:
            listener()

    def over(self) -> None:
        """The database said something, if only that it is away."""
        self.known = False


def end_now(limit: asyncio.Timeout) -> None:
    """Its time is over, if it is not already: one that is cannot be told so once more."""
    if not limit.expired():
        limit.reschedule(0.0)


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """As asyncio.timeout(), of time in which this process runs: one that was stopped hears that its
    time is over before it reads the answer that came meanwhile."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        alarm: asyncio.TimerHandle

        def pass_part(left: int) -> None:
            nonlocal alarm
            if left == 0:
                limit.reschedule(loop.time())
            else:
                alarm = loop.call_later(seconds / _PARTS, pass_part, left - 1)

        pass_part(_PARTS)
        try:
            yield
        finally:
            alarm.cancel()


def place_of(url: str) -> str:
    """Where a database's URL leads, as `host:port/database`; never its user or password."""
    parts = urlsplit(url)
    if "@" in parts.path + parts.query + parts.fragment:
        return "the URL's"  # of a password that is not percent-encoded, any part may be a rest
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    port = query.get("port", "5432")
    hosts = unquote(parts.netloc.rpartition("@")[2]) or query.get("host", "localhost")
    places = [
        host if _ENDS_WITH_PORT.search(host) else f"{host}:{port}" for host in hosts.split(",")
    ]
    database = unquote(parts.path.removeprefix("/")) or query.get("dbname", "")
    return f"{','.join(places)}/{database}"


def session_name(of: str) -> str:
    """Tells operators which process a session is of, and `guardian log begin-anew` who runs."""
    return f"{SESSIONS}{of} {os.getpid()} on {socket.gethostname()}"[:63]
