"""Schemas through the public door: stored as given, held to, and never broken unseen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from app.services import SERVICES
from tests.support.service import Answer, Client, Service

LIMITS = {"type": "object", "properties": {"limit": {"type": "integer", "maximum": 10}}}


async def new_schema(client: Client, schema: Any, **members: Any) -> str:
    """The path of a new schema."""
    body = {"name": "limits", "schema": schema, **members}
    answer = await client("POST", "/v1/schemas", json=body)
    assert answer.status == 201, answer.body
    assert answer.headers["Location"] == f"/v1/schemas/{answer.json['id']}"
    return f"/v1/schemas/{answer.json['id']}"


def id_of(path: str) -> str:
    return path.rsplit("/", 1)[1]


async def put(
    client: Client, configs: str, key: str, content: Any, version: int = 0, **members: Any
) -> Answer:
    body = {"content": content, "version": version, **members}
    return await client("PUT", f"{configs}/{key}", json=body)


GIVEN = '{ "maximum":1.0e1,\n\t"type" : "number", "title": "Gr\\u00f6\\u00dfe" }'


@pytest.mark.parametrize("member", [GIVEN, json.dumps(GIVEN)], ids=["as a value", "as a string"])
async def test_the_text_of_a_schema_is_kept_as_it_was_given(admin: Client, member: str) -> None:
    body = f'{{"name": "schema", "schema" : {member} }}'
    headers = {"Content-Type": "application/json"}
    created = await admin("POST", "/v1/schemas", data=body.encode(), headers=headers)
    assert created.status == 201, created.body
    read = await admin("GET", f"/v1/schemas/{created.json['id']}")
    assert f'"schema":{GIVEN},'.encode() in read.body
    assert read.json["version"] == 1
    assert read.headers["ETag"] == '"1"'
    assert set(read.json) == {
        *("id", "name", "project_id", "version", "schema"),
        *("created_by_user_id", "created_at", "updated_at"),
    }
    again = await admin(
        "GET", f"/v1/schemas/{created.json['id']}", headers={"If-None-Match": '"1"'}
    )
    assert again.status == 304


OLD = {"If-Match": '"2"'}
BAD_SCHEMAS: list[tuple[str, Any, str]] = [
    ("unknown type", {"properties": {"a": {"type": "strin"}}}, "/properties/a/type"),
    ("remote reference", {"$ref": "https://example.org/schema.json"}, "/$ref"),
    ("file reference", {"items": {"$ref": "file:///etc/passwd"}}, "/items/$ref"),
    ("reference to nothing", {"$ref": "#/$defs/a"}, "/$ref"),
    ("circle", {"$ref": "#"}, "/$ref"),
    ("unknown dialect", {"$schema": "https://example.org/mine"}, "/$schema"),
    ("bad pattern", {"pattern": "("}, "/pattern"),
    ("no JSON", '{"type": ', ""),
    ("duplicate name", '{"type": "object", "type": "array"}', "/type"),
]


@pytest.mark.parametrize(
    ("schema", "pointer"), [case[1:] for case in BAD_SCHEMAS], ids=[case[0] for case in BAD_SCHEMAS]
)
async def test_a_schema_that_cannot_be_used_is_refused_with_its_place(
    admin: Client, schema: Any, pointer: str
) -> None:
    answer = await admin("POST", "/v1/schemas", json={"name": "n", "schema": schema})
    assert (answer.status, answer.json["type"]) == (422, "/problems/invalid-schema"), answer.body
    assert answer.json["pointer"] == pointer
    assert (await admin("GET", "/v1/schemas")).json["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status", "slug"),
    [
        ("POST", "", {"json": {"name": "n"}}, 400, "invalid-parameter"),
        ("POST", "", {"json": {"name": " ", "schema": {}}}, 400, "invalid-parameter"),
        ("POST", "", {"json": {"name": "n", "schema": 7}}, 400, "invalid-parameter"),
        ("POST", "", {"json": {"name": "n", "schema": {}, "id": "x"}}, 400, "invalid-parameter"),
        ("POST", "", {"json": {"name": "n", "schema": {}, "version": 9}}, 400, "invalid-parameter"),
        ("POST", "", {"json": {"name": "n", "schema": {}, "project_id": "no"}}, 404, "not-found"),
        ("GET", "/nothing", {}, 404, "not-found"),
        ("GET", "/%00", {}, 404, "not-found"),
        ("GET", "?project_id=%00", {}, 400, "invalid-parameter"),
        ("GET", "?limit=0", {}, 400, "invalid-parameter"),
        ("GET", "?cursor=!", {}, 400, "invalid-parameter"),
        ("GET", "?surprise=1", {}, 400, "invalid-parameter"),
        ("GET", "{one}?version=2", {}, 404, "not-found"),
        ("GET", "{one}?version=0", {}, 400, "invalid-parameter"),
        ("GET", "{one}/usage?cursor=WzFd", {}, 400, "invalid-parameter"),
        ("PUT", "{one}", {"json": {}}, 400, "invalid-parameter"),
        ("PUT", "{one}?force=1", {"json": {"schema": {}}}, 400, "invalid-parameter"),
        ("PUT", "{one}", {"json": {"schema": {"type": 1}}}, 422, "invalid-schema"),
        ("PUT", "{one}", {"json": {"schema": {}}, "headers": OLD}, 409, "version-conflict"),
        ("POST", "{one}/validate", {"json": {}}, 400, "invalid-parameter"),
    ],
)  # fmt: skip
async def test_a_bad_request_is_a_clear_problem(
    admin: Client, method: str, path: str, kwargs: Any, status: int, slug: str
) -> None:
    one = await new_schema(admin, LIMITS)
    path = path.replace("{one}", one.removeprefix("/v1/schemas"))
    answer = await admin(method, f"/v1/schemas{path}", **kwargs)
    assert (answer.status, answer.json["type"]) == (status, f"/problems/{slug}"), answer.body
    assert (await admin("GET", one)).json["version"] == 1


DRAFT = "http://json-schema.org/draft-0{}/schema#"
SINCE_2019 = "https://json-schema.org/draft/{}/schema"
DRAFTS: list[tuple[str | None, Any, Any, str]] = [
    (DRAFT.format(4), {"maximum": 3, "exclusiveMaximum": True}, 3, "maximum"),
    (DRAFT.format(6), {"exclusiveMaximum": 3}, 3, "exclusiveMaximum"),
    (DRAFT.format(7), {"if": {"type": "integer"}, "then": {"minimum": 5}}, 3, "minimum"),
    (SINCE_2019.format("2019-09"), {"items": {"$recursiveRef": "#"}, "minimum": 5}, 3, "minimum"),
    (SINCE_2019.format("2020-12"), {"prefixItems": [{"type": "string"}]}, [3], "type"),
    (None, {"prefixItems": [{"format": "date-time"}]}, ["yesterday"], "format"),
]


async def test_every_draft_is_spoken(admin: Client) -> None:
    for dialect, keywords, content, keyword in DRAFTS:
        schema = {**({"$schema": dialect} if dialect else {}), **keywords}
        path = await new_schema(admin, schema)
        answer = await admin("POST", f"{path}/validate", json={"content": content})
        assert (answer.status, answer.json["valid"]) == (200, False), (dialect, answer.body)
        assert [error["keyword"] for error in answer.json["errors"]] == [keyword]
        good = await admin("POST", f"{path}/validate", json={"content": {"anything": None}})
        assert good.json == {"valid": True, "errors": []}


async def test_a_config_is_held_to_the_schema_that_it_is_bound_to(
    service: Service, admin: Client, configs: str
) -> None:
    first, second = await new_schema(admin, LIMITS), await new_schema(admin, {"type": "array"})
    refused = await put(admin, configs, "a", {"limit": 11}, schema_id=id_of(first))
    assert (refused.status, refused.json["type"]) == (422, "/problems/schema-violation")
    (error,) = refused.json["errors"]
    assert (error["key"], error["pointer"], error["keyword"]) == ("a", "/limit", "maximum")
    assert (await admin("GET", f"{configs}/a")).status == 404
    created = await put(admin, configs, "a", {"limit": 10}, schema_id=id_of(first))
    assert (created.json["schema_id"], created.json["schema_version"]) == (id_of(first), 1)
    # Left out, the binding is kept.
    assert (await put(admin, configs, "a", {"limit": 12}, 1)).status == 422
    in_set = {"op": "put", "key": "a", "content": {"limit": 12}, "version": 1}
    changes = configs.removesuffix("configs") + "changes"
    assert (await admin("POST", changes, json={"changes": [in_set]})).status == 422
    rebound = await put(admin, configs, "a", [], 1, schema_id=id_of(second))
    assert (rebound.json["schema_id"], rebound.json["schema_version"]) == (id_of(second), 1)
    unbound = await put(admin, configs, "a", "free", 2, schema_id=None)
    assert (unbound.json["schema_id"], unbound.json["schema_version"]) == (None, None)
    history = await admin("GET", f"{configs}/a/revisions")
    assert [item["schema_id"] for item in history.json["items"]] == [
        *(None, id_of(second), id_of(first))
    ]


async def test_all_violations_of_a_change_set_are_listed_and_nothing_is_committed(
    admin: Client, configs: str
) -> None:
    schema_id = id_of(await new_schema(admin, LIMITS))
    changes = [
        {"op": "put", "key": key, "version": 0, "schema_id": schema_id, "content": content}
        for key, content in [("a", {"limit": 11}), ("b", {"limit": 1}), ("c", {"limit": "x"})]
    ]
    url = configs.removesuffix("configs") + "changes"
    for query in ("", "?dry_run=true"):
        answer = await admin("POST", url + query, json={"changes": changes})
        assert (answer.status, answer.json["type"]) == (422, "/problems/schema-violation")
        assert [(e["key"], e["keyword"]) for e in answer.json["errors"]] == [
            *(("a", "maximum"), ("c", "type"))
        ]
    assert (await admin("GET", configs)).json["items"] == []
    good = [change for change in changes if change["key"] == "b"]
    assert (await admin("POST", url, json={"changes": good})).status in (200, 201)
    assert (await admin("GET", f"{configs}/b")).json["schema_version"] == 1


@pytest.mark.parametrize(
    ("wrong", "listed", "words"),
    [(1, 1, "/0"), (3, 3, "(and 2 more)"), (150, 100, "(and at least 99 more)")],
)
async def test_a_refusal_tells_how_many_violations_there_are(
    admin: Client, configs: str, wrong: int, listed: int, words: str
) -> None:
    schema = {"items": {"type": "string"}}
    made = await admin("POST", "/v1/schemas", json={"name": "texts", "schema": schema})
    body = {"content": [0] * wrong, "version": 0, "schema_id": made.json["id"]}
    refused = await admin("PUT", f"{configs}/a", json=body)
    assert (refused.status, len(refused.json["errors"])) == (422, listed)
    assert refused.json["detail"].endswith(words)


async def test_a_schema_that_is_not_there_for_the_project_cannot_be_bound_to(
    service: Service, admin: Client, configs: str
) -> None:
    other, _ = await service.project(admin, "other")
    theirs = await new_schema(admin, {}, project_id=other.rsplit("/", 1)[1])
    for schema_id in ("nothing", id_of(theirs)):
        answer = await put(admin, configs, "a", {}, schema_id=schema_id)
        assert (answer.status, answer.json["type"]) == (422, "/problems/unknown-schema")
        assert (answer.json["schema_id"], answer.json["key"]) == (schema_id, "a")
    assert (await put(admin, f"{other}/configs", "a", {}, schema_id=id_of(theirs))).status == 201


async def test_a_change_that_would_break_live_configs_is_refused_unless_it_is_forced(
    admin: Client, configs: str
) -> None:
    path = await new_schema(admin, LIMITS)
    for key, limit in [("a", 3), ("b", 9), ("gone", 10), ("free", 10)]:
        await put(admin, configs, key, {"limit": limit}, schema_id=id_of(path))
    await admin("DELETE", f"{configs}/gone", headers={"If-Match": '"1"'})
    await put(admin, configs, "free", {"limit": 99}, 1, schema_id=None)
    narrow = {"properties": {"limit": {"maximum": 5}}}
    tried = await admin("PUT", f"{path}?dry_run=true", json={"schema": narrow})
    assert (tried.status, tried.json["total"], tried.json["checked"]) == (200, 1, 2)
    refused = await admin("PUT", path, json={"schema": narrow})
    assert (refused.status, refused.json["type"]) == (409, "/problems/schema-would-break")
    (broken,) = refused.json["configs"]
    assert (broken["key"], broken["errors"][0]["pointer"]) == ("b", "/limit")
    assert tried.json["configs"] == refused.json["configs"]
    assert (await admin("GET", path)).json["version"] == 1
    forced = await admin("PUT", f"{path}?force=true", json={"schema": narrow, "name": "new"})
    assert (forced.status, forced.json["version"], forced.json["name"]) == (200, 2, "new")
    assert forced.headers["ETag"] == '"2"'
    # What is live is served on, and held to the new version when it changes.
    assert (await admin("GET", f"{configs}/b")).json["schema_version"] == 1
    assert (await put(admin, configs, "b", {"limit": 9}, 1)).status == 422
    assert (await put(admin, configs, "b", {"limit": 5}, 1)).json["schema_version"] == 2
    assert (await admin("GET", f"{path}?version=1")).json["schema"] == LIMITS
    wider = await admin("PUT", path, json={"schema": {}}, headers={"If-Match": '"2"'})
    assert wider.json["version"] == 3


async def test_a_schema_in_use_is_not_deleted_and_its_users_are_named(
    admin: Client, configs: str
) -> None:
    path = await new_schema(admin, LIMITS)
    await put(admin, configs, "a", {}, schema_id=id_of(path))
    refused = await admin("DELETE", path)
    assert (refused.status, refused.json["type"]) == (409, "/problems/schema-in-use")
    project_id = configs.split("/")[3]
    assert refused.json["configs"] == [{"project_id": project_id, "key": "a"}]
    usage = await admin("GET", f"{path}/usage")
    assert [(item["key"], item["version"]) for item in usage.json["items"]] == [("a", 1)]
    await admin("DELETE", f"{configs}/a", headers={"If-Match": '"1"'})
    assert (await admin("GET", f"{path}/usage")).json["total"] == 0
    deleted = await admin("DELETE", path)
    assert (deleted.status, deleted.json["deleted"]) == (200, True)
    assert (await admin("GET", path)).status == 404
    again = await put(admin, configs, "a", {}, schema_id=id_of(path))
    assert again.json["type"] == "/problems/unknown-schema"


async def test_who_knows_an_older_version_of_a_schema_neither_changes_nor_deletes_it(
    admin: Client,
) -> None:
    made = await admin("POST", "/v1/schemas", json={"name": "any", "schema": {}})
    path, body = f"/v1/schemas/{made.json['id']}", {"schema": {"type": "object"}}
    assert (await admin("PUT", path, json=body, headers={"If-Match": '"1"'})).status == 200
    for method, query, sent in (
        ("PUT", "?dry_run=true", body),
        ("PUT", "", body),
        ("DELETE", "", None),
    ):
        stale = await admin(method, path + query, json=sent, headers={"If-Match": '"1"'})
        assert (stale.status, stale.json["current_version"]) == (409, 2), (method, query)
        assert stale.json["type"] == "/problems/version-conflict"
    tried = await admin("PUT", f"{path}?dry_run=true", json=body, headers={"If-Match": '"2"'})
    assert (tried.status, tried.json["version"]) == (200, 3)
    assert (await admin("DELETE", path, headers={"If-Match": "2"})).status == 400
    assert (await admin("DELETE", path, headers={"If-Match": '"2"'})).status == 200


async def test_pages_of_schemas_and_of_users_have_no_gaps(admin: Client, configs: str) -> None:
    paths = [await new_schema(admin, {"title": "x" * n}) for n in range(5)]
    keys = [f"k{n}" for n in range(5)]
    for key in keys:
        await put(admin, configs, key, 0, schema_id=id_of(paths[0]))
    for url, name, expected in (
        ("/v1/schemas?limit=2", "id", [id_of(path) for path in paths]),
        (f"{paths[0]}/usage?limit=2", "key", keys),
    ):
        seen: list[str] = []
        following: str | None = url
        while following:
            answer = await admin("GET", following)
            assert len(answer.json["items"]) <= 2
            seen += [item[name] for item in answer.json["items"]]
            following = answer.json["next"]
        assert seen == expected


async def test_a_page_of_large_schemas_ends_early_and_goes_on(admin: Client) -> None:
    large = {"description": "x" * 250_000}
    paths = [await new_schema(admin, large) for _ in range(20)]
    first = await admin("GET", "/v1/schemas?limit=500")
    assert 10 < len(first.json["items"]) < 20
    rest = await admin("GET", first.json["next"])
    assert [item["id"] for item in first.json["items"] + rest.json["items"]] == [
        id_of(path) for path in paths
    ]
    assert rest.json["next"] is None


MANY_BY_MANY = {"items": {"anyOf": [{"const": n} for n in range(3000)]}}
# Of each reason one; tests/app/validation/test_pool.py has the others.
HOSTILE: list[tuple[str, Any, Any]] = [
    ("recursion", {"anyOf": [{"type": "string"}, {"$ref": "#"}]}, 1),
    ("many by many", MANY_BY_MANY, ["x" * 20] * 10_000),
]


async def asked_until_told(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What somebody is told who comes back for as long as the machine is busy (429): what is too
    expensive is measured in processor time, and how soon a worker gets that is the machine's."""
    while (answer := await ask()).status == 429:
        assert answer.headers["Retry-After"]
    return answer


