"""A blocking face on our awaited recorder, for the eventsourcing library's own suites.

Lives in tests only. The suites number versions from 0 and name their aggregates by UUID; ours
start at 1 and are `project/key`: the bridge translates, and does what the projector does around
the recorder (it makes the parent rows in `configs`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import uuid_utils
from eventsourcing.persistence import (
    Notification,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
)

from domain.config import config_id, split_config_id
from projections.batch import Revision
from projections.revisions import RevisionsRecorder

T = TypeVar("T")
PROJECT = "suite"
_PARENTS = """
INSERT INTO configs (project_id, key, version, content, position, created_at, updated_at)
SELECT $1, key, 1, 'null', 1, now(), now() FROM unnest($2::text[]) AS k (key)
ON CONFLICT DO NOTHING
"""


class LoopThread:
    """An event loop on a thread of its own, with one connection."""

    def __init__(self, dsn: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.lock = asyncio.Lock()
        self.connection: asyncpg.Connection = self.run(asyncpg.connect(dsn))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        self.run(self.connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _ours(event: StoredEvent) -> Revision:
    return Revision(
        originator_id=config_id(PROJECT, str(event.originator_id)),
        originator_version=event.originator_version + 1,
        topic=event.topic,
        state=event.state,
        position=1,
        change_id=str(uuid_utils.uuid7()),
        change_index=0,
        created_at=datetime.now(UTC),
        content="null",
        schema_id=None,
        schema_version=None,
        comment=None,
        created_by_user_id=None,
        created_by_email=None,
        hash=bytes(32),
    )


def _theirs(event: StoredEvent) -> StoredEvent:
    return replace(
        event,
        originator_id=UUID(split_config_id(str(event.originator_id))[1]),
        originator_version=event.originator_version - 1,
    )


class BlockingRecorder(ProcessRecorder):
    """The library's interface on our recorder."""

    def __init__(self, thread: LoopThread, *, returns_ids: bool = True) -> None:
        self._thread = thread
        self._recorder = RevisionsRecorder(thread.connection)
        self._returns_ids = returns_ids

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        async def alone() -> T:
            async with self._thread.lock:  # one connection, one statement at a time
                return await work

        return self._thread.run(alone())

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        async def insert() -> list[int]:
            revisions = [_ours(event) for event in stored_events]
            keys = [split_config_id(str(r.originator_id))[1] for r in revisions]
            async with self._thread.connection.transaction():
                await self._thread.connection.execute(_PARENTS, PROJECT, keys)
                return await self._recorder.insert_events(revisions, **kwargs)

        ids = self._run(insert())
        return ids if self._returns_ids and stored_events else None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        events = self._run(
            self._recorder.select_events(
                config_id(PROJECT, str(originator_id)),
                gt=None if gt is None else gt + 1,
                lte=None if lte is None else lte + 1,
                desc=desc,
                limit=limit,
            )
        )
        return [_theirs(event) for event in events]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        notifications = self._run(
            self._recorder.select_notifications(
                start, limit, stop, topics, inclusive_of_start=inclusive_of_start
            )
        )
        found = [_theirs(notification) for notification in notifications]
        return [event for event in found if isinstance(event, Notification)]

    def max_notification_id(self) -> int | None:
        return self._run(self._recorder.max_notification_id())

    def insert_tracking(self, tracking: Tracking) -> None:
        self._run(self._recorder.insert_tracking(tracking))

    def max_tracking_id(self, application_name: str) -> int | None:
        return self._run(self._recorder.max_tracking_id(application_name))

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[Any]:
        raise NotImplementedError("followers LISTEN instead (projections/follower.py)")
