"""Named keys of a project, for pipelines and single services: shown once, ended alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import uuid_utils
from aiohttp import web

from app.access.api_keys import generate_api_key
from app.access.principal import Permission, User
from app.api.access import project_access
from app.api.projects import name_of
from app.api.requests import (
    check_query,
    json_response,
    limit_of,
    page_of,
    parse_time,
    read_object,
    text_cursor_of,
)
from app.errors import InvalidParameter, NotFound
from app.services import SERVICES
from app.tables import keys

KEY_ROLES = ("viewer", "editor")
_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


async def list_keys(request: web.Request) -> web.Response:
    """The named keys of a project, without what they are."""
    access = await project_access(request, Permission.MANAGE)
    check_query(request, "limit", "cursor")
    limit, after = limit_of(request), text_cursor_of(request)
    rows = await keys.list_keys(request.app[SERVICES].pool, access.project_id, after, limit + 1)
    return json_response(page_of(request, rows, limit, dict))


async def create_key(request: web.Request) -> web.Response:
    """Make a key; it is shown this once."""
    access = await project_access(request, Permission.MANAGE)
    check_query(request)
    assert isinstance(access.principal, User)  # no application may manage
    body = await read_object(request, "name", "role_level", "prefix", "expires_at")
    name, role_level = name_of(body), body.text("role_level")
    if role_level not in KEY_ROLES:
        raise InvalidParameter("role_level", f"must be one of {', '.join(KEY_ROLES)}")
    prefix = body.text("prefix", None, longest=200)
    if prefix is not None and not _PREFIX.fullmatch(prefix):
        raise InvalidParameter("prefix", "must be the beginning of config keys")
    key = generate_api_key()
    row = await keys.insert_key(
        request.app[SERVICES].pool,
        str(uuid_utils.uuid7()),
        access.project_id,
        name,
        role_level,
        key.hash,
        prefix,
        access.principal.user_id,
        _expiry(body.text("expires_at", None)),
    )
    answer: dict[str, Any] = {**dict(row), "api_key": key.plain}
    return json_response(answer, 201, {"Cache-Control": "no-store"})


async def delete_key(request: web.Request) -> web.Response:
    """End a key at once."""
    access = await project_access(request, Permission.MANAGE)
    check_query(request)
    services = request.app[SERVICES]
    if not await keys.delete_key(services.pool, access.project_id, request.match_info["id"]):
        raise NotFound("there is no such key")
    services.directory.invalidate()
    return web.Response(status=204)


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = parse_time("expires_at", text)
    if moment <= datetime.now(UTC):
        raise InvalidParameter("expires_at", "must be in the future")
    return moment


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    every = "/v1/projects/{project}/keys"
    return [
        web.get(every, list_keys),
        web.post(every, create_key),
        web.delete(every + "/{id}", delete_key),
    ]
