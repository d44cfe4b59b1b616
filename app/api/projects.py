"""Projects: the tenants."""

from __future__ import annotations

from typing import Any

import uuid6
from aiohttp import web

from app.access.api_keys import generate_api_key
from app.access.principal import Permission
from app.api.access import project_access, signed_in_user
from app.api.requests import check_query, cursor_of, json_response, limit_of, page, read_object
from app.errors import InvalidParameter, NotFound
from app.services import SERVICES
from app.tables import projects


async def create_project(request: web.Request) -> web.Response:
    """Make a project that the caller owns; its key is shown this once."""
    user = await signed_in_user(request)
    body = await read_object(request, "name")
    name = body.text("name", longest=200).strip()
    if not name:
        raise InvalidParameter("name", "must not be blank")
    key = generate_api_key()
    row = await projects.insert_project(
        request.app[SERVICES].pool, str(uuid6.uuid7()), name, user.user_id, key.hash
    )
    return json_response(
        {**_view(row), "api_key": key.plain},
        201,
        {"Location": f"/v1/projects/{row['id']}", "Cache-Control": "no-store"},
    )


async def list_projects(request: web.Request) -> web.Response:
    """The projects that the caller may see."""
    user = await signed_in_user(request)
    check_query(request, "limit", "cursor")
    limit, after = limit_of(request), cursor_of(request) or ""
    if not isinstance(after, str):
        raise InvalidParameter("cursor", "is not one that this service gave")
    rows = await projects.list_projects(
        request.app[SERVICES].pool, user.user_id, user.is_superuser, after, limit + 1
    )
    items = [{**_view(row), "role": row["role"]} for row in rows[:limit]]
    return json_response(page(request, items, rows[limit - 1]["id"] if rows[limit:] else None))


async def get_project(request: web.Request) -> web.Response:
    """One project."""
    access = await project_access(request, Permission.READ)
    row = await projects.find_project(request.app[SERVICES].pool, access.project_id)
    if row is None:
        raise NotFound("there is no such project")
    return json_response({**_view(row), "role": access.role.label})


def _view(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "name", "owner_user_id", "created_at", "updated_at")}


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [
        web.get("/v1/projects", list_projects),
        web.post("/v1/projects", create_project),
        web.get("/v1/projects/{project}", get_project),
    ]
