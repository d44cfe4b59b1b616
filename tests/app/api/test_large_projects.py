"""Goal: what is asked of a project costs by what is answered, not by how many configs it has, and
what is answered at once is bounded.

Method: how many of the configs in memory are looked at is counted.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Iterable

import pytest

from app.tables.history import PAGE_BYTES
from app.watch_events import snapshot
from domain.json_document import decode_json
from projections import audit_verify
from projections.read_model import RecordedRevision
from tests.app.api.test_projects import make_key
from tests.support.service import Client, Service
from tests.support.sse import watching

MANY = 200
Parts = AsyncIterable[Iterable[RecordedRevision]]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the configs whose deletion was asked about."""
    seen: list[str] = []
    deleted = vars(RecordedRevision)["deleted"].fget

    def noted(revision: RecordedRevision) -> bool:
        seen.append(revision.key)
        return bool(deleted(revision))

    monkeypatch.setattr(RecordedRevision, "deleted", property(noted))
    return seen


async def test_a_page_and_a_snapshot_of_one_key_look_at_what_they_tell(
    service: Service, admin: Client, looked_at: list[str]
) -> None:
    # Each sorted all keys: of 100,000 that took a tenth of a second, for every page and watcher,
    # and nobody else was answered meanwhile.
    project, _ = await service.project(admin)
    changes = [
        {"op": "put", "key": f"k.{number:03}", "version": 0, "content": 1} for number in range(MANY)
    ]
    assert (await admin("POST", f"{project}/changes", json={"changes": changes})).status == 200

    looked_at.clear()
    first = await admin("GET", f"{project}/configs?prefix=k.1&limit=2")
    assert [item["key"] for item in first.json["items"]] == ["k.100", "k.101"]
    second = await admin("GET", first.json["next"])
    assert [item["key"] for item in second.json["items"]] == ["k.102", "k.103"]
    assert set(looked_at) == {f"k.{number}" for number in range(100, 105)}

    looked_at.clear()
    async with watching(admin, f"{project}/watch?snapshot=true&keys=k.150,k.007,none") as stream:
        told = await stream.next()
    assert [item["key"] for item in told.data["items"]] == ["k.007", "k.150"]
    assert set(looked_at) == {"k.007", "k.150"}


@pytest.mark.parametrize("query", ["", "&at=2100-01-01T00:00:00Z", '&match={"n":1}'])
async def test_a_page_ends_early_where_contents_are_large(
    service: Service, admin: Client, query: str
) -> None:
    # 500 of 256 KiB were one answer of 125 MB.
    project, _ = await service.project(admin)
    content = {"n": 1, "text": "x" * 250_000}
    keys = [f"k.{number:02}" for number in range(20)]
    for some in (keys[:10], keys[10:]):
        changes = [{"op": "put", "key": key, "version": 0, "content": content} for key in some]
        answer = await admin("POST", f"{project}/changes", json={"changes": changes})
        assert answer.status == 200

    told, sizes = [], []
    path = f"{project}/configs?limit=500{query}"
    while path:
        answer = await admin("GET", path)
        assert answer.status == 200, answer.body
        told += [item["key"] for item in answer.json["items"]]
        sizes.append(len(answer.body))
        path = answer.json["next"]
    assert told == keys
    assert len(sizes) == 2
    assert PAGE_BYTES < sizes[0] < PAGE_BYTES + 300_000


async def test_others_are_answered_while_a_large_snapshot_is_written(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = await service.project(admin)
    for key in ("a", "b", "c", "d"):
        content = "x" * 100_000
        await admin("PUT", f"{project}/configs/{key}", json={"content": content, "version": 0})
    turns = [0]
    at_piece: list[int] = []

    async def noted(position: int, parts: Parts) -> AsyncGenerator[bytes, None]:
        async for piece in snapshot(position, parts):
            at_piece.append(turns[0])
            yield piece

    async def count() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    monkeypatch.setattr("app.api.watch.snapshot", noted)
    counting = asyncio.create_task(count())
    async with watching(admin, f"{project}/watch?snapshot=true") as stream:
        assert len((await stream.next()).data["items"]) == 4
    counting.cancel()
    assert len(at_piece) == 5
    assert len(set(at_piece)) == 5


async def test_a_roll_back_unpacks_no_more_than_a_change_set_holds(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 500 contents of 256 KiB it made 400 MB, in a second that nobody else was answered in; then
    # it was refused.
    project, _ = await service.project(admin)
    positions: list[int] = []
    for version in (0, 1):
        changes = [
            {"op": "put", "key": f"k.{n}", "version": version, "content": str(version) * 1000}
            for n in range(20)
        ]
        answer = await admin("POST", f"{project}/changes", json={"changes": changes})
        positions.append(answer.json["position"])
    monkeypatch.setattr(type(service.log), "max_entry_bytes", property(lambda _: 4500))
    unpacked: list[bytes] = []

    def noted(raw: bytes) -> object:
        unpacked.append(raw)
        return decode_json(raw)

    monkeypatch.setattr("app.api.rollbacks.decode_json", noted)
    body = {"position": positions[0]}
    answer = await admin("POST", f"{project}/rollback?dry_run=true", json=body)
    assert (answer.status, answer.json["type"]) == (413, "/problems/change-set-too-large")
    assert "at least 5010 bytes; the limit is 4500" in answer.json["detail"]
    assert len(unpacked) == 5


@pytest.mark.parametrize("slow", ["_columns_fault", "_author"])
async def test_others_are_answered_while_large_contents_are_audited(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    # 48 contents of 256 KiB took three seconds, in which nobody was answered.
    project, _ = await service.project(admin)
    editor = await make_key(admin, project, role_level="editor")
    content = "x" * 200_000
    await editor("PUT", f"{project}/configs/a", json={"content": content, "version": 0})
    answered, begun = threading.Event(), asyncio.Event()
    loop, work = asyncio.get_running_loop(), getattr(audit_verify, slow)

    def waiting(*given: object) -> object:
        loop.call_soon_threadsafe(begun.set)
        assert answered.wait(10), "nobody else was answered"
        return work(*given)

    monkeypatch.setattr(audit_verify, slow, waiting)
    walk = asyncio.create_task(admin("GET", f"{project}/audit/verify"))
    await begun.wait()
    assert (await editor("GET", f"{project}/configs/a")).status == 200
    answered.set()
    assert (await walk).json["intact"] is True
