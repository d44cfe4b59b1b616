"""Logs on the run's Raft group, each on a stream of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import nats
import nats.errors
import nats.js.errors
import pytest
from nats.js import JetStreamContext

from consensus.jetstream import JetStreamLog
from tests.support.old_stream import add_old_stream
from tests.support.servers import RaftAddress

TIMEOUT_S = 10.0


@pytest.fixture
async def admin(nats_url: str) -> AsyncIterator[JetStreamContext]:
    """The engine's own interface, to do what our adapter never does."""
    client = await nats.connect(nats_url.split(","))
    yield client.jetstream(timeout=TIMEOUT_S)
    await client.close()


async def connect(raft_group: RaftAddress, stream_name: str, **options: Any) -> JetStreamLog:
    return await JetStreamLog.connect(
        raft_group.url.split(","), stream_name, monitor_urls=raft_group.monitor_urls, **options
    )


@pytest.fixture
async def jetstream_log(raft_group: RaftAddress, stream_name: str) -> AsyncIterator[JetStreamLog]:
    log = await connect(raft_group, stream_name)
    yield log
    await log.close()


@pytest.fixture
async def ungrouped_log(
    admin: JetStreamContext, raft_group: RaftAddress, stream_name: str
) -> AsyncIterator[JetStreamLog]:
    """On a stream as it was made before there were groups."""
    await add_old_stream(admin, stream_name)
    log = await connect(raft_group, stream_name)
    yield log
    await log.close()
