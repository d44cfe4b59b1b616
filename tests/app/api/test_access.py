"""Goal: every route lets in whom the written table says, and nobody else.

Method: each route of the running application is asked by each kind of caller, with a parameter
that no route knows. Whoever is let in is told that (400) and nothing is done; whoever is not is
refused before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest_asyncio

from app.access.api_keys import generate_api_key
from app.access.tokens import issue_access_token
from app.api.openapi import OPERATIONS
from app.services import SERVICES
from tests.app.api.access_table import CALLERS, MATRIX, ROUTES
from tests.support.service import Client, Service

PASSWORD = "a password of somebody else"
PROBE = "?access-walk=1"
LET_IN = (200, 304, 400, 415)
NO_QUERY = {"nobody", "superuser"}
"""Rows with routes that look at no query; their let-in callers are really answered."""


@dataclass
class World:
    """A project with somebody of each kind."""

    service: Service
    callers: dict[str, Client]
    ids: dict[str, str]

    def path(self, pattern: str) -> str:
        for name, value in self.ids.items():
            pattern = pattern.replace("{" + name + "}", value)
        assert "{" not in pattern, f"{pattern}: put an id of this kind into the world"
        return pattern


@pytest_asyncio.fixture
async def world(service: Service, admin: Client) -> World:
    """Everybody that the table knows."""
    users: dict[str, str] = {}
    callers = {"superuser": admin, "none": service.anonymous}
    for name in ("stranger", "viewer", "editor", "admin", "owner"):
        body = {"email": f"{name}@walk.example", "password": PASSWORD}
        users[name] = (await admin("POST", "/v1/users", json=body)).json["id"]
        callers[name] = await service.anonymous.sign_in(body["email"], PASSWORD)
    owner = callers["owner"]
    project, own_key = await service.project(owner)
    _, other_key = await service.project(callers["stranger"], "other")
    for name in ("viewer", "editor", "admin"):
        await owner("PUT", f"{project}/roles/{users[name]}", json={"role_level": name})
    keys = {"project key": own_key, "other project's key": other_key}
    for name, more in (
        ("viewer key", {"role_level": "viewer"}),
        ("editor key", {"role_level": "editor"}),
        ("prefix key", {"role_level": "viewer", "prefix": "pay."}),
    ):
        made = await owner("POST", f"{project}/keys", json={"name": name, **more})
        keys[name] = made.json["api_key"]
    keys["wrong key"] = generate_api_key().plain
    for name, key in keys.items():
        callers[name] = service.anonymous.with_headers(**{"X-API-Key": key})
    callers["broken token"] = service.anonymous.with_headers(Authorization="Bearer e30.e30.e30")
    callers["expired token"] = service.anonymous.with_headers(
        Authorization=f"Bearer {await _expired_token(service, users['owner'])}"
    )
    project_id = project.rsplit("/", 1)[1]
    schema = {"name": "s", "schema": {}, "project_id": project_id}
    ids = {
        "project": project_id,
        "key": "pay.a",
        "user": users["viewer"],
        "schema": (await owner("POST", "/v1/schemas", json=schema)).json["id"],
        "id": "no-such-id",
        "version": "1",
        "slug": "not-found",
        "name": "none.js",
    }
    for key in ("pay.a", "mail.a"):
        put = await owner("PUT", f"{project}/configs/{key}", json={"content": 1, "version": 0})
        assert put.status == 201
    assert set(callers) == set(CALLERS)
    return World(service, callers, ids)


async def _expired_token(service: Service, user_id: str) -> str:
    """A token of a session that still stands, issued an hour ago."""
    connection = await asyncpg.connect(service.settings.require_database_url())
    try:
        session_id = await connection.fetchval(
            "SELECT family_id FROM refresh_tokens WHERE user_id = $1", user_id
        )
    finally:
        await connection.close()
    return issue_access_token(
        service.app[SERVICES].ring,
        user_id=user_id,
        session_id=session_id,
        password_generation=1,
        now=datetime.now(UTC) - timedelta(hours=1),
    )


async def test_every_route_lets_in_whom_the_table_says(world: World) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in world.service.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    missing = "\n".join(f"{m:<6} {p:<60} <needs>" for m, p in sorted(routes - set(ROUTES)))
    assert not missing, f"add these lines to ROUTES in tests/app/api/access_table.py:\n{missing}"
    assert set(ROUTES) - routes == set(), "the table has routes that the application has not"

    wrong = []
    for (method, pattern), needs in ROUTES.items():
        for caller in CALLERS:
            answer = await world.callers[caller](method, world.path(pattern) + PROBE)
            expected = MATRIX[needs][caller]
            if expected is None:
                fine = answer.status in LET_IN or (needs == "nobody" and answer.status == 404)
            else:
                fine = answer.status == expected and answer.json["status"] == expected
            if not fine:
                wrong.append(f"{method} {pattern} by {caller}: {answer.status}, not {expected}")
    assert wrong == []


async def test_the_walk_changed_nothing(world: World) -> None:
    """Or the test above would prove less than it says."""
    for (method, pattern), needs in ROUTES.items():
        if needs not in NO_QUERY and method != "GET":
            answer = await world.callers["superuser"](method, world.path(pattern) + PROBE)
            assert answer.status in (400, 415), f"{method} {pattern}: {answer.status}"


async def test_what_a_prefix_does_not_reach_is_not_there(world: World) -> None:
    world.ids["key"] = "mail.a"
    key = world.callers["prefix key"]
    for (method, pattern), needs in ROUTES.items():
        if "{key}" in pattern and needs == "viewer":
            query = "?from=1&to=1" if pattern.endswith("/diff") else ""
            answer = await key(method, world.path(pattern) + query)
            assert (answer.status, answer.json["type"]) == (404, "/problems/not-found"), pattern
            seen = await world.callers["viewer"](method, world.path(pattern) + query)
            assert seen.status == 200, pattern
    walked = await key("GET", world.path("/v1/projects/{project}/audit/verify"))
    assert walked.status == 403


async def test_a_refusal_does_not_tell_what_is_there(world: World) -> None:
    """A project that is not yours and one that does not exist look the same; one of a header that
    is none tells what it should be."""
    token = world.callers["owner"].headers["Authorization"].removeprefix("Bearer ")
    for header, status in {
        f"bearer {token}": 200,
        f"BEARER   {token} ": 200,
        "Bearer ": 401,
        f"Basic {token}": 401,
        token: 401,
    }.items():
        caller = world.service.anonymous.with_headers(Authorization=header)
        answer = await caller("GET", "/v1/me")
        assert answer.status == status, header
        assert status == 200 or "must be: Bearer <access token>" in answer.json["detail"]
    # Nobody gets a key that may manage by the API; one that was made beside it does not, either.
    pool = world.service.app[SERVICES].pool
    await pool.execute("UPDATE api_keys SET role_level = 'admin' WHERE role_level = 'editor'")
    await world.service.hears()
    key = world.callers["editor key"]
    assert (await key("GET", world.path("/v1/projects/{project}/configs"))).status == 200
    assert (await key("GET", world.path("/v1/projects/{project}/roles"))).status == 403
    stranger = world.callers["stranger"]
    for path in ("/v1/projects/{project}", "/v1/projects/{project}/configs/{key}"):
        there = await stranger("GET", world.path(path))
        world_without = World(world.service, world.callers, {**world.ids, "project": "nothing"})
        nowhere = await stranger("GET", world_without.path(path))
        told = [{**answer.json, "request_id": None} for answer in (there, nowhere)]
        assert told[0] == told[1]


def test_the_document_says_the_same_as_the_table() -> None:
    documented = {
        (operation.method, operation.path): operation.needs.name.lower() for operation in OPERATIONS
    }
    assert documented == ROUTES
