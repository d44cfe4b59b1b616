"""Goal: what is asked of a project costs by what is answered, not by how many configs it has.

Method: how many of the configs in memory are looked at is counted.
"""

from __future__ import annotations

import pytest

from projections.read_model import RecordedRevision
from tests.support.service import Client, Service
from tests.support.sse import watching

MANY = 200


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
