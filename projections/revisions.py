"""The recorder over `config_revisions`: the eventsourcing library's process recorder, in asyncpg.

Same verbs and errors as `eventsourcing.persistence.ProcessRecorder` (whose suites it passes),
but awaited, because the library's recorders block. Must never update or delete a revision.

A notification id is `config_revisions.sequence`: the order of recording in this database,
without gaps. Tracking is a row of `checkpoints`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
from eventsourcing.persistence import IntegrityError, Notification, StoredEvent, Tracking

from domain.config import config_id, split_config_id
from projections.arrays import arrays
from projections.batch import Revision

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

APPLICATION = "guardian"
"""The checkpoint that the projector keeps: the position in the Raft log."""

_TAKE_SEQUENCES = """
INSERT INTO checkpoints (application_name, notification_id, last_sequence, updated_at)
VALUES ($1, 0, $2, now())
ON CONFLICT (application_name) DO UPDATE
SET last_sequence = checkpoints.last_sequence + $2, updated_at = now()
RETURNING last_sequence
"""

APPEND = """
INSERT INTO config_revisions (
    id, sequence, project_id, config_key, version, event, state, position, change_id,
    change_index, created_at, content, schema_id, schema_version, comment,
    created_by_user_id, created_by_email, hash)
SELECT r.change_id || '.' || r.change_index, $1 + r.ordinality, r.project_id, r.config_key,
    r.version, r.event, r.state, r.position, r.change_id, r.change_index, r.created_at,
    r.content::jsonb, r.schema_id, r.schema_version, r.comment, r.created_by_user_id,
    r.created_by_email, r.hash
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::bigint[],
    $8::text[], $9::int[], $10::timestamptz[], $11::text[], $12::text[], $13::int[],
    $14::text[], $15::text[], $16::text[], $17::bytea[])
WITH ORDINALITY AS r (project_id, config_key, version, event, state, position, change_id,
    change_index, created_at, content, schema_id, schema_version, comment,
    created_by_user_id, created_by_email, hash, ordinality)
"""
"""Inserts revisions behind the sequence $1, which the caller holds: nobody else takes the same
ones. The other arguments are those of `columns_of`."""

_MOVE_TRACKING = """
INSERT INTO checkpoints (application_name, notification_id, updated_at)
VALUES ($1, $2, now())
ON CONFLICT (application_name) DO UPDATE
SET notification_id = excluded.notification_id, updated_at = now()
WHERE checkpoints.notification_id < excluded.notification_id
RETURNING 1
"""

_SELECT_EVENTS = """
SELECT version, event, state FROM config_revisions
WHERE project_id = $1 AND config_key = $2 AND version > $3 AND version <= $4
ORDER BY version {order} LIMIT $5
"""
_SELECT_EVENTS_ASC = _SELECT_EVENTS.format(order="ASC")
_SELECT_EVENTS_DESC = _SELECT_EVENTS.format(order="DESC")

_SELECT_NOTIFICATIONS = """
SELECT sequence, project_id, config_key, version, event, state FROM config_revisions
WHERE sequence >= $1 AND sequence <= $2 AND (cardinality($3::text[]) = 0 OR event = ANY($3))
ORDER BY sequence LIMIT $4
"""

_BIGINT_MAX = 2**63 - 1


def columns_of(revisions: Sequence[Revision]) -> list[list[Any]]:
    """The revisions as arrays, one for each column: $2 to $17 of `APPEND`."""
    rows = [
        (
            *split_config_id(str(r.originator_id)),
            r.originator_version,
            r.topic,
            r.state,
            r.position,
            r.change_id,
            r.change_index,
            r.created_at,
            r.content,
            r.schema_id,
            r.schema_version,
            r.comment,
            r.created_by_user_id,
            r.created_by_email,
            r.hash,
        )
        for r in revisions
    ]
    return arrays(rows, 16)


class RevisionsRecorder:
    """Records and reads revisions on one connection. Every method is one transaction.

    Raises the library's IntegrityError for a version or a tracking position that is
    already recorded; then nothing of the call was recorded.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert_events(
        self, revisions: Sequence[Revision], *, tracking: Tracking | None = None
    ) -> list[int]:
        """Record events, and the tracking position with them; return the notification ids."""
        try:
            async with self._connection.transaction():
                if tracking is not None:
                    await self._move(tracking)
                if not revisions:
                    return []
                count = len(revisions)
                last = await self._connection.fetchval(_TAKE_SEQUENCES, APPLICATION, count)
                await self._connection.execute(APPEND, last - count, *columns_of(revisions))
                return list(range(last - count + 1, last + 1))
        except asyncpg.IntegrityConstraintViolationError as error:
            raise IntegrityError(str(error)) from error

    async def insert_tracking(self, tracking: Tracking) -> None:
        """Move a tracking position on; it never moves back and never repeats."""
        async with self._connection.transaction():
            await self._move(tracking)

    async def _move(self, tracking: Tracking) -> None:
        moved = await self._connection.fetchval(
            _MOVE_TRACKING, tracking.application_name, tracking.notification_id
        )
        if moved is None:
            raise IntegrityError(
                f"{tracking.application_name} is at or behind {tracking.notification_id} already"
            )

    async def max_tracking_id(self, application_name: str) -> int | None:
        """The last tracked position; None if nothing was tracked."""
        position: int | None = await self._connection.fetchval(
            "SELECT notification_id FROM checkpoints WHERE application_name = $1",
            application_name,
        )
        return position

    async def select_events(
        self,
        originator_id: str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """The events of one config with `gt` < version <= `lte`, by version."""
        rows = await self._connection.fetch(
            _SELECT_EVENTS_DESC if desc else _SELECT_EVENTS_ASC,
            *split_config_id(originator_id),
            -1 if gt is None else gt,
            _BIGINT_MAX if lte is None else lte,
            limit,
        )
        return [
            StoredEvent(originator_id, row["version"], row["event"], row["state"]) for row in rows
        ]

    async def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """Events in the order of recording, from `start` to `stop`, both included."""
        first = 0 if start is None else start if inclusive_of_start else start + 1
        rows = await self._connection.fetch(
            _SELECT_NOTIFICATIONS, first, _BIGINT_MAX if stop is None else stop, topics, limit
        )
        return [
            Notification(
                originator_id=config_id(row["project_id"], row["config_key"]),
                originator_version=row["version"],
                topic=row["event"],
                state=row["state"],
                id=row["sequence"],
            )
            for row in rows
        ]

    async def max_notification_id(self) -> int | None:
        """The last notification id; None if nothing was recorded."""
        last: int | None = await self._connection.fetchval(
            "SELECT max(sequence) FROM config_revisions"
        )
        return last
