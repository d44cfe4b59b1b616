"""Changes of schemas: a new version breaks no live config unseen, and no schema in use goes.

The exclusive lock on a schema (see `app.schema_leases`) waits for the writes in flight; then a
barrier of the log makes sure that all that they committed is in the table, the outcome of
which nobody learned included; then the configs are checked, and the change is committed
together with the end of the lock. All configs are checked once before, without the lock, so
that under it only those remain that changed meanwhile.

Must never lock the row of a schema before the barrier: the projector needs it to go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from app.barrier import SharedBarrier
from app.errors import NotFound, Unavailable
from app.schema_errors import BoundConfig, Breakage, SchemaInUse, SchemaMoved, SchemaWouldBreak
from app.schema_leases import LOCK_CLASS, lock_object
from app.tables import schemas
from app.tables.schemas import Schema, Viewer
from app.validation.pool import ValidatorPool
from domain.schema_outcomes import InvalidSchema, SchemaTooExpensive, Violation
from projections.revisions import Connection

LOCK_TIMEOUT_S: Final = 15
"""Longer than a write holds its lease: nobody can keep a schema from being changed."""
BARRIER_TIMEOUT_S: Final = 5.0
CHECK_TIMEOUT_S: Final = 60.0
LOCKED_CHECK_TIMEOUT_S: Final = 5.0
"""Writes wait meanwhile."""
MAX_AT_ONCE: Final = 3
"""Changes that may hold a connection of the pool while they wait; others wait without."""
PAGE: Final = 5000
CONTENTS: Final = 50
MAX_LISTED: Final = 200
MAX_ERRORS: Final = 20
"""Violations that are listed of one config."""

_PREPARE = """
SELECT set_config('lock_timeout', $1, true),
    set_config('idle_in_transaction_session_timeout', $2, true)
