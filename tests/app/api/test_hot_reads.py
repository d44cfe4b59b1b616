"""Goal: a read that is answered from memory at once is answered as the whole way would.

Method: a second server over the same application has nothing behind `HotReads`, so it shows what
comes from memory and what is handed on; a query that changes nothing sends the same request the
whole way, through the router and the middlewares.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict

from app.api.hot_reads import HotReads
from app.errors import Unavailable
from app.services import SERVICES
from projections import follower
from tests.app.api.test_watch import put
from tests.app.api.test_watch_ends import named_key
from tests.support.leaks import LogCollector
from tests.support.service import Answer, Client, Service

HANDED_ON = 599
OWN = {"date", "x-request-id"}
"""Headers that differ between any two answers."""


@pytest_asyncio.fixture
async def memory(service: Service) -> AsyncIterator[Client]:
    """A caller of a server that has `HotReads` alone."""

    async def otherwise(request: BaseRequest) -> web.StreamResponse:
        return web.Response(status=HANDED_ON)

    runner = web.ServerRunner(web.Server(HotReads(service.app, otherwise)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield Client(service.anonymous.session, f"http://{host}:{port}")
    await runner.cleanup()


def compared(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """What must be the same on both ways."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    headers = {name: value for name, value in headers.items() if name not in OWN}
    return answer.status, headers, answer.body


def last_line(logs: LogCollector) -> dict[str, object]:
    """What the log says of the last request, but for what differs between any two."""
    each = {"request_id", "ms", "timestamp"}
    return {name: value for name, value in logs.lines[-1].items() if name not in each}


REQUESTS: dict[str, tuple[str, Mapping[str, str], bool]] = {
    "plain": ("k", {}, True),
    "bare content": ("k/content", {}, True),
    "an own request id": ("k", {"X-Request-Id": "mine-1"}, True),
    "a request id that is not sane": ("k", {"X-Request-Id": "a b\t"}, True),
    "known already": ("k", {"If-None-Match": '"2"'}, True),
    "known already, bare": ("k/content", {"If-None-Match": '"2"'}, True),
    "an older one known": ("k", {"If-None-Match": '"1"'}, True),
    "one that never was": ("k", {"If-None-Match": '"77"'}, True),
    "a weak tag": ("k", {"If-None-Match": 'W/"2"'}, False),
    "a list of tags": ("k", {"If-None-Match": '"1", "2"'}, False),
    "a list of tags on lines": (
        "k",
        CIMultiDict([("If-None-Match", '"77"'), ("If-None-Match", '"2"')]),
        False,
    ),
    "a leading zero": ("k", {"If-None-Match": '"02"'}, False),
    "any tag": ("k", {"If-None-Match": "*"}, False),
    "no tag": ("k", {"If-None-Match": "x"}, False),
    "another origin": ("k", {"Origin": "https://elsewhere.example"}, False),
    "two credentials": ("k", {"Authorization": "Bearer x"}, False),
    "a position": ("k", {"Guardian-Min-Position": "1"}, False),
    "an expectation": ("k", {"Expect": "more"}, False),
    "the last of its connection": ("k", {"Connection": "close"}, False),
    "not there": ("absent", {}, False),
    "deleted": ("gone", {}, False),
    "another address": ("../keys/k", {}, False),
    "history": ("k/revisions", {}, False),
    "no key of ours": ("k", {"X-API-Key": "cg_x"}, False),
}


async def test_what_comes_from_memory_is_what_the_whole_way_answers(
    service: Service, admin: Client, memory: Client, logs: LogCollector
) -> None:
    project, key = await service.project(admin)
    configs = f"{project}/configs"
    await admin("PUT", f"{configs}/k", json={"content": {"a": 1}, "version": 0})
    await admin("PUT", f"{configs}/k", json={"content": {"ä": [1.50]}, "version": 1})
    await admin("PUT", f"{configs}/gone", json={"content": 1, "version": 0})
    await admin("DELETE", f"{configs}/gone", headers={"If-Match": '"1"'})
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    assert (await application("GET", f"{configs}/k")).status == 200  # the key is known from here on
    memory = Client(memory.session, memory.base_url, application.headers)
    for name, (path, headers, from_memory) in REQUESTS.items():
        found = await memory("GET", f"{configs}/{path}", headers=headers)
        assert (found.status != HANDED_ON) is from_memory, name
        reported = last_line(logs)
        whole_way = await application(
            "GET", f"{configs}/{path}", headers=headers, params={"consistency": "default"}
        )
        if from_memory:
            assert compared(found) == compared(whole_way), name
            assert reported == last_line(logs), name
            given = headers.get("X-Request-Id")
            assert (found.headers["X-Request-Id"] == given) is (given == "mine-1"), name
        direct = await application("GET", f"{configs}/{path}", headers=headers)
        if path != "k/revisions":
            assert direct.status == whole_way.status, name


