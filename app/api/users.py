"""Users, for superusers. There is always one superuser left who can sign in."""

from __future__ import annotations

from typing import Any

import uuid_utils
from aiohttp import web

from app.api.access import superuser
from app.api.requests import (
    Members,
    check_query,
    json_response,
    limit_of,
    page_of,
    query_boolean,
    read_object,
    text_cursor_of,
)
from app.errors import InUse, InvalidParameter, LastSuperuser, NotFound
from app.services import SERVICES
from app.tables import sessions as session_rows
from app.tables import users
from projections.revisions import Connection


async def list_users(request: web.Request) -> web.Response:
    """The users, by age."""
    await superuser(request)
    check_query(request, "email", "limit", "cursor")
    limit, after = limit_of(request), text_cursor_of(request)
    email = request.query.get("email")
    rows = await users.list_users(
        request.app[SERVICES].pool, after, email and users.normalise_email(email), limit + 1
    )
    return json_response(page_of(request, rows, limit, _view))


async def create_user(request: web.Request) -> web.Response:
    """Make a user, who can sign in at once."""
    await superuser(request)
    check_query(request)
    services = request.app[SERVICES]
    body = await read_object(request, "email", "password", "is_superuser")
    email = _email(body.text("email", longest=users.MAX_EMAIL))
    password_hash = await services.passwords.hash_password(body.text("password", longest=10_000))
    row = await users.insert_user(
        services.pool,
        str(uuid_utils.uuid7()),
        email,
        password_hash,
        body.boolean("is_superuser", False),
    )
    return json_response(_view(row), 201, {"Location": f"/v1/users/{row['id']}"})


async def get_user(request: web.Request) -> web.Response:
    """One user."""
    await superuser(request)
    check_query(request)
    row = await users.find_user(request.app[SERVICES].pool, request.match_info["user"])
    if row is None:
        raise NotFound("there is no such user")
    return json_response(_view(row))


async def update_user(request: web.Request) -> web.Response:
    """Change address, password, superuser or disabled; a new password ends every sign-in."""
    await superuser(request)
    check_query(request)
    services, user_id = request.app[SERVICES], request.match_info["user"]
    body = await read_object(request, "email", "password", "is_superuser", "disabled")
    email = _email(body.text("email", longest=users.MAX_EMAIL)) if body.has("email") else None
    is_superuser = body.boolean("is_superuser") if body.has("is_superuser") else None
    disabled = body.boolean("disabled") if body.has("disabled") else None
    password_hash = await _new_hash(request, body)
    async with services.pool.acquire() as connection, connection.transaction():
        if is_superuser is False or disabled:
            await _keep_a_superuser(connection, user_id)
        row = await users.update_user(
            connection, user_id, email=email, is_superuser=is_superuser, disabled=disabled
        )
        if row is None:
            raise NotFound("there is no such user")
        if password_hash is not None:
            await users.change_password(connection, user_id, password_hash)
        if password_hash is not None or disabled:
            await session_rows.end_user(connection, user_id)
    services.directory.invalidate()
    return json_response(_view(row))


async def delete_user(request: web.Request) -> web.Response:
    """Delete a user with their projects and schemas; `?dry_run=true` says what would go."""
    await superuser(request)
    check_query(request, "dry_run")
    services, user_id = request.app[SERVICES], request.match_info["user"]
    dry_run = query_boolean(request, "dry_run")
    # Under the locks on their schemas, no write under way binds a config to one that goes.
    project_ids: list[str] = []
    async with services.schema_changes.locked_for_user(user_id, lock=not dry_run) as connection:
        await _keep_a_superuser(connection, user_id)
        row = await users.find_user(connection, user_id)
        if row is None:
            raise NotFound("there is no such user")
        goes = await users.belongings(connection, user_id)
        if not dry_run:
            project_ids = await users.mark_deleted(connection, user_id)
        if await users.is_bound_elsewhere(connection, user_id):
            raise InUse("configs of other projects are bound to a schema of this user")
    if not dry_run:
        services.directory.invalidate()
        await services.project_deletions.finish_user(user_id, project_ids)
    return json_response({"id": user_id, "email": row["email"], "deleted": not dry_run, **goes})


async def _keep_a_superuser(connection: Connection, user_id: str) -> None:
    await users.lock_superusers(connection)
    if not await users.has_other_superuser(connection, user_id):
        raise LastSuperuser("this is the last superuser who can sign in")


async def _new_hash(request: web.Request, body: Members) -> str | None:
    if not body.has("password"):
        return None
    password = body.text("password", longest=10_000)
    return await request.app[SERVICES].passwords.hash_password(password)


def _email(given: str) -> str:
    email = users.normalise_email(given)
    if not users.is_email(email):
        raise InvalidParameter("email", "must be an e-mail address")
    return email


def _view(row: Any) -> dict[str, Any]:
    names = ("id", "email", "is_superuser", "disabled", "created_at", "updated_at")
    return {name: row[name] for name in names}


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [
        web.get("/v1/users", list_users),
        web.post("/v1/users", create_user),
        web.get("/v1/users/{user}", get_user),
        web.patch("/v1/users/{user}", update_user),
        web.delete("/v1/users/{user}", delete_user),
    ]
