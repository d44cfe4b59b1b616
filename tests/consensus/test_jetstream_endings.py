"""Each way in which nats-py's client ends without a word; the log goes on with a new one.

Method: one server, so there is no other to go on with, behind a proxy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from consensus.jetstream import JetStreamLog
from consensus.jetstream_connection import _require_cancelled
from consensus.jetstream_layout import GROUP_ROOM
from consensus.log import LogUnavailable
from tests.consensus.contract import append, eventually
from tests.consensus.lone_server import lone_server
from tests.consensus.proxy import Proxy

TIMEOUT_S = 20.0
ENDLESS_LINE = b"x" * 100_000
"""More than nats-py's reader holds, and no newline: it raises ValueError."""


@pytest.fixture
async def proxy(tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Proxy]:
    with lone_server(tmp_path, unused_tcp_port) as url:
        async with Proxy(url) as proxy:
            yield proxy


@pytest.fixture
async def log(proxy: Proxy) -> AsyncIterator[JetStreamLog]:
    log = await JetStreamLog.connect([proxy.url], "log", replicas=1, timeout=TIMEOUT_S)
    yield log
    await log.close()


async def test_a_client_whose_reconnecting_dies_is_replaced(
    proxy: Proxy, log: JetStreamLog, caplog: pytest.LogCaptureFixture
) -> None:
    assert await append(log, b"1") == GROUP_ROOM
    old = log._connection.client
    proxy.greeting = ENDLESS_LINE  # whatever has the server's port for a moment
    proxy.cut()

    async def dead() -> bool:
        task = old._reconnection_task
        return task is not None and task.done() and task.exception() is not None

    await eventually(dead)
    waiting = asyncio.create_task(append(log, b"2"))
    greeted = proxy.greeted

    async def tried_again() -> bool:
        return proxy.greeted > greeted

    await eventually(tried_again)  # and the new client met the same, and was not the last
    proxy.greeting = None
    async with asyncio.timeout(TIMEOUT_S):
        assert await waiting == 2 * GROUP_ROOM
    assert log._connection.client is not old
    told = [record for record in caplog.records if record.name == "consensus.jetstream_connection"]
    assert any(record.exc_info for record in told if record.levelno == logging.WARNING)


async def test_a_client_that_died_while_it_closed_is_replaced(log: JetStreamLog) -> None:
    assert await append(log, b"1") == GROUP_ROOM
    old = log._connection.client
    # What an error of the server does whose connection breaks at that moment: nats-py's task
    # dies at what it has yet to send, and calls nobody back.
    await old._close(Client.CLOSED, do_cbs=False)
    async with asyncio.timeout(TIMEOUT_S):
        assert await append(log, b"2") == 2 * GROUP_ROOM
    assert log._connection.client is not old


async def test_what_is_no_nats_server_is_told_when_it_is_connected_to(proxy: Proxy) -> None:
    proxy.greeting = ENDLESS_LINE
    with pytest.raises(LogUnavailable, match="cannot connect to NATS at nats://127"):
        await JetStreamLog.connect([proxy.url], "log", replicas=1, timeout=TIMEOUT_S)


async def test_a_connection_that_nobody_keeps_ends_the_process() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    async def ended() -> None:
        await asyncio.Event().wait()

    keeping = asyncio.create_task(broken()), asyncio.create_task(ended())
    keeping[1].cancel()
    await asyncio.wait(keeping)
    with pytest.raises(SystemExit, match="nobody keeps the connection"):
        _require_cancelled(keeping[0])
    _require_cancelled(keeping[1])


async def test_who_waits_for_nats_says_for_which(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For 30 s nothing was told at all."""
    monkeypatch.setattr("consensus.jetstream_connection._FIRST_TOLD_S", 0.01, raising=False)
    url = f"nats://user:hush@127.0.0.1:{unused_tcp_port}"
    waiting = asyncio.create_task(JetStreamLog.connect([url], "log", timeout=TIMEOUT_S))

    async def told() -> bool:
        return f"no connection to nats://127.0.0.1:{unused_tcp_port} yet" in caplog.text

    await eventually(told)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert "hush" not in caplog.text


async def test_a_connection_that_is_lost_is_told_with_its_servers(
    proxy: Proxy, log: JetStreamLog, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.cut()

    async def told() -> bool:
        return f"the connection to {proxy.url} is lost" in caplog.text

    await eventually(told)
    assert await append(log, b"1") == GROUP_ROOM


async def test_who_waits_for_a_leader_says_of_which_group(
    tmp_path: Path,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One of a group that nobody else of is there answers nothing."""
    monkeypatch.setattr("consensus.jetstream._FIRST_TOLD_S", 0.01, raising=False)
    alone = {"name": "group", "listen": "127.0.0.1:-1", "routes": ["nats://127.0.0.1:1"]}
    with lone_server(tmp_path, unused_tcp_port, server_name="one", cluster=alone) as url:
        waiting = asyncio.create_task(JetStreamLog.connect([url], "log", timeout=TIMEOUT_S))

        async def told() -> bool:
            return f"'log' at {url} is not ready yet" in caplog.text

        await eventually(told)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