@pytest.mark.parametrize(
    ("schema", "content"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
async def test_what_is_too_expensive_is_refused_while_others_go_on(
    service: Service, admin: Client, configs: str, schema: Any, content: Any
) -> None:
    path = await new_schema(admin, schema)
    quiet = id_of(await new_schema(admin, LIMITS))
    neighbour = await service.user(admin, "neighbour")  # whoever shares the bombs' share waits
    other, _ = await service.project(neighbour, "other")
    hostile = asyncio.create_task(
        asked_until_told(lambda: put(admin, configs, "a", content, schema_id=id_of(path)))
    )
    asked = asyncio.create_task(
        asked_until_told(lambda: admin("POST", f"{path}/validate", json={"content": content}))
    )
    done = 0
    while not (hostile.done() and asked.done()):
        write = partial(put, neighbour, f"{other}/configs", f"k{done}", {}, schema_id=quiet)
        answer = await asked_until_told(write)
        assert answer.status == 201, answer.body
        done += 1
    assert done
    for answer in (await hostile, await asked):
        assert (answer.status, answer.json["type"]) == (422, "/problems/schema-too-expensive")
    assert (await admin("GET", f"{configs}/a")).status == 404


async def test_a_client_that_hung_up_leaves_its_place_in_the_queue(
    service: Service, admin: Client
) -> None:
    """Else the bombs of one who left keep their tenant's honest requests out for minutes."""
    path = await new_schema(admin, {"pattern": "^(?!x)(a+)+$"})
    validators = service.app[SERVICES].validators
    body = {"content": "a" * 60 + "!"}
    left = [asyncio.create_task(admin("POST", f"{path}/validate", json=body)) for _ in range(20)]
    async with asyncio.timeout(30):
        while validators.waiting < 10:  # noqa: ASYNC110 - the server's side of other tasks
            await asyncio.sleep(0.01)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        gone_at = asyncio.get_running_loop().time()
        while validators.waiting:  # noqa: ASYNC110 - the server's side of other tasks
            await asyncio.sleep(0.01)
    # Run out one after the other they would have taken 10 s of processor time and more.
    assert asyncio.get_running_loop().time() - gone_at < 8
