"""PATCH of a config's content: merge patch (RFC 7396) and JSON patch (RFC 6902).

Without a version the patch is applied to the newest content, and again when another change
came between; the schema binding stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from app.access.principal import Permission
from app.api.access import project_access
from app.api.configs import FOR_WHAT_IS_THERE, expected_version
from app.api.reads import config_key
from app.api.requests import BODY, Members, check_query, query_text, read_json
from app.api.writes import MAX_COMMENT_CHARS, PARAMETERS, content_answer, content_rehearsed, write
from app.changes import Change, Expected, PlanForVersion
from app.errors import InvalidParameter
from app.services import SERVICES
from domain.errors import ConfigNotFound, Conflict, VersionConflict
from domain.json_patch import CONTENT_DEPTH, json_patch, merge_patch

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


async def patch_config(request: web.Request) -> web.Response:
    """Change a part of a config's content."""
    access = await project_access(request, Permission.CHANGE)
    check_query(request, "comment", *PARAMETERS)
    key = config_key(request, access)
    expected: int | Expected = Expected.ANYTHING
    if "If-Match" in request.headers or "If-None-Match" in request.headers:
        expected = expected_version(request, Members({}, ()), FOR_WHAT_IS_THERE)
    if expected == 0:
        raise InvalidParameter("If-None-Match", "a patch takes If-Match, or none")
    # A content stands two levels deep in a step; how deep the result is, is checked by itself.
    patch = await read_json(
        request, MERGE_PATCH, JSON_PATCH, max_depth=CONTENT_DEPTH + 2, escaped=True
    )
    raw = request[BODY]
    services = request.app[SERVICES]
    max_bytes = services.settings.max_content_bytes

    def patched(content: bytes) -> Any:
        if request.content_type == MERGE_PATCH:
            return merge_patch(content, raw)
        return json_patch(content, patch, max_bytes=max_bytes)

    async def plan() -> Sequence[Change]:
        current = await services.reader.newest(access.project_id, key)
        if current is None or current.content is None:
            raise ConfigNotFound(key)
        if isinstance(expected, int) and expected != current.version:
            raise VersionConflict([Conflict(key, expected, current.version)])
        # In a thread: a patch of a large document takes a while.
        content = await asyncio.to_thread(patched, current.content)
        return [Change(key, current.version, content=content)]

    return await write(
        request,
        access,
        PlanForVersion(plan) if isinstance(expected, int) else plan,
        query_text(request, "comment", longest=MAX_COMMENT_CHARS),
        answer=lambda committed: content_answer(request, committed),
        rehearsed=content_rehearsed,
    )


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.patch("/v1/projects/{project}/configs/{key}", patch_config)]
