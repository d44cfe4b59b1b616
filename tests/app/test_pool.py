"""Goal: whoever waits for a connection is ended when the database is found silent, and nothing else
ends: not the process that found it out."""

from __future__ import annotations

import asyncio
import re
import socket
import time

import asyncpg
import pytest
from asyncpg.exceptions import ClientConfigurationError

from app.errors import Unavailable
from app.metrics import Metrics
from app.pool import connect_pool
from projections.database import Silence
from tests.consensus.contract import eventually
from tests.projections.test_silent_database import Proxy, proxied


async def test_a_silence_that_is_found_at_the_end_of_a_connections_own_time_is_no_fault(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have the same time, and where a process was stopped both ends come in one turn. What was
    given up by itself just then could not be ended any more, and the follower broke on it."""
    monkeypatch.setattr("app.pool.ANSWER_TIMEOUT_S", 0.3)
    silence, loop = Silence(), asyncio.get_running_loop()
    found: list[Exception] = []

    def notice() -> None:
        try:
            silence.noticed()
        except Exception as error:  # noqa: BLE001 - the test's finding
            found.append(error)

    async with proxied(database_url) as (proxy, url):
        pool = await connect_pool(url, Metrics(), silence, timeout_s=5)
        try:
            async with pool.acquire():
                waiting, _ = await _connecting_in_silence(pool, proxy)
                loop.call_later(0.35, notice)
                time.sleep(0.5)  # noqa: ASYNC251 - it is stopped
                with pytest.raises(TimeoutError):
                    await waiting
                assert silence.known
        finally:
            pool.terminate()
    assert found == []


async def test_while_the_database_says_nothing_no_connection_is_made_nor_waited_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.pool.ANSWER_TIMEOUT_S", 60)
    silence = Silence()
    async with proxied(database_url) as (proxy, url):
        pool = await connect_pool(url, Metrics(), silence, timeout_s=5)
        try:
            async with pool.acquire():
                waiting, accepted = await _connecting_in_silence(pool, proxy)
                silence.noticed()
                await asyncio.wait({waiting}, timeout=20)
                assert waiting.done()
                assert isinstance(waiting.exception(), TimeoutError)
                proxy.mute = False
                with pytest.raises(TimeoutError, match="says nothing"):
                    await pool.fetchval("SELECT 1")
                assert len(proxy.gates) == accepted + 1
                silence.over()
            assert await pool.fetchval("SELECT 1") == 1
        finally:
            pool.terminate()


async def test_a_database_that_is_away_is_told_in_time_and_a_url_that_is_none_at_once() -> None:
    with socket.socket() as refusing:  # nobody listens on it
        refusing.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{refusing.getsockname()[1]}/shop"
        url = f"postgresql://u:secret@{place}"
        away = re.escape(f"cannot connect to PostgreSQL at {place} within 0 s: ")
        with pytest.raises(Unavailable, match=away):
            async with asyncio.timeout(20):
                await connect_pool(url, Metrics(), Silence(), timeout_s=0)
        with pytest.raises(ClientConfigurationError):
            await connect_pool(f"{url}?sslmode=none", Metrics(), Silence(), timeout_s=0)


async def _connecting_in_silence(
    pool: asyncpg.Pool, proxy: Proxy
) -> tuple[asyncio.Task[object], int]:
    """A question whose connection gets no answer, and how many connections there were before; of a
    pool whose others are all taken."""
    proxy.mute = True
    accepted = len(proxy.gates)
    waiting = asyncio.create_task(pool.fetchval("SELECT 1"))

    async def connecting() -> bool:
        return len(proxy.gates) > accepted

    await eventually(connecting)
    return waiting, accepted
