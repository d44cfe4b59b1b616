"""Projects: the tenants. Their making, names, keys and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import uuid_utils
from aiohttp import web

from app.access.api_keys import generate_api_key
from app.access.principal import Permission, User
from app.api.access import project_access, signed_in_user
from app.api.idempotency import create_once
from app.api.requests import (
    BODY,
    Members,
    check_query,
    json_response,
    limit_of,
    page_of,
    query_boolean,
    read_object,
    text_cursor_of,
)
from app.errors import InvalidParameter, NotFound
from app.services import SERVICES
from app.tables import projects

MAX_GRACE_S = 30 * 24 * 3600


async def create_project(request: web.Request) -> web.Response:
    """Make a project that the caller owns; its key is shown this once."""
    user = await signed_in_user(request)
    check_query(request)
    name = name_of(await read_object(request, "name"))

    async def create(source: projects.Source) -> web.Response:
        key = generate_api_key()
        row = await projects.insert_project(
            source, str(uuid_utils.uuid7()), name, user.user_id, key.hash
        )
        return json_response(
            {**_view(row), "role": "owner", "api_key": key.plain},
            201,
            {"Location": f"/v1/projects/{row['id']}", "Cache-Control": "no-store"},
        )

    return await create_once(request, user, create, shows_secret=True)


async def list_projects(request: web.Request) -> web.Response:
    """The projects that the caller may see."""
    user = await signed_in_user(request)
    check_query(request, "limit", "cursor")
    limit, after = limit_of(request), text_cursor_of(request)
    rows = await projects.list_projects(
        request.app[SERVICES].pool, user.user_id, user.is_superuser, after, limit + 1
    )
    return json_response(
        page_of(request, rows, limit, lambda row: {**_view(row), "role": row["role"]})
    )


async def get_project(request: web.Request) -> web.Response:
    """One project."""
    access = await project_access(request, Permission.READ)
    check_query(request)
    row = await projects.find_project(request.app[SERVICES].pool, access.project_id)
    if row is None:
        raise NotFound("there is no such project")
    return json_response({**_view(row), "role": access.role.label})


async def rename_project(request: web.Request) -> web.Response:
    """Give a project another name."""
    access = await project_access(request, Permission.MANAGE)
    check_query(request)
    pool = request.app[SERVICES].pool
    await projects.rename_project(
        pool, access.project_id, name_of(await read_object(request, "name"))
    )
    row = await projects.find_project(pool, access.project_id)
    if row is None:
        raise NotFound("there is no such project")
    return json_response({**_view(row), "role": access.role.label})


async def delete_project(request: web.Request) -> web.Response:
    """Delete a project with its configs and their history; `?dry_run=true` says what would go."""
    access = await project_access(request, Permission.DELETE_PROJECT)
    check_query(request, "dry_run")
    dry_run = query_boolean(request, "dry_run")
    services = request.app[SERVICES]
    goes = await projects.goes_with_project(services.pool, access.project_id)
    if goes is None:
        raise NotFound("there is no such project")
    if not dry_run:
        await services.project_deletions.delete(access.project_id)
    return json_response({**goes, "deleted": not dry_run})


async def replace_key(request: web.Request) -> web.Response:
    """A new key of the project; the old one ends now, or after a grace."""
    access = await project_access(request, Permission.MANAGE)
    check_query(request)
    assert isinstance(access.principal, User)  # no application may manage
    if request.can_read_body:
        body = await read_object(request, "grace_seconds")
    else:
        body, request[BODY] = Members({}, ("grace_seconds",)), b""
    grace_s = body.integer("grace_seconds", 0)
    if grace_s > MAX_GRACE_S:
        raise InvalidParameter("grace_seconds", f"must be {MAX_GRACE_S} or less")

    async def create(source: projects.Source) -> web.Response:
        key = generate_api_key()
        ends_at = datetime.now(UTC) + timedelta(seconds=grace_s) if grace_s else None
        await projects.replace_key(source, access.project_id, key.hash, ends_at)
        return json_response(
            {"api_key": key.plain, "previous_expires_at": ends_at},
            201,
            {"Cache-Control": "no-store"},
        )

    answer = await create_once(request, access.principal, create, shows_secret=True)
    request.app[SERVICES].directory.invalidate()
    return answer


def name_of(body: Members, longest: int = 200) -> str:
    """The name in a body, without white space around it."""
    name = body.text("name", longest=longest)
    assert isinstance(name, str)
    if not (name := name.strip()):
        raise InvalidParameter("name", "must not be blank")
    return name


def _view(row: Any) -> dict[str, Any]:
    names = ("id", "name", "owner_user_id", "owner_email", "created_at", "updated_at")
    return {name: row[name] for name in names}


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    one = "/v1/projects/{project}"
    return [
        web.get("/v1/projects", list_projects),
        web.post("/v1/projects", create_project),
        web.get(one, get_project),
        web.patch(one, rename_project),
        web.delete(one, delete_project),
        web.post(one + "/api-key", replace_key),
    ]
