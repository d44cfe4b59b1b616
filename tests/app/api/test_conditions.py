"""Goal: all entity tags that a client may send by RFC 9110 are heeded, on however many lines.

aiohttp's client joins no lines: each is sent as it stands.
"""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from tests.support.service import Answer, Client, Service


async def _asked(caller: Client, method: str, path: str, *lines: str, **more: Any) -> Answer:
    """With each line (`name: value`) as a header of its own."""
    headers = CIMultiDict(caller.headers)
    for line in lines:
        name, _, value = line.partition(": ")
        headers.add(name, value)
    url = caller.base_url + path
    async with caller.session.request(method, url, headers=headers, **more) as response:
        return Answer(response.status, response.headers, await response.read())


@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize(
    ("tags", "status"),
    [
        (['"1"', '"2"'], 304),
        (['"2"', '"1"'], 304),
        (['"1"', '"77"'], 200),
        (['"1", , W/"2",'], 304),
        (['"2-gzip"'], 200),
        (['"a,b"', '"2"'], 304),
        (['""'], 200),
        (["2"], 400),
        (['"2'], 400),
        ([","], 400),
        (['*, "2"'], 400),
    ],
)
async def test_a_read_takes_every_list_of_tags(
    service: Service, admin: Client, by_key: bool, tags: list[str], status: int
) -> None:
    project, key = await service.project(admin)
    for version in (0, 1):
        body = {"content": version, "version": version}
        await admin("PUT", f"{project}/configs/a", json=body)
    caller = service.anonymous.with_headers(**{"X-API-Key": key}) if by_key else admin
    path = f"{project}/configs/a"
    assert (await caller("GET", path)).status == 200  # the key is known from here on
    answer = await _asked(caller, "GET", path, *(f"If-None-Match: {tag}" for tag in tags))
    assert answer.status == status


@pytest.mark.parametrize(
    "lines",
    [
        ['If-Match: "1"', 'If-Match: "9"'],
        ['If-Match: "9"', 'If-Match: "1"'],
        ['If-Match: "1-gzip"'],
        ['If-Match: "1"', "Idempotency-Key: one", "Idempotency-Key: two"],
        ['If-Match: "1"', "Guardian-Min-Position: 1", "Guardian-Min-Position: 2"],
    ],
)
async def test_a_change_is_made_for_one_version_that_is_told_once(
    admin: Client, configs: str, lines: list[str]
) -> None:
    await admin("PUT", f"{configs}/a", json={"content": 0, "version": 0})
    refused = await _asked(admin, "PUT", f"{configs}/a", *lines, json={"content": 1})
    assert refused.status == 400
    assert refused.json["parameter"] == lines[-1].partition(":")[0]
    assert (await admin("GET", f"{configs}/a")).json["version"] == 1


async def test_a_watch_resumes_behind_one_position(admin: Client, configs: str) -> None:
    lines = ["Last-Event-ID: 1", "Last-Event-ID: 2"]
    refused = await _asked(admin, "GET", configs.removesuffix("configs") + "watch", *lines)
    assert (refused.status, refused.json["parameter"]) == (400, "Last-Event-ID")
