"""The one door for changes of configs: normalise, validate, propose to the log, await the outcome.

Nothing is applied here: a change goes to the Raft log, the projector accepts or rejects it, and
this module hears of it from `config_revisions` through the read model, like everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import uuid6

from app.barrier import SharedBarrier
from app.errors import InvalidParameter, NotFound, OutcomePending, Unavailable
from consensus.log import AppendOutcomeUnknown, EntryTooLarge, Log, LogUnavailable
from domain.change_set import Actor, ChangeSet, Head, encode_change_set
from domain.codec import encode_event
from domain.config import ConfigEvent, check_key, config_id, content_event, deleted_event
from domain.errors import ConfigNotFound, Conflict, ContentTooLarge, VersionConflict
from domain.json_document import encode_json
from projections.read_model import Applied, Outcome, ReadModel, RecordedRevision

WRITE_TIMEOUT_S = 10.0
"""How long a change may take before its caller is told that the outcome is not known yet."""


class Keep(Enum):
    """Says that a change leaves the schema binding as it is."""

    BINDING = "binding"


class Expected(Enum):
    """Expectations that are not one version."""

    ANYTHING = "*"
    """Whatever live config is there."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a request wants of one config."""

    key: str
    expected: int | Expected
    """The version that it was made for; 0: there is no live config under this key."""
    delete: bool = False
    content: Any = None
    schema_id: str | Keep | None = Keep.BINDING
    to_version: int | None = None
    """Set for a roll-back: the version that `content` was taken from."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A change set that was accepted."""

    change_id: str
    position: int
    revisions: tuple[RecordedRevision, ...]


class ChangeWriter:
    """Proposes change sets and waits for what becomes of them."""

    def __init__(
        self,
        log: Log,
        model: ReadModel,
        barrier: SharedBarrier,
        *,
        max_content_bytes: int,
        timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        self._log = log
        self._model = model
        self._barrier = barrier
        self._max_content_bytes = max_content_bytes
        self._timeout_s = timeout_s

    async def commit(
        self,
        project_id: str,
        changes: Sequence[Change],
        actor: Actor,
        *,
        comment: str | None = None,
        change_id: str | None = None,
    ) -> Committed:
        """Commit all of `changes` or none.

        Raises VersionConflict, ConfigNotFound, InvalidKey, ContentTooLarge, NotFound (the
        project went away), Unavailable (nothing was done) or OutcomePending.
        """
        self._check(changes)
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        blind = all(change.expected is Expected.ANYTHING for change in changes)
        while True:
            attempt_id = change_id or str(uuid6.uuid7())
            events = await self._events(project_id, changes, actor, comment)
            change_set = ChangeSet(attempt_id, project_id, tuple(map(encode_event, events)))
            outcome = await self._propose(change_set, deadline)
            if isinstance(outcome, Applied):
                return Committed(attempt_id, outcome.revisions[0].position, outcome.revisions)
            # Whoever does not care for the version is not told of conflicts: again, on top.
            if not blind or change_id is not None:
                raise VersionConflict(outcome.conflicts)

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

    async def _events(
        self, project_id: str, changes: Sequence[Change], actor: Actor, comment: str | None
    ) -> list[ConfigEvent]:
        await self._meet_expectations(project_id, changes)
        now = datetime.now(UTC)
        who = actor.as_dict()
        return [self._event(project_id, change, now, who, comment) for change in changes]

    def _event(
        self,
        project_id: str,
        change: Change,
        now: datetime,
        actor: dict[str, Any],
        comment: str | None,
    ) -> ConfigEvent:
        current = self._model.get(project_id, change.key)
        originator_id = config_id(project_id, change.key)
        if change.delete:
            assert current is not None
            return deleted_event(
                originator_id, current.version, timestamp=now, actor=actor, comment=comment
            )
        bound = current.schema_id if current else None
        schema_id = bound if change.schema_id is Keep.BINDING else change.schema_id
        return content_event(
            originator_id,
            current.version if current else 0,
            current.deleted if current else False,
            content=change.content,
            schema_id=schema_id,
            schema_version=None,
            timestamp=now,
            actor=actor,
            comment=comment,
            to_version=change.to_version,
        )

    async def _meet_expectations(self, project_id: str, changes: Sequence[Change]) -> None:
        """Refuse early what the rule would reject; only on a state that is surely not old."""
        try:
            self._compare(project_id, changes)
        except (VersionConflict, ConfigNotFound):
            await self._barrier.wait(self._timeout_s)
            self._compare(project_id, changes)

    def _compare(self, project_id: str, changes: Sequence[Change]) -> None:
        conflicts: list[Conflict] = []
        for change in changes:
            head = self._model.head(project_id, change.key)
            alive = head.version > 0 and not head.deleted
            if not alive and (change.delete or change.expected is Expected.ANYTHING):
                raise ConfigNotFound(change.key)
            if isinstance(change.expected, Expected):
                continue
            if change.expected != (head.version if alive else 0):
                conflicts.append(_conflict(change.key, change.expected, head))
        if conflicts:
            raise VersionConflict(conflicts)

    async def _propose(self, change_set: ChangeSet, deadline: float) -> Outcome:
        if not self._model.live:
            raise Unavailable("the database is away; nothing was changed")
        loop = asyncio.get_running_loop()
        future = self._model.expect(change_set.id)
        try:
            async with asyncio.timeout_at(deadline):
                try:
                    position = await self._log.append(
                        change_set.id,
                        encode_change_set(change_set),
                        timeout=max(0.1, deadline - loop.time() - 0.5),
                    )
                except AppendOutcomeUnknown:
                    return await asyncio.shield(future)
                await self._model.wait_for(position, deadline - loop.time())
                if not future.done():
                    # Applied up to there, and neither recorded nor rejected: it was skipped.
                    raise NotFound("the project is not there any more")
                return future.result()
        except TimeoutError:
            raise OutcomePending(change_set.id) from None
        except LogUnavailable as error:
            raise Unavailable(f"no quorum of the log: {error}; nothing was changed", 2) from error
        except EntryTooLarge as error:
            raise InvalidParameter("changes", str(error)) from error
        finally:
            self._model.forget(change_set.id)


def _conflict(key: str, expected: int, head: Head) -> Conflict:
    return Conflict(key, expected, head.version, head.deleted)
