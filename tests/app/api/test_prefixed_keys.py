"""A key with a prefix knows of its configs only, in every list, feed, change set and roll-back."""

from __future__ import annotations

from typing import Any

from tests.support.service import Client, Service


async def test_what_is_outside_the_prefix_does_not_exist(
    service: Service, admin: Client, configs: str
) -> None:
    project = configs.removesuffix("/configs")
    made = await admin(
        "POST",
        f"{project}/keys",
        json={"name": "deploy", "role_level": "editor", "prefix": "a."},
    )
    assert made.status == 201, made.body
    key = service.anonymous.with_headers(**{"X-API-Key": made.json["api_key"]})
    changes: list[dict[str, Any]] = [
        {"op": "put", "key": name, "content": {"x": 1}, "version": 0}
        for name in ("a.1", "a.2", "ab", "b.a.1")
    ]
    first = await admin("POST", f"{project}/changes", json={"changes": changes})
    then = first.json["position"]
    for n, name in enumerate(("a.1", "b.a.1")):
        await admin("PUT", f"{configs}/{name}", json={"content": n, "version": 1})

    async def seen(path: str) -> list[str]:
        answer = await key("GET", path)
        assert answer.status == 200, answer.body
        return [item["key"] for item in answer.json["items"]]

    assert await seen(configs) == ["a.1", "a.2"]
    assert await seen(f"{configs}?position={then}") == ["a.1", "a.2"]
    assert await seen(f"{configs}?position={then}&prefix=a") == ["a.1", "a.2"]
    assert await seen(f"{configs}?position={then}&prefix=a.2") == ["a.2"]
    for place in (f"{configs}?", f"{configs}?position={then}&"):
        for beside in ("b", "b.a."):
            assert await seen(f"{place}prefix={beside}") == []
    assert await seen(f'{configs}?match={{"x":1}}') == ["a.2"]
    assert await seen(f"{project}/revisions") == ["a.1", "a.2", "a.1"]
    assert await seen(f"{project}/revisions?order=desc&limit=1") == ["a.1"]
    status = await key("GET", f"/v1/changes/{first.json['id']}")
    assert [change["key"] for change in status.json["changes"]] == ["a.1", "a.2"]

    for path in (
        f"{configs}/b.a.1?version=1",
        f"{configs}/b.a.1/revisions",
        f"{configs}/b.a.1/revisions/1",
        f"{configs}/b.a.1/diff?from=1&to=2",
        f"{project}/revisions?key=b.a.1",
    ):
        assert (await key("GET", path)).status == 404, path
    beyond = await key(
        "POST", f"{project}/changes", json={"changes": [changes[3] | {"key": "b.a.2"}]}
    )
    assert beyond.status == 404
    rollback = await key("POST", f"{configs}/b.a.1/rollback", json={"to_version": 1, "version": 2})
    assert rollback.status == 404
    headers = {"Content-Type": "application/merge-patch+json"}
    assert (await key("PATCH", f"{configs}/b.a.1", data=b"{}", headers=headers)).status == 404

    rolled = await key("POST", f"{project}/rollback", json={"position": then})
    assert [(c["key"], c["version"]) for c in rolled.json["changes"]] == [("a.1", 3)]
    assert (await admin("GET", f"{configs}/b.a.1")).json["content"] == 1


async def test_a_prefix_that_no_key_has_is_refused_from_memory_and_from_the_table(
    admin: Client, configs: str
) -> None:
    for query in ("", "&position=0", "&match=1", "&at=2026-01-01T00:00:00Z"):
        answer = await admin("GET", f"{configs}?prefix=%C3%A9{query}")
        assert (answer.status, answer.json["parameter"]) == (400, "prefix"), query


async def test_a_time_does_not_tell_a_key_with_a_prefix_when_other_configs_change(
    service: Service, admin: Client, configs: str
) -> None:
    """The position that a time is resolved to is that of a change that the key may see."""
    made = await admin(
        "POST",
        configs.removesuffix("/configs") + "/keys",
        json={"name": "reader", "role_level": "viewer", "prefix": "a."},
    )
    key = service.anonymous.with_headers(**{"X-API-Key": made.json["api_key"]})
    seen = [await admin("PUT", f"{configs}/a.{n}", json={"content": n, "version": 0}) for n in "12"]
    hidden = await admin("PUT", f"{configs}/b.a.1", json={"content": 0, "version": 0})
    first, second = (answer.headers["Guardian-Position"] for answer in seen)
    for at in ("2199-01-01T00:00:00Z", hidden.json["updated_at"]):
        for path in (
            f"{configs}?at={at}",
            f"{configs}/a.1?at={at}",
            f"{configs}/a.1/content?at={at}",
        ):
            answer = await key("GET", path)
            assert (answer.status, answer.headers["Guardian-Position"]) == (200, second), path
    listed = await key("GET", f"{configs}?at={hidden.json['updated_at']}&limit=1")
    assert [item["key"] for item in listed.json["items"]] == ["a.1"]
    rest = await key("GET", listed.json["next"])
    assert [item["key"] for item in rest.json["items"]] == ["a.2"]
    assert rest.headers["Guardian-Position"] == second
    then = await key("GET", f"{configs}?at={seen[0].json['updated_at']}")
    assert then.headers["Guardian-Position"] == first
    before = await key("GET", f"{configs}?at=2020-01-01T00:00:00Z")
    assert (before.json["items"], before.headers["Guardian-Position"]) == ([], "0")
    whole = await admin("GET", f"{configs}?at=2199-01-01T00:00:00Z")
    assert whole.headers["Guardian-Position"] == hidden.headers["Guardian-Position"]
