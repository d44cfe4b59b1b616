"""History through the public door: the past as it stood, differences, roll-backs, the feed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.api import rollbacks
from app.services import SERVICES
from tests.support.service import Answer, Client, Service


async def put(admin: Client, path: str, content: Any, version: int = 0, **more: Any) -> Answer:
    answer = await admin("PUT", path, json={"content": content, "version": version, **more})
    assert answer.status in (200, 201), answer.body
    return answer


def keys(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [item["key"] for item in answer.json["items"]]


async def pages(ask: Client, url: str | None) -> list[Any]:
    items: list[Any] = []
    while url:
        answer = await ask("GET", url)
        assert answer.status == 200, answer.body
        items += answer.json["items"]
        url = answer.json["next"]
    return items


async def test_a_config_is_read_as_it_stood(admin: Client, configs: str) -> None:
    path = f"{configs}/a"
    first = await put(admin, path, {"n": 1})
    second = await put(admin, path, {"n": 2}, 1)
    gone = await admin("DELETE", path, headers={"If-Match": '"2"'})
    back = await put(admin, path, {"n": 4})
    at = [int(answer.headers["Guardian-Position"]) for answer in (first, second, gone, back)]

    old = await admin("GET", f"{path}?version=1")
    assert (old.json["content"], old.headers["ETag"]) == ({"n": 1}, '"1"')
    assert old.json == first.json
    assert (await admin("GET", f"{path}/content?version=2")).body == b'{"n":2}'
    assert (await admin("GET", f"{path}?version=3")).json["type"] == "/problems/config-not-found"
    assert (await admin("GET", f"{path}?version=9")).json["type"] == "/problems/revision-not-found"
    not_new = await admin("GET", f"{path}?version=1", headers={"If-None-Match": '"1"'})
    assert not_new.status == 304

    for position, content in ((at[0], 1), (at[1], 2), (at[2] - 1, 2), (at[3], 4)):
        answer = await admin("GET", f"{path}?position={position}")
        assert answer.json["content"] == {"n": content}
        assert answer.headers["Guardian-Position"] == str(position)
    assert (await admin("GET", f"{path}?position={at[2]}")).status == 404
    assert (await admin("GET", f"{path}?position={at[0] - 1}")).status == 404
    future = await admin("GET", f"{path}?position={at[3] + 1000}&timeout=0")
    assert future.status == 503

    for answer, content in ((first, 1), (second, 2), (back, 4)):
        moment = answer.json["updated_at"]
        assert (await admin("GET", f"{path}?at={moment}")).json["content"] == {"n": content}
    earlier = datetime.fromisoformat(first.json["updated_at"]) - timedelta(microseconds=1)
    assert (await admin("GET", f"{path}?at={earlier:%Y-%m-%dT%H:%M:%S.%fZ}")).status == 404
    for bad in ("version=0", "version=1&position=1", "at=yesterday", "at=2026-01-01T00:00:00"):
        assert (await admin("GET", f"{path}?{bad}")).status == 400, bad
    both = await admin("GET", f"{path}?at=2026-01-01T00:00:00Z&position=1")
    assert both.status == 400


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("2199-01-01T00:00:00Z", 200),
        ("2199-01-01t00:00:00.5z", 200),
        ("2199-01-01T02:00:00%2B02:00", 200),
        ("2199-01-01T02:00:00+02:00", 200),
        ("20300101T000000Z", 400),
        ("2199-01-01T00:00Z", 400),
        ("2199-01-01T00Z", 400),
        ("2199-W01-1T00:00:00Z", 400),
        ("2199-01-01_00:00:00Z", 400),
        ("2199-01-01T00:00:00%2B0200", 400),
        ("2199-01-01T00:00:00,5Z", 400),
        ("2199-01-01T24:00:00Z", 400),
        ("2199-01-01T00:00:00%2B02:00:01", 400),
    ],
)
async def test_a_time_is_one_of_rfc_3339(admin: Client, configs: str, at: str, status: int) -> None:
    assert (await admin("GET", f"{configs}?at={at}")).status == status


async def test_revisions_hold_content_and_differences(admin: Client, configs: str) -> None:
    path = f"{configs}/a"
    await put(admin, path, {"a": 1, "l": [1, 2, 3]}, comment="one")
    await put(admin, path, {"a": 1, "l": [1, 3], "b": None}, 1)
    await admin("DELETE", path, headers={"If-Match": '"2"'})
    one = await admin("GET", f"{path}/revisions/1")
    assert one.json["content"] == {"a": 1, "l": [1, 2, 3]}
    assert (one.json["comment"], one.json["event"]) == ("one", "ConfigCreated")
    tombstone = await admin("GET", f"{path}/revisions/3")
    assert (tombstone.json["content"], tombstone.json["deleted"]) == (None, True)
    listed = await pages(admin, f"{path}/revisions?limit=2")
    assert [line["version"] for line in listed] == [3, 2, 1]
    assert "content" not in listed[0]
    forth = await admin("GET", f"{path}/diff?from=1&to=2")
    assert (forth.json["from"], forth.json["to"]) == (1, 2)
    assert sorted(forth.json["patch"], key=str) == [
        {"op": "add", "path": "/b", "value": None},
        {"op": "remove", "path": "/l/1"},
    ]
    assert (await admin("GET", f"{path}/diff?from=2&to=2")).json["patch"] == []
    dead = await admin("GET", f"{path}/diff?from=2&to=3")
    assert dead.json["patch"] == [{"op": "remove", "path": ""}]
    for bad, status in (
        ("diff?from=1", 400),
        ("diff?from=1&to=x", 400),
        ("diff?from=1&to=7", 404),
        ("revisions/0", 400),
        ("revisions/9", 404),
    ):
        assert (await admin("GET", f"{path}/{bad}")).status == status, bad


async def test_the_difference_of_large_documents_is_bounded(admin: Client, configs: str) -> None:
    path = f"{configs}/a"
    numbers = list(range(30_000))
    await put(admin, path, numbers)
    await put(admin, path, numbers[::-1], 1)
    answer = await admin("GET", f"{path}/diff?from=1&to=2")
    assert answer.json["patch"] == [{"op": "replace", "path": "", "value": numbers[::-1]}]


async def test_the_project_is_listed_as_it_stood_page_by_page(
    service: Service, admin: Client, configs: str
) -> None:
    project = configs.removesuffix("/configs")
    changes = [{"op": "put", "key": f"k.{n:02}", "content": n, "version": 0} for n in range(20)]
    made = await admin("POST", f"{project}/changes", json={"changes": changes})
    await admin("DELETE", f"{configs}/k.03", headers={"If-Match": '"1"'})
    await put(admin, f"{configs}/z", 1)
    then = made.json["position"]
    as_it_stood = await pages(admin, f"{configs}?position={then}&limit=7")
    assert [item["key"] for item in as_it_stood] == [f"k.{n:02}" for n in range(20)]
    assert [item["content"] for item in as_it_stood] == list(range(20))
    now = await pages(admin, f"{configs}?limit=7")
    today = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert await pages(admin, f"{configs}?at={today}&limit=7") == now
    assert keys(await admin("GET", f"{configs}?position={then}&prefix=k.1&limit=500")) == [
        f"k.{n}" for n in range(10, 20)
    ]
    assert keys(await admin("GET", f"{configs}?position={then - 1}")) == []
    assert (await admin("GET", f"{configs}?position={then}&prefix=%00")).status == 400


async def test_the_pages_of_a_time_that_is_still_to_come_are_of_one_moment(
    admin: Client, configs: str
) -> None:
    """The time is resolved once: a change between two pages does not show on the second."""
    for key in ("a", "b", "c"):
        await put(admin, f"{configs}/{key}", "then")
    first = await admin("GET", f"{configs}?limit=1&at=2199-01-01T00:00:00Z")
    await put(admin, f"{configs}/b", "later", 1)
    await put(admin, f"{configs}/d", "later")
    second = await admin("GET", first.json["next"])
    assert second.headers["Guardian-Position"] == first.headers["Guardian-Position"]
    items = first.json["items"] + await pages(admin, first.json["next"])
    assert [(item["key"], item["content"]) for item in items] == [
        ("a", "then"),
        ("b", "then"),
        ("c", "then"),
    ]


async def test_the_content_that_matches_is_found_page_by_page(
    service: Service, admin: Client, configs: str
) -> None:
    project = configs.removesuffix("/configs")
    changes = [
        {
            "op": "put",
            "key": f"{'ab'[n % 2]}.{n:02}",
            "content": {"tier": n % 3, "tags": ["x", f"t{n}"]},
            "version": 0,
        }
        for n in range(30)
    ]
    done = await admin("POST", f"{project}/changes", json={"changes": changes})
    await admin("DELETE", f"{configs}/a.00", headers={"If-Match": '"1"'})
    found = await pages(admin, f'{configs}?match={{"tier":0}}&limit=4')
    expected = sorted(f"{'ab'[n % 2]}.{n:02}" for n in range(3, 30, 3))
    assert [item["key"] for item in found] == expected
    narrowed = await admin("GET", f'{configs}?match={{"tags":["x"],"tier":0}}&prefix=b.')
    assert keys(narrowed) == [key for key in expected if key.startswith("b.")]
    assert int(narrowed.headers["Guardian-Position"]) >= done.json["position"]
    assert keys(await admin("GET", f'{configs}?match={{"tags":["t7"]}}')) == ["b.07"]
    assert keys(await admin("GET", f"{configs}?match=7")) == []
    broken = await admin("GET", f"{configs}?match={{")
    assert broken.json["type"] == "/problems/malformed-json"
    assert broken.json["detail"].startswith("match: ")
    assert "body" not in broken.json["title"]
    assert (await admin("GET", f'{configs}?match="%5Cu0000"')).status == 422
    assert (await admin("GET", f"{configs}?match=7&position=1")).status == 400


async def test_a_config_is_rolled_back_forward(admin: Client, configs: str) -> None:
    path = f"{configs}/a"
    await put(admin, path, {"n": 1})
    await put(admin, path, {"n": 2}, 1)
    body = {"to_version": 1, "comment": "oops"}
    rehearsed = await admin(
        "POST", f"{path}/rollback?dry_run=true", json=body, headers={"If-Match": '"2"'}
    )
    assert rehearsed.json["patch"] == [{"op": "replace", "path": "/n", "value": 1}]
    assert (await admin("POST", f"{path}/rollback", json=body)).status == 428
    stale = await admin("POST", f"{path}/rollback", json=body, headers={"If-Match": '"1"'})
    assert (stale.status, stale.json["current_version"]) == (409, 2)
    keyed = {"If-Match": '"2"', "Idempotency-Key": "r"}
    done = await admin("POST", f"{path}/rollback", json=body, headers=keyed)
    assert (done.status, done.json["version"], done.json["content"]) == (200, 3, {"n": 1})
    again = await admin("POST", f"{path}/rollback", json=body, headers=keyed)
    assert (again.status, again.body) == (200, done.body)
    line = (await admin("GET", f"{path}/revisions?limit=1")).json["items"][0]
    assert (line["event"], line["comment"], line["version"]) == ("ConfigRolledBack", "oops", 3)
    await admin("DELETE", path, headers={"If-Match": '"3"'})
    to_tombstone = await admin("POST", f"{path}/rollback", json={"to_version": 4, "version": 4})
    assert to_tombstone.status == 400
    missing = await admin("POST", f"{path}/rollback", json={"to_version": 9, "version": 4})
    assert missing.json["type"] == "/problems/revision-not-found"
    revived = await admin("POST", f"{path}/rollback", json={"to_version": 2, "version": 4})
    assert (revived.status, revived.json["version"], revived.json["content"]) == (200, 5, {"n": 2})
    nothing = await admin("POST", f"{configs}/b/rollback", json={"to_version": 1, "version": 0})
    assert nothing.status == 404


async def test_a_project_is_rolled_back_as_one_change_set(
    service: Service, admin: Client, configs: str
) -> None:
    project = configs.removesuffix("/configs")
    for key in ("changed", "deleted", "same", "there-and-back"):
        await put(admin, f"{configs}/{key}", {"then": key})
    then = service.app[SERVICES].model.position
    before = (await admin("GET", configs)).json["items"]
    await put(admin, f"{configs}/changed", {"now": 1}, 1)
    await admin("DELETE", f"{configs}/deleted", headers={"If-Match": '"1"'})
    await put(admin, f"{configs}/made", 1)
    await put(admin, f"{configs}/there-and-back", 0, 1)
    await put(admin, f"{configs}/there-and-back", {"then": "there-and-back"}, 2)
    path = f"{project}/rollback"
    rehearsed = await admin("POST", f"{path}?dry_run=true", json={"position": then})
    assert [
        (c["op"], c["key"], c["version"], c["to_version"]) for c in rehearsed.json["changes"]
    ] == [
        ("put", "changed", 3, 1),
        ("put", "deleted", 3, 1),
        ("delete", "made", 2, None),
    ]
    assert rehearsed.json["changes"][2]["patch"] == [{"op": "remove", "path": ""}]
    done = await admin(
        "POST", path, json={"position": then, "comment": "back"}, headers={"Idempotency-Key": "p"}
    )
    assert done.status == 200, done.body
    assert [(c["key"], c["version"], c["deleted"]) for c in done.json["changes"]] == [
        ("changed", 3, False),
        ("deleted", 3, False),
        ("made", 2, True),
    ]
    again = await admin(
        "POST", path, json={"position": then, "comment": "back"}, headers={"Idempotency-Key": "p"}
    )
    assert again.body == done.body
    after = (await admin("GET", configs)).json["items"]
    assert {i["key"]: i["content"] for i in after} == {i["key"]: i["content"] for i in before}
    pool = service.app[SERVICES].pool
    rows = await pool.fetch(
        "SELECT DISTINCT change_id, comment, position FROM config_revisions WHERE position > $1",
        done.json["position"] - 1,
    )
    assert [(row["change_id"], row["comment"]) for row in rows] == [(done.json["id"], "back")]
    nothing = await admin("POST", path, json={"position": done.json["position"]})
    assert (nothing.status, nothing.json["id"], nothing.json["changes"]) == (200, None, [])
    at = before[0]["updated_at"]  # of "changed", the first that was made
    first = await admin("POST", path, json={"at": at})
    assert [(c["key"], c["deleted"]) for c in first.json["changes"]] == [
        ("deleted", True),
        ("same", True),
        ("there-and-back", True),
    ]
    for bad in (
        {},
        {"position": 1, "at": "2026-01-01T00:00:00Z"},
        {"at": "then"},
        {"position": -1},
    ):
        assert (await admin("POST", path, json=bad)).status == 400


async def test_the_feed_tells_who_changed_what_in_either_order(
    service: Service, admin: Client, configs: str
) -> None:
    project = configs.removesuffix("/configs")
    made = [await put(admin, f"{configs}/{'abc'[n % 3]}", n, n // 3) for n in range(9)]
    positions = [answer.json["position"] for answer in made]
    user_id = made[0].json["updated_by_user_id"]
    feed = f"{project}/revisions"
    oldest = await pages(admin, f"{feed}?limit=4")
    assert [line["position"] for line in oldest] == positions
    newest = await pages(admin, f"{feed}?limit=4&order=desc")
    assert newest == oldest[::-1]
    from_here = await pages(admin, f"{feed}?from_position={positions[4]}")
    assert [line["position"] for line in from_here] == positions[4:]
    down = await pages(admin, f"{feed}?from_position={positions[4]}&order=desc&limit=2")
    assert [line["position"] for line in down] == positions[4::-1]
    of_key = await pages(admin, f"{feed}?key=b&limit=1")
    assert [line["position"] for line in of_key] == positions[1::3]
    assert len(await pages(admin, f"{feed}?user={user_id}")) == 9
    assert await pages(admin, f"{feed}?user=nobody") == []
    assert len(await pages(admin, f"{feed}?user={user_id}&key=c&limit=2")) == 3
    for bad in ("order=up", "from_position=x", "key=a..b", "cursor=bnVsbA", "cursor=LTE", "who=me"):
        expected = 200 if bad == "cursor=bnVsbA" else 400
        assert (await admin("GET", f"{feed}?{bad}")).status == expected, bad


async def test_a_project_of_many_configs_is_rolled_back_in_one_change_set(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a client's change set may hold; above the bound it says so and does nothing."""
    project = configs.removesuffix("/configs")
    before = service.app[SERVICES].model.position
    for part in range(3):
        changes = [
            {"op": "put", "key": f"k.{part}.{n}", "content": n, "version": 0} for n in range(500)
        ]
        assert (await admin("POST", f"{project}/changes", json={"changes": changes})).status == 200
    monkeypatch.setattr(rollbacks, "MAX_ROLLED_BACK", 1499)
    refused = await admin("POST", f"{project}/rollback", json={"position": before})
    assert (refused.status, refused.json["type"]) == (422, "/problems/too-many-changes")
    assert refused.json["limit"] == 1499
    monkeypatch.undo()
    done = await admin("POST", f"{project}/rollback", json={"position": before})
    assert (done.status, len(done.json["changes"])) == (200, 1500)
    assert (await admin("GET", configs)).json["items"] == []
    status = await admin("GET", f"/v1/changes/{done.json['id']}")
    assert (status.json["status"], len(status.json["changes"])) == ("applied", 1500)


