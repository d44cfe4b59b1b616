"""Goal: what is counted by account is not had twice with a second key, nor taken from others.

Method: a web process whose limits are so small that each can be met.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.services import SERVICES
from tests.app.api.test_long_poll import HAS_FIRST, until_held
from tests.app.api.test_watch import put, watch_of
from tests.support.service import Answer, Client, Service, run_web
from tests.support.sse import watching
from tests.support.waiting import until


@pytest.fixture
async def projects(service: Service, admin: Client) -> dict[str, tuple[str, str]]:
    """Two of one account and one of another, each with a config `a`: path and key."""
    ann, bob = await service.user(admin, "ann"), await service.user(admin, "bob")
    made = {}
    for name, owner in (("first", ann), ("second", ann), ("bobs", bob)):
        made[name] = path, _ = await service.project(owner, name)
        await put(owner, f"{path}/configs", "a", 1)
    return made


def refused(answer: Answer, detail: str) -> None:
    assert answer.status == 429, answer.body
    assert answer.json["type"] == "/problems/too-many-requests"
    assert detail in answer.json["detail"]
    assert int(answer.headers["Retry-After"]) >= 1


async def test_keys_do_not_multiply_an_accounts_rate(
    service: Service, admin: Client, projects: dict[str, tuple[str, str]]
) -> None:
    settings = replace(
        service.settings, requests_per_second=1, request_burst=3, account_requests_per_second=1
    )
    async with run_web(settings) as (_, url):

        async def ask(name: str) -> Answer:
            path, key = projects[name]
            client = Client(admin.session, url, {"X-API-Key": key})
            return await client("GET", f"{path}/configs/a")

        assert [(await ask("first")).status for _ in range(3)] == [200] * 3
        refused(await ask("second"), "of this account, with all keys")
        # Who is asked for again behind a wait has asked once.
        path, key = projects["bobs"]
        held = Client(admin.session, url, {"X-API-Key": key, **HAS_FIRST})
        answers = [await held("GET", f"{path}/configs/a?wait=1ms") for _ in range(3)]
        assert [answer.status for answer in answers] == [304] * 3


async def test_who_is_not_limited_is_not_by_account_either(
    service: Service, admin: Client, projects: dict[str, tuple[str, str]]
) -> None:
    settings = replace(service.settings, requests_per_second=0, account_requests_per_second=1)
    async with run_web(settings) as (_, url):
        path, key = projects["first"]
        client = Client(admin.session, url, {"X-API-Key": key})
        for _ in range(20):
            assert (await client("GET", f"{path}/configs/a")).status == 200


async def test_one_accounts_watches_leave_places_to_others(
    service: Service, admin: Client, projects: dict[str, tuple[str, str]]
) -> None:
    async with run_web(replace(service.settings, account_watchers=1)) as (app, url):
        clients = {
            name: Client(admin.session, url, {"X-API-Key": key})
            for name, (_, key) in projects.items()
        }
        watches = {name: watch_of(f"{path}/configs") for name, (path, _) in projects.items()}
        async with watching(clients["first"], watches["first"]):
            refused(await clients["second"]("GET", watches["second"]), "has 1 watches open")
            async with watching(clients["bobs"], watches["bobs"]):
                pass
        await until(lambda: len(app[SERVICES].watch_hub) == 0)
        async with watching(clients["second"], watches["second"]):
            pass


async def test_one_accounts_held_requests_leave_places_to_others(
    service: Service, admin: Client, projects: dict[str, tuple[str, str]]
) -> None:
    async with run_web(replace(service.settings, account_watchers=1)) as (app, url):

        async def ask(name: str, wait: str) -> Answer:
            path, key = projects[name]
            client = Client(admin.session, url, {"X-API-Key": key})
            return await client("GET", f"{path}/configs/a?wait={wait}", headers=HAS_FIRST)

        held = asyncio.create_task(ask("first", "120s"))
        await until_held(app[SERVICES].long_polls)
        refused(await ask("second", "120s"), "has 1 held requests open")
        assert (await ask("bobs", "1ms")).status == 304
        # Who leaves gives the place back at once, not when the time that was asked for is over.
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        await until(lambda: app[SERVICES].long_polls._count == 0)
        assert (await ask("second", "1ms")).status == 304
