"""The eventsourcing library's own recorder suites, on our recorder over config_revisions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)

from tests.projections.recorder_bridge import PROJECT, BlockingRecorder, LoopThread


async def _make_project(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO users (id, email, password_hash) VALUES ('u', 'u', '')")
    await connection.execute(
        "INSERT INTO projects (id, name, owner_user_id, api_key) VALUES ($1, 'suite', 'u', 'k')",
        PROJECT,
    )
    await connection.close()


class OnOurRecorder:
    """Gives each test of a suite a recorder on a database of its own."""

    returns_ids = True
    _thread: LoopThread

    @pytest.fixture(autouse=True)
    def _database(self, database_url: str) -> Iterator[None]:
        asyncio.run(_make_project(database_url))
        self._thread = LoopThread(database_url)
        yield
        self._thread.close()

    def create_recorder(self) -> BlockingRecorder:
        return BlockingRecorder(self._thread, returns_ids=self.returns_ids)


class TestAggregateRecorder(OnOurRecorder, AggregateRecorderTestCase):
    returns_ids = False  # this suite's recorder has no notification ids


class TestApplicationRecorder(OnOurRecorder, ApplicationRecorderTestCase[BlockingRecorder]):
    pass


class TestTrackingRecorder(OnOurRecorder, TrackingRecorderTestCase):
    pass


class TestProcessRecorder(OnOurRecorder, ProcessRecorderTestCase):
    pass


class TestNonInterleavingNotificationIDs(OnOurRecorder, NonInterleavingNotificationIDsBaseCase):
    pass
