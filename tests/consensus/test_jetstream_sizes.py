"""A server that takes less than the one before it: what is known of an entry between the two."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from consensus.jetstream import JetStreamLog
from consensus.jetstream_layout import GROUP_ROOM, subject_of
from consensus.log import AppendOutcomeUnknown, EntryKind, EntryTooLarge
from tests.consensus.contract import new_id, positions, read
from tests.consensus.lone_server import lone_server
from tests.consensus.proxy import Proxy

TIMEOUT_S = 20.0
LARGE, SMALL = 4 * 1024 * 1024, 64 * 1024
ENTRY = bytes(2 * SMALL)
AT_THE_EDGE = bytes(SMALL)
"""With its headers too large, by itself not: a server that is sent it ends the connection."""


async def connect(url: str) -> JetStreamLog:
    return await JetStreamLog.connect([url], "log", replicas=1, timeout=TIMEOUT_S)


async def test_too_large_for_the_next_server_does_not_say_that_the_first_one_refused(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    with lone_server(tmp_path, unused_tcp_port, max_payload=LARGE) as url:
        direct = await connect(url)
        async with Proxy(url) as proxy:
            log = await connect(proxy.url)
            proxy.mute = True
            appending = asyncio.create_task(log.append(new_id(), ENTRY, timeout=TIMEOUT_S / 2))
            assert positions(await read(direct.reader(0), 1)) == [GROUP_ROOM]
            await direct.close()
    with lone_server(tmp_path, unused_tcp_port, max_payload=SMALL):
        async with Proxy(url, proxy.port) as proxy:
            with pytest.raises(AppendOutcomeUnknown, match="of this size"):
                await appending
            with pytest.raises(EntryTooLarge):  # and nothing is left of the attempt before it
                await log._publisher.publish(
                    subject_of("log", EntryKind.CHANGE),
                    AT_THE_EDGE,
                    {"Nats-Msg-Id": new_id()},
                    timeout=TIMEOUT_S,
                )
            await log.close()
