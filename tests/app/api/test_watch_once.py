"""Goal: whatever happens to a watcher, it receives each revision once, in order.

Method: real connections to two web processes over one database; 10,000 changes of 100 keys by
several writers, while each watcher is cut after a random number of events, moves to the other
process, or stops reading for a while. What they took must equal config_revisions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import asyncpg

from app.changes import Change
from app.services import SERVICES
from domain.change_set import Actor
from tests.app.api.test_watch import watch_of
from tests.support.service import Client, Service, run_web
from tests.support.sse import Event, watching

KEYS = [f"k{n:03}" for n in range(100)]
LAST_KEY = "k03-last"
CHANGES = 10_000
WRITERS = 4


async def commit(service: Service, configs: str, contents: Mapping[str, Any]) -> int:
    """One change set over several configs, whatever their versions; its position."""
    services, project_id = service.app[SERVICES], configs.split("/")[3]
    changes = [
        Change(key, services.model.head(project_id, key).version, content=content)
        for key, content in contents.items()
    ]
    committed = await services.writer.commit(project_id, changes, Actor(), tenant="test")
    return committed.position


class Progress:
    """How many revisions are made; watchers who are slow wait on it."""

    def __init__(self) -> None:
        self.made = 0
        self.done = False
        self._more = asyncio.Condition()

    async def add(self, count: int) -> None:
        async with self._more:
            self.made += count
            self.done = self.made >= CHANGES
            self._more.notify_all()

    async def wait_for_more(self, count: int) -> None:
        target = self.made + count
        async with self._more:
            await self._more.wait_for(lambda: self.done or self.made >= target)


async def write(service: Service, configs: str, progress: Progress, number: int) -> None:
    """Change sets of random size over this writer's share of the keys, until enough was made."""
    rng = random.Random(number)
    keys = KEYS[number::WRITERS]
    while not progress.done:
        chosen = rng.sample(keys, rng.choice((1, 2, 5, 25, 25, 25)))
        await commit(service, configs, {key: rng.random() for key in chosen})
        await progress.add(len(chosen))


async def watch(
    clients: Sequence[Client], path: str, progress: Progress, seed: int
) -> tuple[list[tuple[str, int, str]], int]:
    """What one watcher took up to the last change, and how often it had to connect."""
    rng = random.Random(seed)
    taken: list[tuple[str, int, str]] = []
    last_id, connections = "0", 0
    while not taken or taken[-1][0] != LAST_KEY:
        connections += 1
        torn: list[Event] = []
        patience = rng.choice((1, 10, 300, 3000))
        async with watching(rng.choice(clients), path, last_id) as stream:
            async for event in stream:
                torn.append(event)
                if event.last_event_id != last_id:  # the change set is whole
                    taken += [(e.data["key"], e.data["version"], e.data["change_id"]) for e in torn]
                    torn, last_id = [], event.last_event_id
                patience -= 1
                if patience <= 0 or event.data["key"] == LAST_KEY:
                    break
                if rng.random() < 0.001:
                    await progress.wait_for_more(rng.randrange(1, 1000))
    return taken, connections


async def test_a_cut_moved_and_slowed_watcher_receives_each_revision_once_in_order(
    service: Service, admin: Client, configs: str
) -> None:
    progress = Progress()
    async with (
        run_web(service.settings) as (_, elsewhere),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        clients = [
            Client(session, base_url, admin.headers) for base_url in (admin.base_url, elsewhere)
        ]
        paths = [watch_of(configs)] * 3 + [watch_of(configs) + "?prefix=k03"]
        async with asyncio.TaskGroup() as tasks:
            watchers = [
                tasks.create_task(watch(clients, path, progress, seed))
                for seed, path in enumerate(paths)
            ]
            await asyncio.gather(*(write(service, configs, progress, n) for n in range(WRITERS)))
            await commit(service, configs, {LAST_KEY: None})
        recorded = await _recorded(service)
        assert len(recorded) > CHANGES
        for watcher in watchers[:3]:
            taken, connections = watcher.result()
            assert connections > 5
            assert taken == recorded
        assert watchers[3].result()[0] == [r for r in recorded if r[0].startswith("k03")]


async def _recorded(service: Service) -> list[tuple[str, int, str]]:
    connection = await asyncpg.connect(service.settings.database_url)
    try:
        rows = await connection.fetch(
            "SELECT config_key, version, change_id FROM config_revisions ORDER BY sequence"
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]
