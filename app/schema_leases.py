"""Shared locks on schemas, held by writes from before they propose until their outcome is known.

Whoever changes or deletes a schema takes the exclusive lock of the same name
(`app.schema_changes`), so it waits for the writes in flight, and writes that come later wait
for it. The locks are session-level advisory locks of PostgreSQL, on one connection per
process. The writes of a process share a lease. One that is older than LEASE_OPEN_S admits no
newcomers: PostgreSQL grants a session what it holds already, past everybody in the queue, so
without an end a lease under steady load would starve the exclusive side.

A lease is as good as its connection: when that is lost the lock is too, and a write that has
not proposed yet must not (`Lease.check`).
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from app.errors import Unavailable
from app.tables.schemas import IS_THERE
from domain.errors import BrokenInvariant
from projections.database import DATABASE_AWAY, Silence, end_now

LOCK_CLASS: Final = 0x4753
"""The advisory locks of schemas ("GS"); the second number is made of the schema's id."""
LEASE_OPEN_S: Final = 0.2
"""How long a lease admits newcomers."""
STATEMENT_TIMEOUT_S: Final = 5.0
"""A statement here waits for nothing: one that takes longer has lost its server."""
FIRST_RETRY_S: Final = 0.005
LONGEST_RETRY_S: Final = 0.1

_TRY = "SELECT pg_try_advisory_lock_shared($1, $2)"
_VERSION = f"SELECT s.version FROM config_schemas s WHERE s.id = $1 AND {IS_THERE}"  # noqa: S608
_UNLOCK = "SELECT pg_advisory_unlock_shared($1, $2)"

# A machine that vanished must not hold its locks for the two hours that TCP would give it; but
# longer (25 s) than a write may take (10 s), so that a write that is cut off ends before its lock.
_SESSION: Final = {
    "application_name": "guardian-schema-leases",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "idle_session_timeout": "0",
    "jit": "off",
}


def lock_object(schema_id: str) -> int:
    """The second number of a schema's lock. Two schemas may share one: they wait in vain."""
    return int.from_bytes(hashlib.sha256(schema_id.encode()).digest()[:4], signed=True)


class Lease:
    """The shared lock on one schema, for several writes at once."""

    def __init__(self, schema_id: str) -> None:
        self.schema_id = schema_id
        self.version: int | None = None
        """Read after the lock was granted, so the current one; None: there is no such schema."""
        self.connection: asyncpg.Connection | None = None
        """The one that holds the lock, from when it is granted."""
        self.writers = 0
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.granted_at = 0.0
        self.unused = asyncio.Event()
        self.ended = asyncio.Event()

    @property
    def lost(self) -> bool:
        """Whether the lock went with its connection."""
        return self.connection is not None and self.connection.is_closed()

    def admits(self, now: float) -> bool:
        """Whether a newcomer may share it, if it is not lost."""
        if self.unused.is_set():
            return False
        return self.connection is None or now - self.granted_at < LEASE_OPEN_S

    def check(self) -> None:
        """Raise Unavailable if the lock is lost. No await may follow before the proposal."""
        if self.lost:
            raise Unavailable(
                "the lock on a schema was lost with the database; nothing was changed"
            )


