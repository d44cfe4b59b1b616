"""Goal: what somebody may do in a project changes when its admins say so, everywhere at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import asyncpg
import orjson
import pytest

from app.api import requests
from app.services import SERVICES
from tests.support.service import Answer, Client, Service, run_web

PASSWORD = "a password of somebody else"
NOBODY = "0199f000-0000-7000-8000-000000000000"


async def make_user(service: Service, admin: Client, name: str) -> tuple[str, Client]:
    """A user with no role anywhere: the id, and their client."""
    email = f"{name}@example.org"
    made = await admin("POST", "/v1/users", json={"email": email, "password": PASSWORD})
    return made.json["id"], await service.anonymous.sign_in(email, PASSWORD)


async def make_key(admin: Client, project: str, name: str = "ci", **body: object) -> Client:
    made = await admin(
        "POST", f"{project}/keys", json={"name": name, "role_level": "viewer", **body}
    )
    assert made.status == 201, made.body
    return admin.with_headers(**{"X-API-Key": made.json["api_key"]})


async def test_a_project_is_renamed_and_deleted_with_all_that_is_in_it(
    service: Service, admin: Client
) -> None:
    project, key = await service.project(admin)
    renamed = await admin("PATCH", project, json={"name": " store "})
    assert (renamed.json["name"], renamed.json["owner_email"]) == ("store", "admin@example.org")
    empty = await admin("DELETE", f"{project}?dry_run=true")
    assert (empty.json["configs"], empty.json["revisions"]) == (0, 0)
    await admin("PUT", f"{project}/configs/a", json={"content": 1, "version": 0})
    await admin("PUT", f"{project}/configs/b", json={"content": 1, "version": 0})
    await admin("DELETE", f"{project}/configs/b", headers={"If-Match": '"1"'})
    tried = await admin("DELETE", f"{project}?dry_run=true")
    assert (tried.json["configs"], tried.json["revisions"], tried.json["deleted"]) == (1, 3, False)
    done = await admin("DELETE", project)
    assert done.json == {**tried.json, "deleted": True}
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    assert (await application("GET", f"{project}/configs/a")).status == 401
    assert (await admin("GET", f"{project}/configs/a")).status == 404
    # The service goes on: what the log still holds of the project is skipped.
    other, _ = await service.project(admin, "next")
    put = await admin("PUT", f"{other}/configs/a", json={"content": 1, "version": 0})
    assert put.status == 201


async def test_a_member_may_what_their_role_says_until_they_are_taken_out(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    ann_id, ann = await make_user(service, admin, "ann")
    role, config = f"{project}/roles/{ann_id}", f"{project}/configs/a"
    new = {"content": 1, "version": 0}
    assert (await ann("GET", project)).status == 404
    steps = [("viewer", 201, 403, 403), ("editor", 200, 201, 403), ("admin", 200, 409, 200)]
    for level, put_status, change_status, rename_status in steps:
        answer = await admin("PUT", role, json={"role_level": level})
        assert (answer.status, answer.json["email"]) == (put_status, "ann@example.org")
        assert (await ann("GET", project)).json["role"] == level
        assert (await ann("PUT", config, json=new)).status == change_status
        assert (await ann("PATCH", project, json={"name": level})).status == rename_status
    assert (await ann("DELETE", project)).status == 403
    listed = await admin("GET", f"{project}/roles")
    assert [(item["email"], item["role_level"]) for item in listed.json["items"]] == [
        ("ann@example.org", "admin")
    ]
    assert (await admin("DELETE", role)).status == 204
    assert (await admin("DELETE", role)).status == 404
    assert (await ann("GET", project)).status == 404


async def test_the_owner_is_no_member_and_nobody_is_made_one_who_is_not_there(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    me = (await admin("GET", "/v1/me")).json["id"]
    viewer = {"role_level": "viewer"}
    assert (await admin("PUT", f"{project}/roles/{me}", json=viewer)).status == 400
    assert (await admin("PUT", f"{project}/roles/{NOBODY}", json=viewer)).status == 404
    owner = {"role_level": "owner"}
    refused = await admin("PUT", f"{project}/roles/{me}", json=owner)
    assert (refused.status, refused.json["parameter"]) == (400, "role_level")


async def test_the_project_key_is_replaced_with_and_without_a_grace(
    service: Service, admin: Client, database_url: str
) -> None:
    project, first = await service.project(admin)

    async def status(key: str) -> int:
        client = service.anonymous.with_headers(**{"X-API-Key": key})
        return (await client("GET", project)).status

    second = (await admin("POST", f"{project}/api-key", json={"grace_seconds": 600})).json
    assert second["previous_expires_at"] is not None
    assert [await status(first), await status(second["api_key"])] == [200, 200]
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE projects SET previous_api_key_expires_at = now()")
    await connection.close()
    service.app[SERVICES].directory.invalidate()
    assert [await status(first), await status(second["api_key"])] == [401, 200]
    third = (await admin("POST", f"{project}/api-key")).json
    assert third["previous_expires_at"] is None
    assert [await status(second["api_key"]), await status(third["api_key"])] == [401, 200]


async def test_a_named_key_reaches_what_its_role_and_prefix_let_it(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    for key in ("pay.a", "mail.a"):
        await admin("PUT", f"{project}/configs/{key}", json={"content": 1, "version": 0})
    editor = await make_key(admin, project, "deploy", role_level="editor", prefix="pay.")
    assert (await editor("GET", f"{project}/configs/pay.a")).status == 200
    assert (await editor("GET", f"{project}/configs/mail.a")).status == 404
    listed = await editor("GET", f"{project}/configs")
    assert [item["key"] for item in listed.json["items"]] == ["pay.a"]
    put = await editor("PUT", f"{project}/configs/pay.b", json={"content": 1, "version": 0})
    assert put.status == 201
    put = await editor("PUT", f"{project}/configs/mail.b", json={"content": 1, "version": 0})
    assert put.status == 404
    assert (await editor("GET", f"{project}/keys")).status == 403
    viewer = await make_key(admin, project, "read")
    put = await viewer("PUT", f"{project}/configs/c", json={"content": 1, "version": 0})
    assert put.status == 403


async def test_named_keys_are_listed_without_what_they_are_and_ended_alone(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ci = await make_key(admin, project, "ci", expires_at=ends)
    other = await make_key(admin, project, "other")
    taken = await admin("POST", f"{project}/keys", json={"name": "ci", "role_level": "viewer"})
    assert taken.status == 409
    listed = await admin("GET", f"{project}/keys")
    assert b"cg_" not in listed.body
    assert [item["name"] for item in listed.json["items"]] == ["ci", "other"]
    assert (await ci("GET", project)).status == 200
    path = f"{project}/keys/{listed.json['items'][0]['id']}"
    assert (await admin("DELETE", path)).status == 204
    assert (await admin("DELETE", path)).status == 404
    assert [(await key("GET", project)).status for key in (ci, other)] == [401, 200]
    await make_key(admin, project, "ci")  # the name is free again


async def test_an_admins_hand_does_not_reach_into_another_project(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    bob_id, bob = await make_user(service, admin, "bob")
    await admin("PUT", f"{project}/roles/{bob_id}", json={"role_level": "viewer"})
    key = await make_key(admin, project)
    key_id = (await admin("GET", f"{project}/keys")).json["items"][0]["id"]
    _, ann = await make_user(service, admin, "ann")
    hers, _ = await service.project(ann, "hers")
    for path in (f"{hers}/keys/{key_id}", f"{hers}/roles/{bob_id}"):
        assert (await ann("DELETE", path)).status == 404
    assert [(await each("GET", project)).status for each in (key, bob)] == [200, 200]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": " ", "role_level": "viewer"},
        {"name": "x", "role_level": "admin"},
        {"name": "x", "role_level": "viewer", "prefix": "a b"},
        {"name": "x", "role_level": "viewer", "prefix": ".a"},
        {"name": "x", "role_level": "viewer", "prefix": "a..b"},
        {"name": "x", "role_level": "viewer", "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "x", "role_level": "viewer", "expires_at": "tomorrow"},
        {"name": "x", "role_level": "viewer", "key_hash": "0" * 64},
    ],
)
async def test_a_key_that_cannot_be_is_refused(
    service: Service, admin: Client, body: dict[str, str]
) -> None:
    project, _ = await service.project(admin)
    assert (await admin("POST", f"{project}/keys", json=body)).status == 400


async def test_uses_of_a_key_are_written_down_in_one_batch(service: Service, admin: Client) -> None:
    project, _ = await service.project(admin)
    key = await make_key(admin, project)
    for _ in range(3):
        await key("GET", project)
    before = (await admin("GET", f"{project}/keys")).json["items"][0]
    assert before["last_used_at"] is None
    await service.app[SERVICES].upkeep.flush()
    after = (await admin("GET", f"{project}/keys")).json["items"][0]
    assert after["last_used_at"] is not None
    await service.app[SERVICES].upkeep.sweep()


Change = Callable[[Service, Client, str, str], Awaitable[None]]


async def _take_out(service: Service, admin: Client, project: str, user: str) -> None:
    await admin("DELETE", f"{project}/roles/{user}")


async def _lower(service: Service, admin: Client, project: str, user: str) -> None:
    await admin("PUT", f"{project}/roles/{user}", json={"role_level": "viewer"})


async def _disable(service: Service, admin: Client, project: str, user: str) -> None:
    await admin("PATCH", f"/v1/users/{user}", json={"disabled": True})


async def _new_password(service: Service, admin: Client, project: str, user: str) -> None:
    await admin("PATCH", f"/v1/users/{user}", json={"password": PASSWORD * 2})


async def _by_hand(service: Service, admin: Client, project: str, user: str) -> None:
    connection = await asyncpg.connect(service.settings.require_database_url())
    await connection.execute("DELETE FROM roles WHERE user_id = $1", user)
    await connection.close()


@asynccontextmanager
async def hearing(service: Service) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A second web process, and the event that it heard of a change of access."""
    async with run_web(service.settings) as (app, url):
        heard = asyncio.Event()
        app[SERVICES].directory.on_change(heard.set)
        yield url, heard


