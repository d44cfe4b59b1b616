"""A watcher who wants few of a project's changes reads what was missed in bounded pages, and gets
the same: nothing twice, nothing left out, each change set under one id."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import groupby

import asyncpg
import pytest

from app import watch_history
from app.tables import watch
from app.watch_events import Filter
from app.watch_history import WatchHistory
from projections.read_model import ReadModel
from tests.support.rows import insert_project, insert_user

SCANNED = 10
PAGE_REVISIONS = 4
SETS = [1, 1, 4, 2, 9, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5, 3]
"""How many configs each change set changes; none more than a page looks at."""

_ADD = """
INSERT INTO config_revisions (id, sequence, project_id, config_key, version, event, state,
    position, change_id, change_index, created_at, content, hash)
VALUES ($1 || '.' || $2::int, $3, $4, $5, $3, 'config:created', '{"content":1,"actor":{}}', $6, $1,
    $2, now(), '1', '')
"""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        yield pool


async def _fill(database_url: str) -> list[tuple[int, str]]:
    """Two projects by turns; (position, key) of what is recorded of the first."""
    recorded = []
    connection = await asyncpg.connect(
        database_url, server_settings={"session_replication_role": "replica"}
    )
    try:
        await insert_user(connection, "u")
        for project in ("p", "q"):
            await insert_project(connection, project, "u")
        sequence = 0
        for number, size in enumerate(SETS):
            for project in ("p", "q"):
                position = 200 * number + (100 if project == "p" else 200)
                for index in range(size):
                    sequence += 1
                    key = f"k{index % 3}"
                    change = f"{project}{number}"
                    await connection.execute(_ADD, change, index, sequence, project, key, position)
                    recorded += [(position, key)] if project == "p" else []
    finally:
        await connection.close()
    return recorded


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter("k"),
        Filter("k2"),
        Filter("nothing"),
        Filter(keys=frozenset({"k1", "k2"})),
        Filter(keys=frozenset({"not there"})),
    ],
    ids=["all", "all by prefix", "prefix", "no prefix", "keys", "no key"],
)
async def test_pages_that_look_at_little_give_the_same(
    database_url: str, pool: asyncpg.Pool, wanted: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = await _fill(database_url)
    monkeypatch.setattr(watch, "MAX_SCANNED", SCANNED)
    monkeypatch.setattr(watch_history, "PAGE_REVISIONS", PAGE_REVISIONS)
    model = ReadModel(10**6)
    model.start(200 * len(SETS), 2 * sum(SETS))
    history = WatchHistory(pool, model)
    events, sequence, position = b"", None, None
    while position is None:
        page = await history.page("p", wanted, 0, sequence)
        assert sequence is None or page.sequence > sequence
        events, sequence, position = events + page.events, page.sequence, page.position
    expected = []
    for at, keys in groupby((one for one in recorded if wanted.matches(one[1])), lambda e: e[0]):
        named = [key for _, key in keys]
        expected += [(key, None) for key in named[:-1]] + [(named[-1], at)]
    found = [
        (re.findall(r'"key":"(\w+)"', event)[0], int(id_[1]) if id_ else None)
        for event in events.decode().split("\n\n")
        if event
        for id_ in [re.search(r"^id: ?(\d+)$", event, re.MULTILINE)]
    ]
    assert found == expected
    assert position == model.position


async def test_what_is_read_for_many_at_once_is_what_each_asked_for(
    database_url: str, pool: asyncpg.Pool
) -> None:
    """One page for all who ask for the same, whoever of them leaves meanwhile; for nobody else."""
    await _fill(database_url)
    model = ReadModel(10**6)
    model.start(200 * len(SETS), 2 * sum(SETS))
    history = WatchHistory(pool, model)
    asked: list[tuple[str, Filter, int, int | None]] = [
        ("p", Filter(), 0, None),
        ("p", Filter(), 500, None),
        ("p", Filter(), 0, 20),
        ("p", Filter(), 0, 30),
        ("p", Filter("k2"), 0, None),
        ("q", Filter(), 0, None),
    ]
    alone = [await history.page(*each) for each in asked]
    assert len({page.events for page in alone}) == len(asked)
    assert await asyncio.gather(*(history.page(*each) for each in asked)) == alone
    leaving, staying = (asyncio.create_task(history.page(*asked[0])) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == alone[0]
    assert not history._reading, "who asks next would get what was there before"