"""
_LOCK = "SELECT pg_advisory_xact_lock($1, $2)"

Place = tuple[str, str]
Sees = Callable[[Place], Awaitable[bool]]
"""Whether the caller may know of a config, by project id and key."""


@dataclass
class Impact:
    """What a new version would do to the live configs that are bound to the schema.

    Contents that the caller may not see are not even looked at: whoever may write a schema could
    otherwise ask it for them, one pattern after the other.
    """

    versions: dict[Place, int] = field(default_factory=dict)
    """The config versions that were checked."""
    broken: dict[Place, tuple[Violation, ...]] = field(default_factory=dict)
    hidden: int = 0
    """Configs that the caller may not see, whatever is in them."""

    @property
    def told(self) -> Breakage:
        """As it is told to the caller."""
        listed = tuple(
            BoundConfig(*each, self.broken[each]) for each in [*self.broken][:MAX_LISTED]
        )
        total = len(self.broken) + self.hidden
        return Breakage(listed, self.hidden, total, len(self.versions))


class SchemaChanges:
    """The exclusive side of the locks on schemas."""

    def __init__(
        self, pool: asyncpg.Pool, barrier: SharedBarrier, validators: ValidatorPool
    ) -> None:
        self._pool = pool
        self._barrier = barrier
        self._validators = validators
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def impact(self, schema: Schema, text: str, tenant: str, sees: Sees) -> Impact:
        """What `text` as the next version would do to the configs as they stand now."""
        return await self._check(
            self._pool, schema.id, text, tenant, sees, Impact(), CHECK_TIMEOUT_S
        )

    async def replace(
        self,
        schema: Schema,
        text: str,
        *,
        user_id: str,
        tenant: str,
        sees: Sees,
        name: str | None = None,
        expected: int | None = None,
        force: bool = False,
    ) -> Schema:
        """Store `text`, which was checked, as the next version.

        Raises SchemaWouldBreak unless `force`, SchemaMoved where `expected` is not the current
        version, NotFound, Unavailable, and what validation raises.
        """
        before = Impact()
        if not force:
            before = await self.impact(schema, text, tenant, sees)
            _refuse(before)
        async with self._exclusively([schema.id]) as connection:
            await self._refuse_moved(connection, schema.id, expected)
            if not force:
                after = await self._check(
                    connection, schema.id, text, tenant, sees, before, LOCKED_CHECK_TIMEOUT_S
                )
                _refuse(after)
            return await schemas.update_schema(connection, schema.id, text, name, user_id)

    async def delete(self, schema: Schema, viewer: Viewer, expected: int | None = None) -> None:
        """Delete a schema. Raises SchemaInUse, naming what the viewer sees; SchemaMoved where
        `expected` is not the current version; NotFound, Unavailable."""
        await self._refuse_used(self._pool, schema.id, viewer)
        try:
            async with self._exclusively([schema.id]) as connection:
                await self._refuse_moved(connection, schema.id, expected)
                await self._refuse_used(connection, schema.id, viewer)
                await schemas.delete_schema(connection, schema.id)
        except asyncpg.ForeignKeyViolationError as error:
            # Somebody wrote to the tables beside us: the constraint is the last line.
            raise SchemaInUse((), 1, 1) from error

    @asynccontextmanager
    async def locked_for_user(
        self, user_id: str, *, lock: bool = True
    ) -> AsyncIterator[Connection]:
        """A transaction under the exclusive locks on all schemas that would go with a user.

        Mark the user in it. Without `lock` (to rehearse) just a transaction. Raises Unavailable.
        """
        if not lock:
            async with self._pool.acquire() as connection, connection.transaction():
                yield connection
            return
        schema_ids = await schemas.schemas_of_user(self._pool, user_id)
        async with self._exclusively(schema_ids) as locked:
            # From here on the user makes no schema any more: its foreign key waits for us.
            await locked.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", user_id)
            if set(await schemas.schemas_of_user(locked, user_id)) - set(schema_ids):
                raise Unavailable("the user made a schema just now; nothing was deleted")
            yield locked

    async def _refuse_moved(
        self, connection: Connection, schema_id: str, expected: int | None
    ) -> None:
        current = await schemas.find_schema(connection, schema_id)
        if current is None:
            raise NotFound("there is no such schema")
        if expected is not None and current.version != expected:
            raise SchemaMoved(expected, current.version)

    async def _refuse_used(self, source: schemas.Source, schema_id: str, viewer: Viewer) -> None:
        total, seen = await schemas.count_usage(source, viewer, schema_id)
        if total:
            rows = await schemas.usage_of_schema(source, viewer, schema_id, ("", ""), MAX_LISTED)
            users = [BoundConfig(row["project_id"], row["key"]) for row in rows]
            raise SchemaInUse(users, total - seen, total)

    @asynccontextmanager
    async def _exclusively(self, schema_ids: Collection[str]) -> AsyncIterator[Connection]:
        """A transaction in which no write that is bound to these schemas is under way."""
        try:
            async with asyncio.timeout(LOCK_TIMEOUT_S):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable("other schemas are being changed; nothing was changed") from None
        try:
            async with (
                self._pool.acquire() as connection,
                # Every statement must see what was committed before it, whatever the default.
                connection.transaction(isolation="read_committed"),
            ):
                await self._lock(connection, schema_ids)
                if schema_ids:
                    # Applied, not only waited for: a deletion is noted with a position, and every
                    # rehearsal that knew the schema must name a lower one (migration 022).
                    await self._barrier.applied(BARRIER_TIMEOUT_S)
                yield connection
        finally:
            self._slots.release()

    async def _lock(self, connection: Connection, schema_ids: Collection[str]) -> None:
        # A process that stands still must not keep the writes of all others waiting for ever.
        await connection.execute(_PREPARE, f"{LOCK_TIMEOUT_S}s", "60s")
        try:
            # In the order of the leases, so that nobody waits in a circle.
            for lock in sorted({lock_object(schema_id) for schema_id in schema_ids}):
                await connection.execute(_LOCK, LOCK_CLASS, lock, timeout=2 * LOCK_TIMEOUT_S)
        except asyncpg.LockNotAvailableError as error:
            raise Unavailable("writes that are bound to the schema do not end") from error

    async def _check(
        self,
        source: schemas.Source,
        schema_id: str,
        text: str,
        tenant: str,
        sees: Sees,
        known: Impact,
        timeout_s: float,
    ) -> Impact:
        """Hold every bound config that the caller sees to `text`; what `known` says of the same
        version stands."""
        impact, after = Impact(), ("", "")
        try:
            async with asyncio.timeout(timeout_s):
                while page := await schemas.bound_configs(source, schema_id, after, PAGE):
                    after = page[-1][:2]
                    unknown = []
                    for project_id, key, version in page:
                        place = (project_id, key)
                        if not await sees(place):
                            impact.hidden += 1
                            continue
                        impact.versions[place] = version
                        if known.versions.get(place) != version:
                            unknown.append((project_id, key, version))
                        elif place in known.broken:
                            impact.broken[place] = known.broken[place]
                    for first in range(0, len(unknown), CONTENTS):
                        some = unknown[first : first + CONTENTS]
                        contents = await schemas.contents_of(source, some)
                        for project_id, key, _ in some:
                            # Nothing where its project was deleted meanwhile.
                            content = contents.get((project_id, key))
                            if content and (errors := await self._errors(text, content, tenant)):
                                impact.broken[project_id, key] = errors
        except TimeoutError:
            raise Unavailable(
                f"{len(impact.versions)} configs and more could not be checked in time;"
                " force=true stores it without the check"
            ) from None
        return impact

    async def _errors(self, text: str, content: bytes, tenant: str) -> tuple[Violation, ...]:
        try:
            found = await self._validators.validate(text, content, tenant=tenant)
        except (SchemaTooExpensive, InvalidSchema) as error:
            # It could never be changed under this version: as bad as breaking it.
            return (Violation("", "", str(error)),)
        return tuple(found[:MAX_ERRORS])


def _refuse(impact: Impact) -> None:
    if impact.broken or impact.hidden:
        raise SchemaWouldBreak(impact.told)
