"""`?wait=`: an answer that would be 304 is held until the config changes."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.long_poll import LongPolls
from app.services import SERVICES
from tests.app.api.test_watch import put
from tests.app.api.test_watch_ends import named_key
from tests.support.service import Answer, Client, Service, run_web

HAS_FIRST = {"If-None-Match": '"1"'}


async def until_held(polls: LongPolls, count: int = 1) -> None:
    """Return when so many requests are held."""
    async with asyncio.timeout(5):
        while polls._count < count:  # noqa: ASYNC110 - a request has no event to wait for
            await asyncio.sleep(0.005)


async def held_get(
    service: Service, client: Client, path: str, has: int = 1
) -> asyncio.Task[Answer]:
    """A GET that is being held."""
    headers = {"If-None-Match": f'"{has}"'}
    task = asyncio.create_task(client("GET", path, headers=headers))
    await until_held(service.app[SERVICES].long_polls)
    return task


async def test_the_answer_comes_with_the_change(
    service: Service, admin: Client, configs: str
) -> None:
    await put(admin, configs, "a", 1)
    for has, path in enumerate((f"{configs}/a", f"{configs}/a/content"), 1):
        held = await held_get(service, admin, f"{path}?wait=30s&consistency=linearizable", has)
        await put(admin, configs, "b", has)
        assert not held.done()
        position = await put(admin, configs, "a", has + 1)
        answer = await held
        assert (answer.status, answer.headers["ETag"]) == (200, f'"{has + 1}"')
        assert int(answer.headers["Guardian-Position"]) >= position


async def test_whoever_has_whatever_is_there_hears_of_a_change(
    service: Service, admin: Client, configs: str
) -> None:
    """It was held until the change, and then answered that nothing had changed."""
    await put(admin, configs, "a", 1)
    headers = {"If-None-Match": "*"}
    for version, path in enumerate((f"{configs}/a", f"{configs}/a/content"), 1):
        assert (await admin("GET", f"{path}?wait=1ms", headers=headers)).status == 304
        held = asyncio.create_task(admin("GET", f"{path}?wait=30s", headers=headers))
        await until_held(service.app[SERVICES].long_polls)
        await put(admin, configs, "a", version + 1)
        answer = await held
        assert (answer.status, answer.headers["ETag"]) == (200, f'"{version + 1}"')


async def test_after_the_time_it_is_still_304(admin: Client, configs: str) -> None:
    await put(admin, configs, "a", 1)
    start = time.monotonic()
    answer = await admin("GET", f"{configs}/a?wait=200ms", headers=HAS_FIRST)
    assert (answer.status, answer.headers["ETag"]) == (304, '"1"')
    assert time.monotonic() - start >= 0.2


async def test_who_has_not_the_newest_does_not_wait(admin: Client, configs: str) -> None:
    await put(admin, configs, "a", 1)
    await put(admin, configs, "a", 2)
    path = f"{configs}/a?wait=30s"
    assert (await admin("GET", path, headers=HAS_FIRST)).json["version"] == 2
    assert (await admin("GET", path)).json["version"] == 2
    assert (await admin("GET", f"{configs}/b?wait=30s", headers=HAS_FIRST)).status == 404


async def test_a_deletion_is_a_change(service: Service, admin: Client, configs: str) -> None:
    await put(admin, configs, "a", 1)
    held = await held_get(service, admin, f"{configs}/a?wait=30s")
    await admin("DELETE", f"{configs}/a", headers={"If-Match": '"1"'})
    assert (await held).status == 404


async def test_a_key_that_was_revoked_meanwhile_gets_nothing(
    service: Service, admin: Client, configs: str
) -> None:
    await put(admin, configs, "a", 1)
    held = await held_get(service, await named_key(service, configs), f"{configs}/a?wait=30s")
    await service.app[SERVICES].pool.execute("UPDATE api_keys SET revoked_at = now()")
    await put(admin, configs, "a", 2)
    assert (await held).status == 401


async def test_a_process_that_ends_answers_what_it_holds(
    service: Service, admin: Client, configs: str
) -> None:
    await put(admin, configs, "a", 1)
    async with run_web(service.settings) as (app, base_url):
        client = Client(admin.session, base_url, admin.headers)
        held = asyncio.create_task(
            client("GET", f"{configs}/a?wait=30s&consistency=stale", headers=HAS_FIRST)
        )
        await until_held(app[SERVICES].long_polls)
    assert (await held).status == 304


@pytest.mark.parametrize("wait", ["30", "0s", "-1s", "121s", "1m", ""])
async def test_a_wait_that_cannot_be_is_refused(admin: Client, configs: str, wait: str) -> None:
    answer = await admin("GET", f"{configs}/a?wait={wait}", headers=HAS_FIRST)
    assert (answer.status, answer.json["parameter"]) == (400, "wait")


async def test_two_minutes_can_be_waited_for(admin: Client, configs: str) -> None:
    await put(admin, configs, "a", 1)
    assert (await admin("GET", f"{configs}/a?wait=120s")).status == 200


async def test_the_past_cannot_be_waited_for(admin: Client, configs: str) -> None:
    answer = await admin("GET", f"{configs}/a?wait=1s&version=1", headers=HAS_FIRST)
    assert (answer.status, answer.json["parameter"]) == (400, "wait")