async def test_other_methods_and_projects_and_prefixes_are_handed_on(
    service: Service, admin: Client, memory: Client
) -> None:
    project, key = await service.project(admin)
    other, _ = await service.project(admin, "other")
    for place in (project, other):
        for name in ("web.a", "pay.web.a"):
            await admin("PUT", f"{place}/configs/{name}", json={"content": 1, "version": 0})
    body = {"name": "ci", "role_level": "viewer", "prefix": "web."}
    narrow = (await admin("POST", f"{project}/keys", json=body)).json["api_key"]
    await service.hears()  # of the new key, which makes it look up everybody anew
    for each in (key, narrow):
        sent = {"X-API-Key": each}
        await service.anonymous("GET", f"{project}/configs/web.a", headers=sent)
        assert (await memory("GET", f"{project}/configs/web.a", headers=sent)).status == 200
        assert (await memory("GET", f"{other}/configs/web.a", headers=sent)).status == HANDED_ON
        assert (await memory("HEAD", f"{project}/configs/web.a", headers=sent)).status == HANDED_ON
    sent = {"X-API-Key": narrow}
    assert (await memory("GET", f"{project}/configs/pay.web.a", headers=sent)).status == HANDED_ON

    async def last_used() -> str:
        await service.app[SERVICES].upkeep.flush()
        (named,) = (await admin("GET", f"{project}/keys")).json["items"]
        return str(named["last_used_at"])

    before = await last_used()
    assert (await memory("GET", f"{project}/configs/web.a", headers=sent)).status == 200
    assert await last_used() > before


async def test_a_key_that_ended_and_a_model_that_is_cut_off_are_not_answered_from_memory(
    service: Service, admin: Client, memory: Client
) -> None:
    project, key = await service.project(admin)
    path, sent = f"{project}/configs/k", {"X-API-Key": key}
    await admin("PUT", path, json={"content": 1, "version": 0})
    await service.anonymous("GET", path, headers=sent)
    assert (await memory("GET", path, headers=sent)).status == 200
    service.app[SERVICES].model.live = False
    assert (await memory("GET", path, headers=sent)).status == HANDED_ON
    service.app[SERVICES].model.live = True
    assert (await admin("POST", f"{project}/api-key")).status in (200, 201)
    assert (await memory("GET", path, headers=sent)).status == HANDED_ON
    assert (await service.anonymous("GET", path, headers=sent)).status == 401


async def test_what_happened_while_nothing_was_heard_is_known_when_it_is_again(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that hears is ended by the server, and a key revoked before there is a new
    one: nobody is ever told."""
    monkeypatch.setattr(follower, "RETRY_DELAYS_S", (0.4,))
    await put(admin, configs, "k", 1)
    reader = await named_key(service, configs)
    assert (await reader("GET", f"{configs}/k")).status == 200
    pool = service.app[SERVICES].pool
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE api_keys SET revoked_at = now()")
        assert await connection.fetchval(
            "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE application_name LIKE 'guardian-follower %' AND datname = current_database()"
        )
    async with asyncio.timeout(5):
        while (await reader("GET", f"{configs}/k")).status != 401:  # noqa: ASYNC110 - a new look each
            await asyncio.sleep(0.01)


async def test_a_linearizable_read_waits_for_its_barrier_once(
    service: Service, admin: Client, memory: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, key = await service.project(admin)
    path, sent = f"{project}/configs/k?consistency=linearizable", {"X-API-Key": key}
    put = await admin("PUT", f"{project}/configs/k", json={"content": 1, "version": 0})
    assert (await service.anonymous("GET", path, headers=sent)).status == 200
    found = await memory("GET", path, headers=sent)
    assert found.status == 200
    assert int(found.headers["Guardian-Position"]) >= put.json["position"]

    barriers, there_is_one = 0, service.app[SERVICES].barrier.wait

    async def wait(timeout_s: float) -> None:
        nonlocal barriers
        barriers += 1
        if barriers > 1:
            raise Unavailable("no quorum of the log", 2)
        await there_is_one(timeout_s)

    monkeypatch.setattr(service.app[SERVICES].barrier, "wait", wait)
    absent = await service.anonymous("GET", path.replace("/k?", "/absent?"), headers=sent)
    assert (absent.status, barriers) == (404, 1)
    refused = await service.anonymous("GET", path, headers=sent)
    assert (refused.status, refused.headers["Retry-After"], barriers) == (503, "2", 2)


async def test_reads_from_memory_are_counted_and_limited(
    service: Service, admin: Client, memory: Client
) -> None:
    project, key = await service.project(admin)
    path, sent = f"{project}/configs/k", {"X-API-Key": key}
    await admin("PUT", path, json={"content": 1, "version": 0})
    services = service.app[SERVICES]
    await service.anonymous("GET", path, headers=sent)
    for _ in range(3):
        await memory("GET", path, headers=sent)
    text = (await service.anonymous("GET", "/metrics")).body.decode()
    route = 'route="/v1/projects/{project}/configs/{key}"'
    assert f'guardian_http_requests_total{{method="GET",{route},status="200"}} 4.0' in text
    assert f'guardian_http_request_seconds_count{{method="GET",{route}}} 4.0' in text
    services.caller_rate = type(services.caller_rate)(1, 2)
    statuses = [(await memory("GET", path, headers=sent)).status for _ in range(4)]
    assert statuses == [200, 200, HANDED_ON, HANDED_ON]
    assert (await service.anonymous("GET", path, headers=sent)).status == 429
