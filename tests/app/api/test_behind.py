"""Goal: a process that has not heard of the newest changes yet is only slower: it refuses nothing
that is right, and does not answer what it could not show.

Method: two web processes; one takes nothing over until it asks the log by a barrier.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest_asyncio

from app.services import SERVICES, Services
from tests.app.api.test_schemas import id_of, new_schema
from tests.support.service import Answer, Client, Service, run_web


@dataclass(frozen=True)
class Slow:
    """The process that can be held back."""

    client: Client
    services: Services

    @contextmanager
    def behind(self) -> Iterator[None]:
        """Within, it hears of nothing before it waits for a barrier."""
        follower, barrier = self.services.follower, self.services.barrier
        catch_up, wait, asked = follower._catch_up, barrier.wait, asyncio.Event()

        async def held_back(*args: Any, **kwargs: Any) -> None:
            await asked.wait()
            await catch_up(*args, **kwargs)

        def ask(timeout_s: float) -> Awaitable[int]:
            asked.set()
            return wait(timeout_s)

        follower._catch_up = held_back  # type: ignore[method-assign]
        barrier.wait = ask  # type: ignore[assignment,method-assign]
        try:
            yield
        finally:
            asked.set()
            follower._catch_up, barrier.wait = catch_up, wait  # type: ignore[method-assign]

    async def hears(self, answer: Answer) -> None:
        """Return when it knows of what this answer told."""
        await self.services.model.wait_for(int(answer.headers["Guardian-Position"]), 10)


@pytest_asyncio.fixture
async def slow(service: Service, admin: Client) -> AsyncIterator[Slow]:
    """A second web process."""
    async with run_web(service.settings) as (app, base_url):
        yield Slow(Client(admin.session, base_url, admin.headers), app[SERVICES])


JSON_PATCH = {"Content-Type": "application/json-patch+json"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


async def test_it_refuses_no_change_that_is_made_for_the_newest_version(
    admin: Client, configs: str, slow: Slow
) -> None:
    right: list[tuple[str, dict[str, Any]]] = [
        ("PUT", {"json": {"content": 3, "version": 2}}),
        ("DELETE", {"headers": {"If-Match": '"2"'}}),
        # The content that it knows has no such member.
        ("PATCH", {"data": b'[{"op":"remove","path":"/new"}]', "headers": JSON_PATCH}),
    ]
    for number, (method, request) in enumerate(right):
        path = f"{configs}/k{number}"
        await slow.hears(await admin("PUT", path, json={"content": {}, "version": 0}))
        with slow.behind():
            newest = await admin("PUT", path, json={"content": {"new": 1}, "version": 1})
            assert newest.status == 200
            answer = await slow.client(method, path, **request)
        assert (answer.status, answer.json["version"]) == (200, 3), method
    with slow.behind():
        await admin("PUT", f"{configs}/made", json={"content": {}, "version": 0})
        answer = await slow.client("PATCH", f"{configs}/made", data=b"{}", headers=MERGE_PATCH)
    assert (answer.status, answer.json["version"]) == (200, 2)


async def test_it_does_not_keep_a_binding_that_is_gone(
    admin: Client, configs: str, slow: Slow
) -> None:
    schema, path = await new_schema(admin, {}), f"{configs}/a"
    bound = {"content": 1, "version": 0, "schema_id": id_of(schema)}
    await slow.hears(await admin("PUT", path, json=bound))
    with slow.behind():
        await admin("PUT", path, json={"content": 2, "version": 1, "schema_id": None})
        assert (await admin("DELETE", schema)).status == 200
        answer = await slow.client("PUT", path, json={"content": 3}, headers={"If-Match": "*"})
    assert (answer.status, answer.json["version"]) == (200, 3)
    assert answer.json["schema_id"] is None


async def test_a_retry_is_answered_by_it_once_it_can_show_what_was_done(
    service: Service, admin: Client, configs: str, slow: Slow
) -> None:
    """The answer was lost; what the log decided is found before this process has heard of it."""
    path, writer = f"{configs}/a", slow.services.writer
    request: dict[str, Any] = {"json": {"content": 1, "version": 0}}
    request["headers"] = {"Idempotency-Key": "k"}
    with slow.behind():
        first = await admin("PUT", path, **request)
        assert first.status == 201
        await service.app[SERVICES].pool.execute("DELETE FROM idempotency_keys")
        writer._timeout_s = 0.2
        pending = await slow.client("PUT", path, **request)
        assert (pending.status, pending.json["type"]) == (202, "/problems/outcome-pending")
        writer._timeout_s = 10.0
    again = await slow.client("PUT", path, **request)
    assert (again.status, again.body) == (201, first.body)
    assert (await slow.client("GET", path)).json["version"] == 1
