"""The JetStream adapter on three real servers that nothing happens to."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from consensus.jetstream import JetStreamLog
from consensus.log import Log
from tests.consensus.contract import LogContract
from tests.consensus.raft_group import RaftGroup


class TestJetStreamLog(LogContract):
    @pytest.fixture
    async def log(self, shared_group: RaftGroup) -> AsyncIterator[Log]:
        log = await JetStreamLog.connect(
            shared_group.urls,
            f"log-{uuid.uuid4().hex}",
            monitor_urls=shared_group.monitor_urls,
        )
        yield log
        await log.close()
