"""Goal: searches in contents cost the others nothing, whatever is searched for.

Method: a lock on `configs` holds searches up in PostgreSQL, as a dear comparison would.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
import pytest

from app.services import SERVICES
from app.tables import history
from domain.json_containment import without_repeats
from tests.support.service import Client, Service
from tests.support.waiting import until


@asynccontextmanager
async def held_up(database_url: str) -> AsyncIterator[None]:
    """No search ends meanwhile."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE configs IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def test_searches_of_one_tenant_leave_connections_to_the_others(
    service: Service, admin: Client, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One takes a slot and a connection, the rest wait without; too many are refused."""
    monkeypatch.setattr(history, "SEARCH_TIMEOUT", "60s")
    searches = service.app[SERVICES].searches
    ann = await service.user(admin, "ann")
    project, _ = await service.project(admin)
    url = f"{project}/configs?match=1"
    async with held_up(database_url):
        asked = [asyncio.create_task(admin("GET", url)) for _ in range(17)]
        await until(lambda: searches.waiting == 16)
        refused = await admin("GET", url)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert refused.json["type"] == "/problems/too-many-requests"
        assert (await ann("GET", "/v1/projects")).status == 200
        assert not any(task.done() for task in asked)
    assert {answer.status for answer in await asyncio.gather(*asked)} == {200}


async def test_a_search_is_answered_while_another_tenants_wait(
    service: Service, admin: Client
) -> None:
    searches = service.app[SERVICES].searches
    ann = await service.user(admin, "ann")
    project, _ = await service.project(ann)
    url = f"{project}/configs?match=1"
    made = await admin("POST", "/v1/projects", json={"name": "mine"})
    async with searches.hold(f"user:{made.json['owner_user_id']}"):
        asked = asyncio.create_task(admin("GET", url))
        await until(lambda: searches.waiting == 1)
        assert (await ann("GET", url)).status == 200
        assert not asked.done()
    assert (await asked).status == 200


async def test_a_search_that_takes_too_long_is_ended(
    admin: Client, configs: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SEARCH_TIMEOUT", "50ms")
    async with held_up(database_url):
        answer = await admin("GET", f"{configs}?match=1")
    assert (answer.status, answer.json["type"]) == (400, "/problems/invalid-parameter")
    assert answer.json["parameter"] == "match"
    assert "too long" in answer.json["detail"]
    assert (await admin("GET", f"{configs}?match=1")).status == 200


async def test_what_is_searched_for_has_a_bound(admin: Client, configs: str) -> None:
    """PostgreSQL cannot be stopped while it compares one content: its work is a product."""
    content = {"all": [[n] for n in range(101)]}
    await admin("PUT", f"{configs}/a", json={"content": content, "version": 0})

    async def found(value: Any) -> int:
        match = orjson.dumps(value).decode()
        answer = await admin("GET", configs, params={"match": match})
        if answer.status == 400:
            assert answer.json["parameter"] == "match"
            return 400
        return len(answer.json["items"])

    assert await found({"all": [[n] for n in range(50)]}) == 1
    assert await found({"all": [[n] for n in range(51)]}) == 400
    assert await found({"all": [[0]] * 900}) == 1
    assert await found({"all": [[n] for n in range(49)] + [[101]]}) == 0
    assert await found(list(range(101))) == 400


def _document(pick: random.Random, depth: int) -> Any:
    kind = pick.randrange(4 if depth else 2)
    if kind == 2:
        return [_document(pick, depth - 1) for _ in range(pick.randrange(5))]
    if kind == 3:
        return {name: _document(pick, depth - 1) for name in pick.sample("abc", pick.randrange(3))}
    return pick.choice([0, 1, 1.0, True, False, None, "", "x"])


async def test_without_repeats_the_same_is_found(database_url: str) -> None:
    """PostgreSQL's word for it, over three thousand pairs of documents."""
    pick = random.Random(7)
    pairs = [(_document(pick, 3), _document(pick, 3)) for _ in range(3000)]
    rows = [
        (orjson.dumps(content).decode(), *(orjson.dumps(m).decode() for m in matches))
        for content, match in pairs
        for matches in [(match, without_repeats(match))]
    ]
    connection = await asyncpg.connect(database_url)
    try:
        same = await connection.fetch(
            "SELECT c::jsonb @> m::jsonb AS before, c::jsonb @> w::jsonb AS after"
            " FROM unnest($1::text[], $2::text[], $3::text[]) AS t (c, m, w)",
            *map(list, zip(*rows, strict=True)),
        )
    finally:
        await connection.close()
    assert all(row["before"] == row["after"] for row in same)
    assert len({row["before"] for row in same}) == 2
