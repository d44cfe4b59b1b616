"""Goal: a web process whose memory holds a tenth of the configs answers as one that holds all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from app.services import SERVICES
from app.tables.history import configs_at, project_at
from app.watch_events import snapshot
from projections.read_model import REVISION_BYTES
from tests.support.service import Client, Service, run_service, settings_for
from tests.support.sse import watching

COUNT = 60
ROOM = 6


@pytest_asyncio.fixture
async def service(database_url: str, nats_url: str, stream_name: str) -> AsyncIterator[Service]:
    """A service that has room for a few configs."""
    settings = settings_for(database_url, nats_url, stream_name)
    small = replace(settings, read_model_bytes=ROOM * (REVISION_BYTES + 100))
    async with run_service(small) as running:
        yield running


@pytest_asyncio.fixture
async def crowded(service: Service, admin: Client) -> tuple[str, str]:
    """A project with more configs than fit, and its key."""
    project, key = await service.project(admin)
    changes = [
        {"op": "put", "key": f"k.{n:02}", "content": {"n": n}, "version": 0} for n in range(COUNT)
    ]
    answer = await admin("POST", f"{project}/changes", json={"changes": changes})
    assert answer.status == 200, answer.body
    model = service.app[SERVICES].model
    assert 0 < len(model.project(project.split("/")[-1])) <= ROOM + 1
    return project, key


async def test_every_config_is_read_whether_it_is_held_or_not(
    service: Service, admin: Client, crowded: tuple[str, str]
) -> None:
    project, key = crowded
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    for consistency in ("default", "linearizable"):
        for n in (*range(COUNT), *range(COUNT)):
            path = f"{project}/configs/k.{n:02}?consistency={consistency}"
            answer = await application("GET", path)
            assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
            assert answer.json["content"] == {"n": n}
    assert (await application("GET", f"{project}/configs/absent")).status == 404
    seen, path = [], f"{project}/configs?limit=25&prefix=k."
    while path:
        page = await application("GET", path)
        seen += [item["key"] for item in page.json["items"]]
        path = page.json["next"]
    assert seen == [f"k.{n:02}" for n in range(COUNT)]


async def test_changes_meet_the_version_of_a_config_that_fell_out(
    admin: Client, crowded: tuple[str, str]
) -> None:
    project, _ = crowded
    for n in range(0, COUNT, 7):
        path = f"{project}/configs/k.{n:02}"
        late = await admin("PUT", path, json={"content": 0, "version": 0})
        assert (late.status, late.json["current_version"]) == (409, 1)
        changed = await admin("PUT", path, json={"content": {"n": -n}, "version": 1})
        assert (changed.status, changed.json["version"]) == (200, 2)
    patch = {"headers": {"Content-Type": "application/merge-patch+json"}, "data": b'{"m": 1}'}
    patched = await admin("PATCH", f"{project}/configs/k.01", **patch)
    assert (patched.status, patched.json["content"]) == (200, {"n": 1, "m": 1})
    path = f"{project}/configs/k.02"
    assert (await admin("DELETE", path, headers={"If-Match": '"1"'})).status == 200
    for n in range(10, 30):
        assert (await admin("GET", f"{project}/configs/k.{n:02}")).status == 200
    assert (await admin("GET", path)).status == 404
    again = await admin("PUT", path, json={"content": 2, "version": 0})
    assert (again.status, again.json["version"]) == (201, 3)


async def test_a_project_is_rolled_back_and_a_snapshot_holds_all(
    admin: Client, crowded: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = crowded
    before = (await admin("GET", f"{project}/configs/k.00")).headers["Guardian-Position"]
    for n in range(20):
        await admin("PUT", f"{project}/configs/k.{n:02}", json={"content": 0, "version": 1})
    await admin("PUT", f"{project}/configs/new", json={"content": 0, "version": 0})
    body = {"position": int(before)}
    back = await admin("POST", f"{project}/rollback", json=body)
    assert (back.status, len(back.json["changes"])) == (200, 21)
    monkeypatch.setattr("app.api.watch.PART", COUNT // 3)
    for wanted, expected in (
        ("prefix=k.", COUNT),
        ("keys=k.01,new", 1),
        ("keys=k.01,k.11&prefix=k.0", 1),
    ):
        path = f"{project}/watch?snapshot=true&{wanted}"
        async with watching(admin, path) as stream:
            event = await stream.next()
        assert event.type == "snapshot"
        assert len(event.data["items"]) == expected
        for item in event.data["items"]:
            assert item["content"] == {"n": int(item["key"][2:])}


@pytest.mark.parametrize(
    "wanted", ["prefix=k.", "keys=" + ",".join(f"k.{n:02}" for n in range(40))]
)
async def test_a_snapshot_is_sent_while_it_is_read(
    admin: Client, crowded: tuple[str, str], monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    # All that did not fit into the memory was read into it, and then sent.
    project, _ = crowded
    order: list[str] = []
    monkeypatch.setattr("app.api.watch.PART", COUNT // 3)
    monkeypatch.setattr("app.watch_events.PIECE_BYTES", 500)

    async def pieces(position: int, parts: Any) -> AsyncGenerator[bytes, None]:
        async for piece in snapshot(position, parts):
            order.append("piece")
            yield piece

    def noted(read: Any) -> Any:
        async def reading(*given: Any) -> Any:
            order.append("read")
            return await read(*given)

        return reading

    monkeypatch.setattr("app.api.watch.snapshot", pieces)
    for read in (configs_at, project_at):
        monkeypatch.setattr(f"app.api.watch.{read.__name__}", noted(read))
    async with watching(admin, f"{project}/watch?snapshot=true&{wanted}") as stream:
        assert len((await stream.next()).data["items"]) >= 40
    told = [what for what, after in zip(order, [*order[1:], ""], strict=True) if what != after]
    assert told == ["read", "piece"] * 3


async def test_a_roll_back_of_a_project_that_is_deleted_meanwhile_finds_none(
    service: Service,
    admin: Client,
    crowded: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project, _ = crowded

    async def deleted_behind(*given: Any) -> Any:
        found = await configs_at(*given)
        await admin("DELETE", project)
        return found

    monkeypatch.setattr("app.api.rollbacks.configs_at", deleted_behind)
    refused = await admin("POST", f"{project}/rollback", json={"position": 0})
    assert (refused.status, refused.json["type"]) == (404, "/problems/not-found")
