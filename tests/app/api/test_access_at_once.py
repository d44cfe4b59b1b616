"""Goal: the process that takes a right away knows it before it answers; nobody need tell it.

Method: PostgreSQL tells nothing here, so whatever is known is known without being told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.api import keys, members, projects, sessions, users
from app.services import SERVICES
from tests.app.api.test_projects import PASSWORD, make_key, make_user
from tests.support.service import Answer, Client, Service

TELLING = ("users", "projects", "roles", "api_keys", "refresh_tokens")
NEW_PASSWORD = PASSWORD * 2


@dataclass
class Place:
    """A project, and an editor of it who was seen doing something."""

    anonymous: Client
    admin: Client
    project: str
    project_key: Client
    named_key: Client
    user_id: str
    user: Client
    refresh_token: str


Change = Callable[[Place], Awaitable[Answer]]


@pytest_asyncio.fixture
async def place(service: Service, admin: Client) -> Place:
    project, key = await service.project(admin)
    user_id, _ = await make_user(service, admin, "eve")
    await admin("PUT", f"{project}/roles/{user_id}", json={"role_level": "editor"})
    signed_in = {"email": "eve@example.org", "password": PASSWORD}
    session = (await service.anonymous("POST", "/v1/auth/login", json=signed_in)).json
    connection = await asyncpg.connect(service.settings.require_database_url())
    for table in TELLING:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_access")
    await connection.close()
    await service.hears()  # of what was told before
    return Place(
        service.anonymous,
        admin,
        project,
        service.anonymous.with_headers(**{"X-API-Key": key}),
        await make_key(admin, project, role_level="editor"),
        user_id,
        service.anonymous.with_headers(Authorization=f"Bearer {session['access_token']}"),
        session["refresh_token"],
    )


async def lower(place: Place) -> Answer:
    role = f"{place.project}/roles/{place.user_id}"
    return await place.admin("PUT", role, json={"role_level": "viewer"})


async def take_out(place: Place) -> Answer:
    return await place.admin("DELETE", f"{place.project}/roles/{place.user_id}")


async def disable(place: Place) -> Answer:
    return await place.admin("PATCH", f"/v1/users/{place.user_id}", json={"disabled": True})


async def delete_user(place: Place) -> Answer:
    return await place.admin("DELETE", f"/v1/users/{place.user_id}")


async def delete_project(place: Place) -> Answer:
    return await place.admin("DELETE", place.project)


async def sign_out(place: Place) -> Answer:
    return await place.user("POST", "/v1/auth/logout")


async def sign_out_by_refresh_token(place: Place) -> Answer:
    return await place.anonymous("POST", "/v1/auth/logout", json=refresh_token(place))


async def sign_out_with_another_header(place: Place) -> Answer:
    """Refused for the header; the session of the refresh token has ended all the same."""
    odd = place.anonymous.with_headers(Authorization="Basic eDp5")
    return await odd("POST", "/v1/auth/logout", json=refresh_token(place))


async def bring_a_refresh_token_twice(place: Place) -> Answer:
    await place.anonymous("POST", "/v1/auth/refresh", json=refresh_token(place))
    return await place.anonymous("POST", "/v1/auth/refresh", json=refresh_token(place))


async def change_password(place: Place) -> Answer:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return await place.user("PUT", "/v1/me/password", json=body)


async def replace_project_key(place: Place) -> Answer:
    return await place.admin("POST", f"{place.project}/api-key")


async def delete_key(place: Place) -> Answer:
    found = (await place.admin("GET", f"{place.project}/keys")).json["items"][0]["id"]
    return await place.admin("DELETE", f"{place.project}/keys/{found}")


def refresh_token(place: Place) -> dict[str, str]:
    return {"refresh_token": place.refresh_token}


CHANGES: list[tuple[Change, int, str, int]] = [
    (lower, 200, "user", 403),
    (take_out, 204, "user", 404),
    (disable, 200, "user", 401),
    (delete_user, 200, "user", 401),
    (delete_project, 200, "user", 404),
    (delete_project, 200, "project_key", 401),
    (delete_project, 200, "named_key", 401),
    (sign_out, 204, "user", 401),
    (sign_out_by_refresh_token, 204, "user", 401),
    (sign_out_with_another_header, 401, "user", 401),
    (bring_a_refresh_token_twice, 401, "user", 401),
    (change_password, 200, "user", 401),
    (replace_project_key, 201, "project_key", 401),
    (delete_key, 204, "named_key", 401),
]
REACHED = {
    ("PUT", "/v1/projects/{project}/roles/{user}"),
    ("DELETE", "/v1/projects/{project}/roles/{user}"),
    ("PATCH", "/v1/users/{user}"),
    ("DELETE", "/v1/users/{user}"),
    ("DELETE", "/v1/projects/{project}"),
    ("POST", "/v1/auth/logout"),
    ("POST", "/v1/auth/refresh"),
    ("PUT", "/v1/me/password"),
    ("POST", "/v1/projects/{project}/api-key"),
    ("DELETE", "/v1/projects/{project}/keys/{id}"),
}
TAKES_NOTHING_AWAY = {
    ("POST", "/v1/auth/login"),
    ("POST", "/v1/users"),
    ("POST", "/v1/projects"),
    ("PATCH", "/v1/projects/{project}"),
    ("POST", "/v1/projects/{project}/keys"),
}


@pytest.mark.parametrize(("change", "answered", "who", "status"), CHANGES)
async def test_whoever_lost_a_right_is_refused_by_the_next_request(
    place: Place, change: Change, answered: int, who: str, status: int
) -> None:
    client: Client = getattr(place, who)
    path = f"{place.project}/configs/a"
    assert (await client("GET", path)).json["detail"].startswith("there is no config")
    answer = await change(place)
    assert answer.status == answered, answer.body
    body: dict[str, Any] = {"content": 1, "version": 0}
    assert (await client("PUT", path, json=body)).status == status


def test_every_route_that_changes_access_is_tried() -> None:
    """A new one must be put in one of the two lists, so that somebody thinks of it."""
    changing = {
        (route.method, route.path)
        for module in (keys, members, projects, sessions, users)
        for route in module.routes()
        if route.method != "GET"
    }
    assert changing == REACHED | TAKES_NOTHING_AWAY


async def test_a_session_that_ended_before_makes_nobody_look_up_anew(
    service: Service, admin: Client
) -> None:
    # Whoever ever had a refresh token could have every process ask for every caller, for ever.
    signed_in = {"email": "admin@example.org", "password": "correct horse battery"}
    session = (await service.anonymous("POST", "/v1/auth/login", json=signed_in)).json
    token = {"refresh_token": session["refresh_token"]}
    assert (await service.anonymous("POST", "/v1/auth/logout", json=token)).status == 204
    await service.hears()
    told: list[str] = []
    service.app[SERVICES].directory.on_change(lambda: told.append("again"))
    for method, path in (("POST", "/v1/auth/logout"), ("POST", "/v1/auth/refresh")):
        await service.anonymous(method, path, json=token)
    await service.hears()
    assert told == []
