"""Goal: whoever asks for many dear differences waits for themselves, and nobody else does.

Method: a difference of a content that says "slow" takes until it is let through.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from app import diffs
from app.services import SERVICES
from tests.support.service import Client, Service
from tests.support.waiting import until


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Lets one slow difference through for each release."""
    permits, real = threading.Semaphore(0), diffs._diffs

    def gated(pairs: Sequence[diffs.Pair]) -> list[diffs.Patch]:
        if any(b"slow" in (after or b"") for _, after in pairs):
            permits.acquire()
        return real(pairs)

    monkeypatch.setattr(diffs, "_diffs", gated)
    yield permits
    permits.release(100)


async def two_versions(client: Client, project: str, newer: str) -> str:
    """The path of a config whose second version says `newer`."""
    path = f"{project}/configs/a"
    for version, content in enumerate(("old", newer)):
        put = await client("PUT", path, json={"content": content, "version": version})
        assert put.status in (200, 201)
    return path


async def test_a_difference_does_not_wait_behind_another_tenants_backlog(
    service: Service, admin: Client, gate: threading.Semaphore
) -> None:
    differ = service.app[SERVICES].differ
    ann = await service.user(admin, "ann")
    theirs = await two_versions(admin, (await service.project(admin))[0], "slow")
    hers = await two_versions(ann, (await service.project(ann))[0], "new")
    backlog = [
        asyncio.create_task(admin("GET", f"{theirs}/diff?from=1&to=2")),
        *(
            asyncio.create_task(
                admin("PUT", f"{theirs}?dry_run=true", json={"content": "slow 2", "version": 2})
            )
            for _ in range(4)
        ),
    ]
    await until(lambda: differ.waiting == 4)

    async def ask_next(method: str, url: str, body: Any = None) -> None:
        """Ask while one runs and others wait: the answer comes after the one alone."""
        others = differ.waiting
        asked = asyncio.create_task(ann(method, url, json=body))
        await until(lambda: differ.waiting == others + 1)
        gate.release()
        assert (await asked).status == 200
        assert differ.waiting == others - 1

    await ask_next("GET", f"{hers}/diff?from=1&to=2")
    await ask_next("PUT", f"{hers}?dry_run=true", {"content": 3, "version": 2})
    gate.release(10)
    assert {answer.status for answer in await asyncio.gather(*backlog)} == {200}


async def test_a_tenant_may_not_queue_differences_without_end(
    service: Service, admin: Client, gate: threading.Semaphore
) -> None:
    differ = service.app[SERVICES].differ
    path = await two_versions(admin, (await service.project(admin))[0], "slow")
    url = f"{path}/diff?from=1&to=2"
    asked = [asyncio.create_task(admin("GET", url)) for _ in range(17)]
    await until(lambda: differ.waiting == 16)
    refused = await admin("GET", url)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert refused.json["type"] == "/problems/too-many-requests"
    gate.release(17)
    assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
