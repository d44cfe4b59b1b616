"""The one door for changes of configs: normalise, validate, propose to the log, await the outcome.

Nothing is applied here: a change goes to the Raft log, the projector accepts or rejects it, and
this module hears of it from `config_revisions` through the read model, like everybody else.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import asyncpg
import structlog
import uuid_utils

from app.barrier import SharedBarrier
from app.changes import (
    Change,
    ChangeIds,
    Committed,
    Expected,
    Keep,
    Plan,
    PlanForVersion,
    Prospect,
)
from app.config_reader import ConfigReader
from app.errors import (
    ChangeSetTooLarge,
    InvalidParameter,
    OutcomePending,
    ServiceError,
    Unavailable,
)
from app.pending_changes import PendingChanges
from app.pool import before_any_change
from app.schema_errors import UnknownSchema
from app.schema_gate import SchemaGate
from app.tables.changes import find_outcome, why_passed_over
from consensus.log import AppendOutcomeUnknown, EntryTooLarge, Log, LogUnavailable
from domain.change_set import Actor, ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import ConfigEvent, check_key, config_id, content_event, deleted_event
from domain.errors import (
    ConfigNotFound,
    Conflict,
    ContentTooLarge,
    DomainError,
    PatchFailed,
    VersionConflict,
)
from domain.json_document import encode_json
from projections.database import DATABASE_AWAY
from projections.read_model import Applied, Outcome, RecordedRevision

WRITE_TIMEOUT_S = 10.0
"""How long a change may take before its caller is told that the outcome is not known yet."""
OVERTAKEN = "others changed the same again and again; nothing was changed"

logger = structlog.get_logger(__name__)


class ChangeWriter:
    """Proposes change sets and waits for what becomes of them."""

    def __init__(
        self,
        log: Log,
        reader: ConfigReader,
        barrier: SharedBarrier,
        pool: asyncpg.Pool,
        gate: SchemaGate,
        *,
        max_content_bytes: int,
        timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        self._log = log
        self._reader = reader
        self._model = reader.model
        self._barrier = barrier
        self._pool = pool
        self._gate = gate
        self._max_content_bytes = max_content_bytes
        self._timeout_s = timeout_s
        self.pending = PendingChanges()

    async def commit(
        self,
        project_id: str,
        changes: Sequence[Change] | Plan,
        actor: Actor,
        *,
        tenant: str,
        comment: str | None = None,
        ids: ChangeIds | None = None,
    ) -> Committed:
        """Commit all of `changes` or none; a plan is made anew when another change came first.

        `tenant`: whose share of the validators this takes.

        With `ids`, a request that was sent before (to any process) is applied once: an attempt
        that the log has decided already is not made again, its outcome is the answer.

        Raises VersionConflict, ConfigNotFound, InvalidKey, ContentTooLarge, ChangeSetTooLarge,
        PatchFailed, what `SchemaGate.admit` raises, NotFound (the project went away),
        Unavailable (nothing was done) or OutcomePending.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        for attempt in itertools.count():
            change_id = ids(attempt) if ids else str(uuid_utils.uuid7())
            outcome = await self._decided(change_id) if ids else None
            try:
                if outcome is None:
                    met = await before_any_change(self._met(project_id, changes, deadline))
                    async with AsyncExitStack() as admitted:
                        prospects = await before_any_change(
                            self._admit(admitted, project_id, met, changes, deadline, tenant)
                        )
                        if prospects:
                            change_set, entry = self._change_set(
                                change_id, project_id, prospects, actor, comment
                            )
                            outcome = await self._propose(change_set, entry, deadline)
                        elif ids is None or (outcome := await self._decided(change_id)) is None:
                            return Committed(None, self._model.position, ())
            except (DomainError, ServiceError) as refusal:
                if ids is None or isinstance(refusal, OutcomePending | Unavailable):
                    raise
                # The same request may have been applied elsewhere since we looked: then it is
                # its own change that is in its way.
                outcome = await self._decided(change_id)
                if outcome is None:
                    raise
            if isinstance(outcome, Applied):
                return Committed(change_id, outcome.revisions[0].position, outcome.revisions)
            if not _is_blind(changes):
                raise VersionConflict(outcome.conflicts, decided=True)
            # Whoever does not care for the version is not told of conflicts: again, on top.
            if loop.time() >= deadline:
                raise Unavailable(OVERTAKEN)
        raise AssertionError("counting ended")

    async def preview(
        self,
        project_id: str,
        changes: Sequence[Change] | Plan,
        actor: Actor,
        *,
        tenant: str,
        comment: str | None = None,
    ) -> Sequence[Prospect]:
        """Everything but the commit: what each change would do. Raises what `commit` raises."""
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        met = await self._met(project_id, changes, deadline)
        async with AsyncExitStack() as admitted:
            prospects = await self._admit(admitted, project_id, met, changes, deadline, tenant)
            if prospects:
                self._change_set(str(uuid_utils.uuid7()), project_id, prospects, actor, comment)
            return prospects

    async def _decided(self, change_id: str) -> Outcome | None:
        """What the log decided earlier, once this process can be asked for it too."""
        found = await find_outcome(self._pool, change_id)
        if found is None:
            return None
        try:
            await self._model.wait_for(found.position, self._timeout_s)
        except TimeoutError:
            raise OutcomePending(change_id) from None
        return found.outcome

    async def _admit(
        self,
        admitted: AsyncExitStack,
        project_id: str,
        met: Sequence[Prospect],
        changes: Sequence[Change] | Plan,
        deadline: float,
        tenant: str,
    ) -> Sequence[Prospect]:
        """As `SchemaGate.admit`, until `admitted` ends, with what is met now where `met` keeps a
        binding of before."""
        gate = self._gate
        try:
            return await admitted.enter_async_context(
                gate.admit(project_id, met, deadline, tenant=tenant)
            )
        except UnknownSchema:
            if not any(each.schema_id and each.change.schema_id is Keep.BINDING for each in met):
                raise
        # A schema goes only when no config is bound to it: this is the binding of a version
        # before the newest.
        await self._barrier.wait(max(0.1, deadline - asyncio.get_running_loop().time()))
        newest = await self._meet(project_id, changes, deadline)
        return await admitted.enter_async_context(
            gate.admit(project_id, newest, deadline, tenant=tenant)
        )

    async def _met(
        self, project_id: str, changes: Sequence[Change] | Plan, deadline: float
    ) -> Sequence[Prospect]:
        """What the changes meet. Refuses early what would be rejected; only on a state that is
        surely not old."""
        try:
            return await self._meet(project_id, changes, deadline)
        except (VersionConflict, ConfigNotFound, PatchFailed):
            await self._barrier.wait(max(0.1, deadline - asyncio.get_running_loop().time()))
            return await self._meet(project_id, changes, deadline)

    async def _meet(
        self, project_id: str, changes: Sequence[Change] | Plan, deadline: float
    ) -> Sequence[Prospect]:
        while True:
            planned = await changes() if callable(changes) else changes
            self._check(planned)
            before = await self._reader.newest_of(project_id, [change.key for change in planned])
            # No await from here on: the configs are seen at one moment.
            prospects = [_prospect(change, before.get(change.key)) for change in planned]
            conflicts = [found for p in prospects if (found := _conflict(p)) is not None]
            if not conflicts:
                return prospects
            if not _is_blind(changes):
                raise VersionConflict(conflicts)
            # A plan whose configs changed while it was made is made again.
            if asyncio.get_running_loop().time() >= deadline:
                raise Unavailable(OVERTAKEN)

    def _check(self, changes: Sequence[Change]) -> None:
        seen: set[str] = set()
        for change in changes:
            check_key(change.key)
            if change.key in seen:
                raise InvalidParameter("changes", f"key {change.key!r} is there twice")
            seen.add(change.key)
            if not change.delete:
                size = len(encode_json(change.content))
                if size > self._max_content_bytes:
                    raise ContentTooLarge(size, self._max_content_bytes)

    def _change_set(
        self,
        change_id: str,
        project_id: str,
        prospects: Sequence[Prospect],
        actor: Actor,
        comment: str | None,
    ) -> tuple[ChangeSet, bytes]:
        """The change set, and the bytes of its entry."""
        now, who = datetime.now(UTC), actor.as_dict()
        events = (_event(project_id, prospect, now, who, comment) for prospect in prospects)
        change_set = ChangeSet(change_id, project_id, tuple(map(encode_event, events)))
        entry, limit = encode_change_set(change_set), self._log.max_entry_bytes
        if len(entry) > limit:
            raise ChangeSetTooLarge(len(entry), limit)
        return change_set, entry

    async def _propose(self, change_set: ChangeSet, entry: bytes, deadline: float) -> Outcome:
        if not self._model.live:
            raise Unavailable("the database is away; nothing was changed")
        loop = asyncio.get_running_loop()
        future = self._model.expect(change_set.id)
        awaited = "the log"
        try:
            try:
                position = await self._log.append(
                    change_set.id,
                    entry,
                    timeout=max(0.1, deadline - loop.time() - 0.5),
                )
            except AppendOutcomeUnknown as unknown:
                awaited = f"the log: {unknown}"
                async with asyncio.timeout_at(deadline):
                    return await asyncio.shield(future)
            awaited = f"the projector, at {self._model.position}, to pass {position}"
            await self._model.wait_for(position, deadline - loop.time())
            if future.done():
                return future.result()
            # Nobody here waited when it was applied: the same change came before, through
            # this process or another one. Else it was skipped.
            async with asyncio.timeout_at(deadline):
                found = await find_outcome(self._pool, change_set.id)
                if found is None:
                    raise await why_passed_over(self._pool, change_set.project_id, position)
            return found.outcome
        except LogUnavailable as error:
            raise Unavailable(f"no quorum of the log: {error}; nothing was changed", 2) from error
        except EntryTooLarge as error:
            raise ChangeSetTooLarge(len(entry), self._log.max_entry_bytes) from error
        # A deadline that passed is one of these; or the request took too long and was ended.
        except (*DATABASE_AWAY, asyncio.CancelledError) as error:
            logger.warning(
                "outcome_pending", change_id=change_set.id, awaited=awaited, error=repr(error)
            )
            self.pending.add(change_set.id, change_set.project_id)
            raise OutcomePending(change_set.id) from None
        finally:
            self._model.forget(change_set.id, future)


