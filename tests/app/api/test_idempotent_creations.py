"""Goal: who sends again what makes a project, a key or a schema has one, and no secret is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.services import SERVICES
from tests.app.api.test_idempotency import count, keyed
from tests.support.service import Client, Service, run_web

SCHEMA = {"name": "s", "schema": {"type": "integer"}}


async def test_a_project_that_is_asked_for_again_is_not_made_again(
    service: Service, admin: Client
) -> None:
    """The header was left out in silence: a lost answer made two projects."""
    body = {"name": "payments"}
    first = await admin("POST", "/v1/projects", json=body, headers=keyed("k"))
    assert first.status == 201
    async with run_web(service.settings) as (_, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        for client in (admin, other):
            again = await client("POST", "/v1/projects", json=body, headers=keyed("k"))
            assert (again.status, again.json["type"]) == (409, "/problems/duplicate")
            assert first.headers["Location"] in again.json["detail"]
    assert len((await admin("GET", "/v1/projects")).json["items"]) == 1
    # Its key was answered once, and still is the project's.
    reader = admin.with_headers(**{"X-API-Key": first.json["api_key"]})
    assert (await reader("GET", f"{first.headers['Location']}/configs")).status == 200
    kept = await service.app[SERVICES].pool.fetchval("SELECT k::text FROM creation_keys k")
    assert first.json["api_key"] not in kept


async def test_a_key_that_is_asked_for_again_is_not_replaced_again(
    service: Service, admin: Client
) -> None:
    """The second replacement ended the key that the first one had left in its grace."""
    project, old = await service.project(admin)
    where, body = f"{project}/api-key", {"grace_seconds": 3600}
    made = await admin("POST", where, json=body, headers=keyed("k"))
    again = await admin("POST", where, json=body, headers=keyed("k"))
    assert (made.status, again.status) == (201, 409)
    for key in (old, made.json["api_key"]):
        reader = admin.with_headers(**{"X-API-Key": key})
        assert (await reader("GET", f"{project}/configs")).status == 200
    # A body is none where none is sent.
    assert (await admin("POST", where, headers=keyed("k2"))).status == 201
    assert (await admin("POST", where, headers=keyed("k2"))).status == 409


async def test_a_schema_that_is_asked_for_again_is_answered_again(
    service: Service, admin: Client
) -> None:
    first = await admin("POST", "/v1/schemas", json=SCHEMA, headers=keyed("k"))
    again = await admin("POST", "/v1/schemas", json=SCHEMA, headers=keyed("k"))
    assert (again.status, again.body) == (201, first.body)
    for header in ("ETag", "Location", "Content-Type"):
        assert again.headers[header] == first.headers[header]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await count(service, "config_schemas") == 1


async def test_many_at_once_make_one(service: Service, admin: Client) -> None:
    """Through two processes, which know of each other by the database only."""
    async with run_web(service.settings) as (_, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        answers = await asyncio.gather(
            *(
                client("POST", "/v1/schemas", json=SCHEMA, headers=keyed("k"))
                for client in (admin, other) * 8
            )
        )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert await count(service, "config_schemas") == 1


@pytest.mark.parametrize(
    ("path", "bodies"),
    [
        ("/v1/projects", ({"name": "a"}, {"name": "b"})),
        ("/v1/schemas", (SCHEMA, {**SCHEMA, "name": "t"})),
    ],
)
async def test_a_used_key_with_another_request_is_refused(
    service: Service, admin: Client, path: str, bodies: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    assert (await admin("POST", path, json=bodies[0], headers=keyed("k"))).status == 201
    other = await admin("POST", path, json=bodies[1], headers=keyed("k"))
    assert (other.status, other.json["type"]) == (422, "/problems/idempotency-key-reused")
    bad = await admin("POST", path, json=bodies[1], headers=keyed("k" * 256))
    assert (bad.status, bad.json["parameter"]) == (400, "Idempotency-Key")
    # Another user's keys are their own.
    body = {"email": "ada@example.com", "password": "a password of ada"}
    assert (await admin("POST", "/v1/users", json=body)).status == 201
    ada = await service.anonymous.sign_in("ada@example.com", "a password of ada")
    assert (await ada("POST", path, json=bodies[1], headers=keyed("k"))).status == 201


async def test_what_was_refused_is_tried_again(service: Service, admin: Client) -> None:
    broken = await admin(
        "POST",
        "/v1/schemas",
        json={**SCHEMA, "project_id": "01890000-0000-7000-8000-000000000000"},
        headers=keyed("k"),
    )
    assert broken.status == 404
    made = await admin("POST", "/v1/schemas", json=SCHEMA, headers=keyed("k"))
    assert made.status == 201


async def test_what_is_not_kept_is_not_made(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr("app.tables.creations.remember", away)
        lost = await admin("POST", "/v1/schemas", json=SCHEMA, headers=keyed("k"))
    assert lost.status == 503
    assert await count(service, "config_schemas") == 0
    made = await admin("POST", "/v1/schemas", json=SCHEMA, headers=keyed("k"))
    assert made.status == 201
    assert await count(service, "config_schemas") == 1