async def test_a_rollback_meets_the_schemas_of_today(
    service: Service, admin: Client, configs: str
) -> None:
    """One config keeps its binding; a project's roll-back brings back the binding of then."""
    project = configs.removesuffix("/configs")
    made = await admin(
        "POST", "/v1/schemas", json={"name": "numbers", "schema": {"type": "integer"}}
    )
    assert made.status == 201, made.body
    schema_id = made.json["id"]
    bound = await put(admin, f"{configs}/bound", 1, schema_id=schema_id)
    await put(admin, f"{configs}/bound", "text", 1, schema_id=None)
    free = await put(admin, f"{configs}/free", "text")
    await put(admin, f"{configs}/free", 7, 1, schema_id=schema_id)
    rehearsed = await admin(
        "POST", f"{configs}/free/rollback?dry_run=true", json={"to_version": 1, "version": 2}
    )
    assert (rehearsed.status, rehearsed.json["type"]) == (422, "/problems/schema-violation")
    alone = await admin("POST", f"{configs}/bound/rollback", json={"to_version": 1, "version": 2})
    assert (alone.json["content"], alone.json["schema_id"]) == (1, None)
    then = bound.json["position"]
    done = await admin("POST", f"{project}/rollback", json={"position": then})
    assert done.status == 200, done.body
    back = (await admin("GET", f"{configs}/bound")).json
    assert (back["content"], back["schema_id"], back["schema_version"]) == (1, schema_id, 1)
    again = await admin("POST", f"{project}/rollback", json={"position": free.json["position"]})
    assert again.status == 200, again.body
    assert (await admin("GET", f"{configs}/free")).json["schema_id"] is None
