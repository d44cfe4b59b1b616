"""Goal: who loses access while a request still waits, as long as they like, gets nothing by it.

The body may take half a minute, a position that is to be reached a whole one: long enough for a
dismissed admin to go on with requests that were begun before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from app.services import SERVICES
from tests.app.api.test_projects import make_key, make_user, sent_slowly
from tests.support.service import Client, Service
from tests.support.waiting import until

PUT_A = ("PUT", "/configs/a", {"content": 1, "version": 0})
MAKE_KEY = ("POST", "/keys", {"name": "door", "role_level": "editor"})


async def refused(
    client: Client, request: tuple[str, str, object], between: Awaitable[object], status: int
) -> None:
    """Send a request whose body's end comes behind `between`."""
    answer = await sent_slowly(client, *request, between)
    assert answer.status == status, answer.body


def in_project(project: str, request: tuple[str, str, object]) -> tuple[str, str, object]:
    method, path, body = request
    return method, project + path, body


async def test_a_member_who_is_taken_out_meanwhile(service: Service, admin: Client) -> None:
    project, _ = await service.project(admin)
    user_id, user = await make_user(service, admin, "eve")
    role = f"{project}/roles/{user_id}"
    for request in (PUT_A, MAKE_KEY, ("POST", "/api-key", {"grace_seconds": 1})):
        await admin("PUT", role, json={"role_level": "admin"})
        await refused(user, in_project(project, request), admin("DELETE", role), 404)
    for request in (PUT_A, MAKE_KEY):
        await admin("PUT", role, json={"role_level": "admin"})
        lowered = admin("PUT", role, json={"role_level": "viewer"})
        await refused(user, in_project(project, request), lowered, 403)
    assert (await admin("GET", f"{project}/keys")).json["items"] == []
    assert (await admin("GET", f"{project}/configs")).json["items"] == []


async def test_a_user_who_is_disabled_or_signed_out_meanwhile(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    user_id, user = await make_user(service, admin, "eve")
    await admin("PUT", f"{project}/roles/{user_id}", json={"role_level": "admin"})
    signed_out = user("POST", "/v1/auth/logout")
    await refused(user, in_project(project, PUT_A), signed_out, 401)
    _, boss = await make_user(service, admin, "boss")
    boss_id = (await boss("GET", "/v1/me")).json["id"]
    await admin("PATCH", f"/v1/users/{boss_id}", json={"is_superuser": True})
    user_to_come = (
        "POST",
        "/v1/users",
        {"email": "x@example.org", "password": "long enough it is"},
    )
    lowered = admin("PATCH", f"/v1/users/{boss_id}", json={"is_superuser": False})
    await refused(boss, user_to_come, lowered, 403)
    disabled = admin("PATCH", f"/v1/users/{boss_id}", json={"disabled": True})
    await refused(boss, ("POST", "/v1/projects", {"name": "shop"}), disabled, 401)


async def test_a_key_that_is_ended_meanwhile(service: Service, admin: Client) -> None:
    project, _ = await service.project(admin)
    key = await make_key(admin, project, role_level="editor")
    key_id = (await admin("GET", f"{project}/keys")).json["items"][0]["id"]
    ended = admin("DELETE", f"{project}/keys/{key_id}")
    await refused(key, in_project(project, PUT_A), ended, 401)


async def test_an_editor_of_a_schema_who_is_taken_out_meanwhile(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    user_id, user = await make_user(service, admin, "eve")
    role = f"{project}/roles/{user_id}"
    await admin("PUT", role, json={"role_level": "editor"})
    body = {"name": "s", "schema": {}, "project_id": project.rpartition("/")[2]}
    schema = (await admin("POST", "/v1/schemas", json=body)).json["id"]
    change = ("PUT", f"/v1/schemas/{schema}", {"schema": {"type": "object"}})
    await refused(user, change, admin("DELETE", role), 404)


async def test_who_waits_for_a_position_that_is_to_come(
    service: Service, admin: Client, configs: str
) -> None:
    project = configs.removesuffix("/configs")
    key = await make_key(admin, project, role_level="editor")
    await admin("PUT", f"{configs}/a", json={"content": 1, "version": 0})
    model = service.app[SERVICES].model
    to_come = {"Guardian-Min-Position": str(model.position + 1)}
    body = {"content": 2, "version": 1}
    waiting = [
        asyncio.create_task(key("GET", f"{configs}/a", headers=to_come)),
        asyncio.create_task(key("PUT", f"{configs}/a", json=body, headers=to_come)),
    ]
    await until(lambda: len(model._waiters) == 2)
    await service.app[SERVICES].pool.execute("UPDATE api_keys SET revoked_at = now()")
    await admin("PUT", f"{configs}/b", json={"content": 1, "version": 0})
    assert [(await each).status for each in waiting] == [401, 401]
    assert (await admin("GET", f"{configs}/a")).json["content"] == 1
