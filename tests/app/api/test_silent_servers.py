"""Goal: nobody waits long for what says nothing, though nothing ended the connections to it.

Method: every process of a real PostgreSQL is stopped. The limits here are far above the times that
docs/RELIABILITY.md gives, and far below those that it took (24 s, a minute, longer than 100 s).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest

from app import migrations
from app.embedded.postgres import Postgres
from app.services import SERVICES
from consensus.log import LogStatus
from tests.app.api.test_consistency import until
from tests.app.api.test_watch import put
from tests.app.api.test_watch_ends import named_key
from tests.projections.test_silent_database import proxied
from tests.support.processes import family
from tests.support.service import Answer, Client, Service, run_service, settings_for

pytestmark = pytest.mark.faults
LONG_S = 20.0


@asynccontextmanager
async def running(server: Postgres, nats_url: str, stream: str) -> AsyncIterator[Service]:
    await migrations.up(server.url())
    async with run_service(settings_for(server.url(), nats_url, stream)) as service:
        yield service


@contextmanager
def frozen(server: Postgres) -> Iterator[None]:
    processes = family(server.child.pid)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def test_readiness_names_a_frozen_database_before_anybody_else_noticed(
    private_postgres: Postgres, nats_url: str, stream_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for the end of its question, which came with that of the connection."""
    monkeypatch.setattr("projections.follower.ANSWER_TIMEOUT_S", 1000.0)
    async with running(private_postgres, nats_url, stream_name) as service:
        assert (await service.anonymous("GET", "/readyz")).status == 200
        with frozen(private_postgres):
            async with asyncio.timeout(LONG_S):
                answer = await service.anonymous("GET", "/readyz")
        assert answer.status == 503
        checks = answer.json["checks"]
        assert "no answer within 2 s" in checks["database"]["reason"]
        assert checks["log"] == {"ok": True}
        await until(200, lambda: service.anonymous("GET", "/readyz"), 60)


async def test_who_is_not_known_is_told_soon_that_the_database_says_nothing(
    private_postgres: Postgres, nats_url: str, stream_name: str
) -> None:
    async with running(private_postgres, nats_url, stream_name) as service:
        admin = await service.anonymous.sign_in()
        project, key = await service.project(admin)
        configs = f"{project}/configs"
        await put(admin, configs, "a", 1)
        strangers = [await named_key(service, configs) for _ in range(15)]
        reader = service.anonymous.with_headers(**{"X-API-Key": key})
        stale = f"{configs}/a?consistency=stale"
        assert (await reader("GET", stale)).status == 200
        asked = [(stranger, "GET", stale) for stranger in strangers]
        asked += [(reader, "GET", f"{configs}/a/revisions"), (admin, "GET", "/v1/projects")]
        with frozen(private_postgres):
            async with asyncio.timeout(LONG_S):
                # More than there are connections; first while nobody knows, then while it is known.
                for _ in range(2):
                    answers = await asyncio.gather(*(_ask(*each) for each in asked))
                    assert {answer.status for answer in answers} == {503}
                    assert all("Retry-After" in answer.headers for answer in answers)
                assert (await reader("GET", stale)).status == 200
            assert service.app[SERVICES].pool.get_size() == 0
        for each in asked:
            await until(200, lambda each=each: _ask(*each), 60)  # type: ignore[misc]


async def _ask(client: Client, method: str, path: str) -> Answer:
    return await client(method, path)


async def test_a_question_ends_with_who_asked_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose request was ended went on, and kept its connection."""
    asked, ended = asyncio.Event(), asyncio.Event()

    async def silent() -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(service.app[SERVICES].log, "status", silent)
    monkeypatch.setattr("app.api.middleware.HANDLER_TIMEOUT_S", 0.2)
    assert (await service.anonymous("GET", "/readyz")).status == 503
    assert asked.is_set()
    async with asyncio.timeout(1):
        await ended.wait()


async def test_readiness_names_a_leader_without_a_quorum(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both followers frozen it answered 200 while no change could be committed."""
    status = await service.log.status()

    async def two_are_silent() -> LogStatus:
        members = (replace(each, online=each.name == status.leader) for each in status.members)
        return replace(status, members=tuple(members))

    monkeypatch.setattr(service.app[SERVICES].log, "status", two_are_silent)
    answer = await service.anonymous("GET", "/readyz")
    assert answer.status == 503
    assert answer.json["checks"]["log"]["reason"] == "no quorum: 1 of 3 members are online"


async def test_a_change_under_a_schema_does_not_wait_longer_than_others(
    database_url: str, nats_url: str, stream_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waited 5 s for the lock on its schema, those of other schemas one after the other."""
    async with (
        proxied(database_url) as (proxy, url),
        run_service(settings_for(url, nats_url, stream_name)) as service,
    ):
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        keys = ["a", "b", "c"]
        for key in keys:
            made = await admin("POST", "/v1/schemas", json={"name": key, "schema": {}})
            bound = {"content": 1, "version": 0, "schema_id": made.json["id"]}
            assert (await admin("PUT", f"{project}/configs/{key}", json=bound)).status == 201
        monkeypatch.setattr("projections.follower.CHECK_INTERVAL_S", 0.1)
        monkeypatch.setattr("projections.follower.ANSWER_TIMEOUT_S", 0.5)
        proxy.swallow()
        change = {"content": 2, "version": 1}
        paths = [f"{project}/configs/{key}" for key in keys]
        async with asyncio.timeout(4):
            answers = await asyncio.gather(*(admin("PUT", path, json=change) for path in paths))
        # The first waited for the lock; another may come when the database speaks again.
        assert {answer.status for answer in answers} <= {200, 503}
        refused = {answer.json["type"] for answer in answers if answer.status == 503}
        assert refused == {"/problems/unavailable"}
