"""Goal: an address that is found without aiohttp's search is answered as when it is searched for.

Method: the same request twice, the second time with a query that changes nothing, which is the
router's; and a server whose router is not there, which shows who was found without it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.web_request import BaseRequest

from app.api.plain_routes import PlainRoutes
from tests.support.service import Client, Service

HANDED_ON = 599


@pytest_asyncio.fixture
async def alone(service: Service, admin: Client) -> AsyncIterator[Client]:
    """A caller of a server that has `PlainRoutes` alone."""

    async def otherwise(request: BaseRequest) -> web.StreamResponse:
        return web.Response(status=HANDED_ON)

    runner = web.ServerRunner(
        web.Server(
            PlainRoutes(service.app, otherwise),
            request_factory=service.app._make_request,
        )
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield Client(admin.session, f"http://{host}:{port}", admin.headers)
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("k", True),
        ("k.l-m_n", True),
        ("absent", True),
        ("-k..l", True),
        ("k?consistency=stale", False),
        (".k", False),
        ("k/content", False),
        ("k/", False),
        ("", False),
        ("%C3%A4", False),
    ],
)
async def test_what_is_found_at_once_is_answered_as_the_router_would(
    admin: Client, configs: str, alone: Client, path: str, found: bool
) -> None:
    for key in ("k", "k.l-m_n"):
        await admin("PUT", f"{configs}/{key}", json={"content": 1, "version": 0})
    answer = await alone("GET", f"{configs}/{path}")
    assert (answer.status != HANDED_ON) is found
    if found:
        searched = await admin("GET", f"{configs}/{path}?consistency=default")
        assert answer.status == searched.status
        if answer.status == 200:
            assert answer.body == searched.body
        else:
            assert answer.json["type"] == searched.json["type"]


async def test_each_method_of_a_config_is_found(admin: Client, configs: str, alone: Client) -> None:
    one = f"{configs}/k"
    assert (await alone("PUT", one, json={"content": {}, "version": 0})).status == 201
    patch = {"Content-Type": "application/merge-patch+json"}
    assert (await alone("PATCH", one, data=b'{"a": 1}', headers=patch)).status == 200
    assert (await alone("HEAD", f"{configs}/absent")).status == 404
    assert (await alone("DELETE", one, headers={"If-Match": '"2"'})).status == 200
    assert (await alone("POST", one)).status == HANDED_ON
    assert (await alone("GET", one, headers={"Expect": "100-continue"})).status == HANDED_ON
    refused = await admin("POST", one)
    assert refused.status == 405
    assert set(refused.headers["Allow"].split(",")) >= {"GET", "PUT", "PATCH", "DELETE"}


async def test_the_route_is_named_by_its_pattern(
    service: Service, admin: Client, configs: str, alone: Client
) -> None:
    await alone("PUT", f"{configs}/k", json={"content": {}, "version": 0})
    told = (await service.anonymous("GET", "/metrics")).body.decode()
    assert 'method="PUT",route="/v1/projects/{project}/configs/{key}",status="201"' in told