class SchemaLeases:
    """The leases of this process. `close` ends them with their connection.

    `silence`: ends what is asked here, too; a lock that is held is kept as long as its connection.
    """

    def __init__(self, dsn: str, silence: Silence | None = None) -> None:
        self._dsn = dsn
        self._silence = silence or Silence()
        self._silence.on_noticed(self._give_up)
        self._limit: asyncio.Timeout | None = None
        """Of what is asked now."""
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        self._leases: dict[str, Lease] = {}
        self._lives: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def hold(
        self, schema_ids: Collection[str], deadline: float
    ) -> AsyncIterator[dict[str, Lease]]:
        """Hold the shared locks of all these schemas for the length of the block.

        `deadline` is the loop's time. Raises Unavailable when a lock is not to be had before
        it, or the database is away.
        """
        async with AsyncExitStack() as stack:
            leases: dict[str, Lease] = {}
            # In one order, for everybody: two who want two locks can never wait for each other.
            for schema_id in sorted(schema_ids, key=lambda each: (lock_object(each), each)):
                lease = await self._join(schema_id, deadline)
                stack.callback(_leave, lease)
                leases[schema_id] = lease
            yield leases

    async def _join(self, schema_id: str, deadline: float) -> Lease:
        try:
            async with asyncio.timeout_at(deadline):
                lease = await self._open_lease(schema_id)
                lease.writers += 1
                try:
                    # Shielded: one writer that gives up must not take it from the others.
                    await asyncio.shield(lease.granted)
                except BaseException:
                    _leave(lease)
                    raise
                return lease
        except TimeoutError as error:
            raise Unavailable("the schema is being changed; nothing was changed here") from error

    async def _open_lease(self, schema_id: str) -> Lease:
        """The lease that a newcomer may share. No await may lie between it and its use."""
        now = asyncio.get_running_loop().time
        while (lease := self._leases.get(schema_id)) is not None and not lease.lost:
            if lease.admits(now()):
                return lease
            await lease.ended.wait()
        lease = self._leases[schema_id] = Lease(schema_id)
        life = asyncio.create_task(self._live(lease))
        self._lives.add(life)
        life.add_done_callback(self._ended)
        return lease

    async def _live(self, lease: Lease) -> None:
        """A lease from its first writer to its last: lock, read the version, wait, unlock."""
        try:
            if await self._acquire(lease):
                lease.granted_at = asyncio.get_running_loop().time()
                lease.granted.set_result(None)
                await lease.unused.wait()
                await self._release(lease)
        except DATABASE_AWAY as error:
            if not lease.granted.done():
                away = Unavailable("the database is away; nothing was changed")
                away.__cause__ = error
                lease.granted.set_exception(away)
                lease.granted.exception()  # Nobody need be there to take it.
        finally:
            if self._leases.get(lease.schema_id) is lease:
                del self._leases[lease.schema_id]
            lease.ended.set()

    async def _acquire(self, lease: Lease) -> bool:
        """Lock, then read; False if nobody waits for it any more."""
        pause_s = FIRST_RETRY_S
        while not lease.unused.is_set():
            async with self._turn:
                if self._silence.known:
                    raise TimeoutError("the database says nothing")
                connection = await self._connected()
                place = (LOCK_CLASS, lock_object(lease.schema_id))
                if await self._ask(connection, _TRY, *place):
                    # A statement of its own: its snapshot must be taken under the lock.
                    lease.version = await self._ask(connection, _VERSION, lease.schema_id)
                    lease.connection = connection
                    return True
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(0.5, 1.0)):
                    await lease.unused.wait()
            pause_s = min(2 * pause_s, LONGEST_RETRY_S)
        return False

    async def _release(self, lease: Lease) -> None:
        async with self._turn:
            if lease.connection is None or lease.lost:
                return
            place = (LOCK_CLASS, lock_object(lease.schema_id))
            if not await self._ask(lease.connection, _UNLOCK, *place):
                raise BrokenInvariant(f"the lock on schema {lease.schema_id} was not held")

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            async with self._in_time():
                self._connection = await asyncpg.connect(self._dsn, server_settings=_SESSION)
        return self._connection

    async def _ask(self, connection: asyncpg.Connection, statement: str, *values: object) -> Any:
        try:
            async with self._in_time():
                return await connection.fetchval(statement, *values)
        except BaseException:
            # Whether a lock was granted is not known: with the session, it certainly goes.
            connection.terminate()
            raise

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        async with asyncio.timeout(STATEMENT_TIMEOUT_S) as self._limit:
            try:
                yield
            finally:
                self._limit = None

    def _give_up(self) -> None:
        if self._limit is not None:
            end_now(self._limit)

    def _ended(self, life: asyncio.Task[None]) -> None:
        self._lives.discard(life)
        if not life.cancelled() and (error := life.exception()) is not None:
            raise SystemExit(f"a lease on a schema broke: {error!r}") from error

    async def close(self) -> None:
        """End every lease. Idempotent."""
        lives = list(self._lives)
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        if self._connection is not None:
            self._connection.terminate()


def _leave(lease: Lease) -> None:
    lease.writers -= 1
    if lease.writers == 0:
        lease.unused.set()
