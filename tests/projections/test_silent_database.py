"""Goal: a database that says nothing more, while its connections stay open, is noticed.

Its host lost power, or what is between forgot the connection: no reset comes. Method: a proxy that
swallows what goes over the connections which are open at a moment; new ones work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from projections.follower import Follower
from projections.projector import Projector
from projections.read_model import ReadModel
from tests.consensus.contract import eventually
from tests.projections.projector_world import World, write


@dataclass
class _Gate:
    open: bool = True


@dataclass
class Proxy:
    """From a TCP port to PostgreSQL's unix socket."""

    path: str
    gates: list[_Gate] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    mute: bool = False
    """Whether nothing passes over new connections either."""

    def swallow(self) -> None:
        """From now on nothing passes over the connections that are there."""
        for gate in self.gates:
            gate.open = False
        self.gates.clear()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client."""
        gate = _Gate(not self.mute)
        self.gates.append(gate)
        behind = await asyncio.open_unix_connection(self.path)
        for source, sink in ((reader, behind[1]), (behind[0], writer)):
            self.tasks.add(asyncio.create_task(_pump(source, sink, gate)))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: _Gate) -> None:
    try:
        while data := await source.read(65536):
            if gate.open:
                sink.write(data)
                await sink.drain()
    except ConnectionError:
        pass
    if gate.open:
        sink.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before the database behind `url`, and the URL through it."""
    parts = urlsplit(url)
    proxy = Proxy(parse_qs(parts.query)["host"][0] + "/.s.PGSQL.5432")
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, f"postgresql://guardian@127.0.0.1:{port}{parts.path}?sslmode=disable"
    finally:
        server.close()
        for task in proxy.tasks:
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)


async def test_a_follower_is_cut_off_and_comes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.follower.CHECK_INTERVAL_S", 0.1)
    monkeypatch.setattr("projections.follower.ANSWER_TIMEOUT_S", 0.3)
    async with proxied(world.url) as (proxy, url), world.projector():
        await world.reach(await world.append(write("a", 1)))
        model = ReadModel(100_000)
        running = asyncio.create_task(Follower(url, model).run())
        try:
            await eventually(lambda: _holds(model, 1))
            proxy.swallow()
            await world.reach(await world.append(write("a", 2)))
            await eventually(lambda: _holds(model, 2))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("at", ["connect", "listen", "page"])
async def test_a_follower_does_not_wait_for_a_database_that_falls_silent_while_it_asks(
    world: World, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """It had half a minute for it, and whoever waited for PostgreSQL waited as long."""
    monkeypatch.setattr("projections.follower.ANSWER_TIMEOUT_S", 0.3)
    asked: list[None] = []
    async with proxied(world.url) as (proxy, url):

        def swallowed_once(ask: Any) -> Any:
            async def asking(*what: Any, **how: Any) -> Any:
                proxy.mute = at == "connect" and not asked
                if not asked:
                    proxy.swallow()
                asked.append(None)
                return await ask(*what, **how)

            return asking

        owner, name = {
            "connect": (asyncpg, "connect"),
            "listen": (asyncpg.Connection, "add_listener"),
            "page": (Follower, "_page"),
        }[at]
        monkeypatch.setattr(owner, name, swallowed_once(getattr(owner, name)))
        model = ReadModel(100_000)
        running = asyncio.create_task(Follower(url, model).run())
        try:
            await eventually(lambda: _holds(model, 0))
            async with world.projector():
                await world.reach(await world.append(write("a", 1)))
            await eventually(lambda: _holds(model, 1))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert len(asked) >= 2


async def _holds(model: ReadModel, sequence: int) -> bool:
    return model.live and model.sequence == sequence


async def test_a_projector_and_its_standby_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.projector.HEARTBEAT_S", 0.1)
    monkeypatch.setattr("projections.projector.ANSWER_TIMEOUT_S", 0.3)
    monkeypatch.setattr("projections.projector.FROZEN_AFTER_MS", 1000)
    async with proxied(world.url) as (proxy, url):
        tasks = [asyncio.create_task(Projector(world.log, url).run()) for _ in range(2)]
        try:
            await world.append(write("a", 1))
            await eventually(lambda: _recorded(world, 1))
            proxy.swallow()
            await world.append(write("a", 2))
            await eventually(lambda: _recorded(world, 2))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _recorded(world: World, version: int) -> bool:
    return len(await world.versions()) == version