@pytest.mark.parametrize(
    ("change", "status"),
    [(_take_out, 404), (_lower, 403), (_disable, 401), (_new_password, 401), (_by_hand, 404)],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_change_of_a_member_works_within_a_second_in_every_process(
    service: Service, admin: Client, change: Change, status: int
) -> None:
    project, _ = await service.project(admin)
    user, ann = await make_user(service, admin, "ann")
    await admin("PUT", f"{project}/roles/{user}", json={"role_level": "editor"})
    async with hearing(service) as (url, heard):
        second = replace(ann, base_url=url)
        # Refused by its unknown parameter, that is: let in. From here on it is in memory there.
        assert (await second("PUT", f"{project}/configs/a?x=1")).status == 400
        heard.clear()
        await change(service, admin, project, user)
        async with asyncio.timeout(1.0):
            await heard.wait()
            assert (await second("PUT", f"{project}/configs/a?x=1")).status == status


@pytest.mark.parametrize("named", [True, False])
async def test_the_end_of_a_key_works_within_a_second_in_every_process(
    service: Service, admin: Client, named: bool
) -> None:
    project, own = await service.project(admin)
    key = admin.with_headers(**{"X-API-Key": own})
    if named:
        key = await make_key(admin, project)
    async with hearing(service) as (url, heard):
        second = replace(key, base_url=url)
        assert (await second("GET", project)).status == 200
        heard.clear()
        listed = (await admin("GET", f"{project}/keys")).json["items"]
        async with asyncio.timeout(1.0):
            if named:
                await admin("DELETE", f"{project}/keys/{listed[0]['id']}")
            else:
                await admin("POST", f"{project}/api-key")
            await heard.wait()
            assert (await second("GET", project)).status == 401


async def test_a_key_is_the_projects_and_outlives_who_made_it(
    service: Service, admin: Client
) -> None:
    """SECURITY.md says so to whoever takes somebody out: an installation's services go on."""
    ann, bob = await service.user(admin, "ann"), await service.user(admin, "bob")
    ann_id, bob_id = [(await each("GET", "/v1/me")).json["id"] for each in (ann, bob)]
    project, project_key = await service.project(ann)
    member = f"{project}/roles/{bob_id}"
    await ann("PUT", member, json={"role_level": "admin"})
    keys = [
        await make_key(bob, project),
        service.anonymous.with_headers(**{"X-API-Key": project_key}),
    ]

    async def statuses() -> set[int]:
        return {(await key("GET", f"{project}/configs")).status for key in keys}

    assert (await ann("DELETE", member)).status == 204
    assert (await bob("GET", project)).status == 404
    assert await statuses() == {200}
    for user in (bob_id, ann_id):
        assert (await admin("PATCH", f"/v1/users/{user}", json={"disabled": True})).status == 200
    assert await statuses() == {200}
    assert (await admin("DELETE", f"/v1/users/{bob_id}")).status == 200
    assert await statuses() == {200}
    (left,) = (await admin("GET", f"{project}/keys")).json["items"]
    assert left["created_by_user_id"] is None
    # The owner takes the project along, and that its keys.
    assert (await admin("DELETE", f"/v1/users/{ann_id}")).status == 200
    assert await statuses() == {401}


async def test_one_key_that_asks_too_often_takes_nothing_from_the_others(
    service: Service, admin: Client
) -> None:
    project, key = await service.project(admin)
    settings = replace(service.settings, requests_per_second=1, request_burst=3)
    async with run_web(settings) as (_, url):
        noisy = Client(admin.session, url, {"X-API-Key": key})
        answers = [await noisy("GET", project) for _ in range(5)]
        assert [answer.status for answer in answers] == [200] * 3 + [429] * 2
        assert answers[-1].headers["Retry-After"] == "1"
        assert answers[-1].json["type"] == "/problems/too-many-requests"
        assert (await replace(admin, base_url=url)("GET", project)).status == 200


async def sent_slowly(
    client: Client, method: str, path: str, body: object, between: Awaitable[object], **headers: str
) -> Answer:
    """A request whose body ends when something else has been done since its caller was let in."""
    data, let_in, usual = orjson.dumps(body), asyncio.Event(), requests.read_body

    async def noticed(*given: Any, **more: Any) -> bytes:
        let_in.set()
        return await usual(*given, **more)

    async def pieces() -> AsyncIterator[bytes]:
        yield data[:1]
        await let_in.wait()
        await between
        yield data[1:]

    headers["Content-Type"] = "application/json"
    with mock.patch.object(requests, "read_body", noticed):
        return await client(method, path, data=pieces(), headers=headers)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("PUT", "/configs/a", {"content": 1, "version": 0}, {}),
        ("PUT", "/configs/a", {"content": 1, "version": 0}, {"Idempotency-Key": "k"}),
        ("POST", "/rollback", {"position": 0}, {"Idempotency-Key": "k"}),
        ("POST", "/keys", {"name": "ci", "role_level": "viewer"}, {}),
        ("POST", "/api-key", {"grace_seconds": 5}, {}),
        ("PATCH", "", {"name": "store"}, {}),
    ],
)
async def test_a_project_that_is_deleted_while_a_body_comes_is_not_there(
    service: Service,
    admin: Client,
    method: str,
    path: str,
    body: object,
    headers: dict[str, str],
) -> None:
    project, _ = await service.project(admin)
    gone = admin("DELETE", project)
    answer = await sent_slowly(admin, method, project + path, body, gone, **headers)
    assert (answer.status, answer.json["type"]) == (404, "/problems/not-found")


async def test_a_user_who_is_deleted_while_a_body_comes_makes_no_project(
    service: Service, admin: Client
) -> None:
    user_id, user = await make_user(service, admin, "eve")
    gone = admin("DELETE", f"/v1/users/{user_id}")
    answer = await sent_slowly(user, "POST", "/v1/projects", {"name": "shop"}, gone)
    assert (answer.status, answer.json["type"]) == (401, "/problems/not-signed-in")