def _is_blind(changes: Sequence[Change] | Plan) -> bool:
    """Whether the caller left it to us which version the changes are made for."""
    if callable(changes):
        return not isinstance(changes, PlanForVersion)
    return all(change.expected is Expected.ANYTHING for change in changes)


def _prospect(change: Change, before: RecordedRevision | None) -> Prospect:
    if change.delete:
        return Prospect(change, before, None)
    bound = before.schema_id if before else None
    return Prospect(change, before, bound if change.schema_id is Keep.BINDING else change.schema_id)


def _conflict(prospect: Prospect) -> Conflict | None:
    """What the rule would reject now. Raises ConfigNotFound where any version would do."""
    change, before = prospect.change, prospect.before
    expected = change.expected
    if prospect.revives and (change.must_be_live or expected is Expected.ANYTHING):
        raise ConfigNotFound(change.key)
    if isinstance(expected, Expected):
        return None
    live_version = 0 if before is None or before.deleted else before.version
    if expected == live_version and not (change.delete and prospect.revives):
        return None
    version, deleted = (before.version, before.deleted) if before else (0, False)
    return Conflict(change.key, expected, version, deleted)


def _event(
    project_id: str,
    prospect: Prospect,
    now: datetime,
    actor: dict[str, Any],
    comment: str | None,
) -> ConfigEvent:
    change, before = prospect.change, prospect.before
    originator_id = config_id(project_id, change.key)
    version = before.version if before else 0
    if change.delete:
        return deleted_event(originator_id, version, timestamp=now, actor=actor, comment=comment)
    return content_event(
        originator_id,
        version,
        before.deleted if before else False,
        content=change.content,
        schema_id=prospect.schema_id,
        schema_version=prospect.schema_version,
        timestamp=now,
        actor=actor,
        comment=comment,
        to_version=change.to_version,
    )
