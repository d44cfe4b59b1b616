"""Goal: what HTTP itself is refused for is bounded, and answered like every other refusal.

Method: bytes on a plain connection, as no client library would send them.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest

from app.serve import MAX_ADDRESS_BYTES, MAX_HEADER_BYTES
from tests.app.api.test_watch import put, watch_of
from tests.support.service import Client, Service
from tests.support.sse import watching


@pytest.mark.parametrize("letter", ["\u044f", "\U0001f600"], ids=["Cyrillic", "beyond the BMP"])
async def test_a_match_of_the_greatest_length_is_searched_for(
    admin: Client, configs: str, letter: str
) -> None:
    text = letter * (4000 - len('{"t":""}'))
    await put(admin, configs, "a", {"t": text})
    await put(admin, configs, "b", {"t": letter})
    match = '{"t":"' + text + '"}'
    found = await admin("GET", f"{configs}?match={quote(match)}&prefix=")
    assert found.status == 200, found.body
    assert [item["key"] for item in found.json["items"]] == ["a"]
    longer = await admin("GET", f"{configs}?match={quote(letter * 4001)}")
    assert (longer.status, longer.json["parameter"]) == (400, "match")


@pytest.mark.parametrize("comma", [",", "%2C"])
async def test_as_many_keys_as_there_may_be_are_watched(
    admin: Client, configs: str, comma: str
) -> None:
    keys = [f"{n:03}." + "k" * 196 for n in range(500)]
    path = f"{watch_of(configs)}?prefix={keys[-1]}&keys="
    async with watching(admin, path + comma.join(keys)) as stream:
        await put(admin, configs, keys[-1], 1)
        assert (await stream.next()).data["key"] == keys[-1]
    refused = await admin("GET", path + comma.join([*keys, "k"]))
    assert (refused.status, refused.json["parameter"]) == (400, "keys")


async def test_an_address_and_a_header_have_their_bounds(service: Service) -> None:
    base = "/v1/me?x="
    longest = base + "x" * (MAX_ADDRESS_BYTES - len(base))
    assert (await service.anonymous("GET", longest)).status == 401
    assert (await service.anonymous("GET", longest + "x")).status == 400
    headers = {"X-Long": "x" * (MAX_HEADER_BYTES - len("X-Long"))}
    assert (await service.anonymous("GET", "/healthz", headers=headers)).status == 200
    headers = {"X-Long": "x" * (MAX_HEADER_BYTES + 1)}
    assert (await service.anonymous("GET", "/healthz", headers=headers)).status == 400
