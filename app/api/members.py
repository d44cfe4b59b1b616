"""Who else may do what in a project. The owner is no member: nobody can take that away."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from app.access.principal import ROLE_LEVELS, Permission
from app.api.access import project_access
from app.api.requests import (
    check_query,
    json_response,
    limit_of,
    page_of,
    read_object,
    text_cursor_of,
)
from app.errors import InvalidParameter, NotFound
from app.services import SERVICES
from app.tables import projects, roles


async def list_roles(request: web.Request) -> web.Response:
    """The members of a project."""
    access = await project_access(request, Permission.MANAGE)
    check_query(request, "limit", "cursor")
    limit, after = limit_of(request), text_cursor_of(request)
    rows = await roles.list_roles(request.app[SERVICES].pool, access.project_id, after, limit + 1)
    return json_response(page_of(request, rows, limit, _view, "user_id"))


async def put_role(request: web.Request) -> web.Response:
    """Make a user a member, or change what they are."""
    access = await project_access(request, Permission.MANAGE)
    check_query(request)
    services, user_id = request.app[SERVICES], request.match_info["user"]
    role_level = (await read_object(request, "role_level")).text("role_level")
    if role_level not in ROLE_LEVELS:
        raise InvalidParameter("role_level", f"must be one of {', '.join(ROLE_LEVELS)}")
    project = await projects.find_project(services.pool, access.project_id)
    if project is not None and project["owner_user_id"] == user_id:
        raise InvalidParameter("user", "owns the project and has every right already")
    row = await roles.put_role(services.pool, access.project_id, user_id, role_level)
    if row is None:
        raise NotFound("there is no such user")
    services.directory.invalidate()
    return json_response(_view(row), 201 if row["is_new"] else 200)


async def delete_role(request: web.Request) -> web.Response:
    """Take a member out."""
    access = await project_access(request, Permission.MANAGE)
    check_query(request)
    services, user_id = request.app[SERVICES], request.match_info["user"]
    if not await roles.delete_role(services.pool, access.project_id, user_id):
        raise NotFound("there is no such member")
    services.directory.invalidate()
    return web.Response(status=204)


def _view(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in ("user_id", "email", "role_level", "created_at")}


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    every = "/v1/projects/{project}/roles"
    return [
        web.get(every, list_roles),
        web.put(every + "/{user}", put_role),
        web.delete(every + "/{user}", delete_role),
    ]
