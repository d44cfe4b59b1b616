"""History: what was recorded, newest first."""

from __future__ import annotations

from aiohttp import web

from app.access.principal import Permission
from app.api.access import project_access
from app.api.requests import check_query, cursor_of, json_response, limit_of, page
from app.api.views import revision_view
from app.errors import InvalidParameter
from app.services import SERVICES
from app.tables.history import revisions_of_config
from domain.config import check_key
from domain.errors import ConfigNotFound


async def list_revisions(request: web.Request) -> web.Response:
    """The revisions of one config, tombstones too."""
    access = await project_access(request, Permission.READ)
    check_query(request, "limit", "cursor")
    key = check_key(request.match_info["key"])
    access.require_key(key)
    limit, below = limit_of(request), cursor_of(request)
    if below is not None and not isinstance(below, int):
        raise InvalidParameter("cursor", "is not one that this service gave")
    rows = await revisions_of_config(
        request.app[SERVICES].pool, access.project_id, key, below or 2**63 - 1, limit + 1
    )
    if not rows and below is None:
        raise ConfigNotFound(key)
    items = [revision_view(row) for row in rows[:limit]]
    return json_response(page(request, items, rows[limit - 1].version if rows[limit:] else None))


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.get("/v1/projects/{project}/configs/{key}/revisions", list_revisions)]
