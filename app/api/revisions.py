"""History: the revisions of a config, one of them, the difference of two, and a project's
audit feed."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from app.access.principal import Permission
from app.api.access import project_access
from app.api.reads import TIMEOUT, config_key, own_prefix, prepare_read
from app.api.requests import (
    POSITION_HEADER,
    TENANT,
    check_query,
    json_response,
    limit_of,
    number_cursor,
    page,
    query_integer,
    query_text,
)
from app.api.views import revision_view
from app.errors import InvalidParameter
from app.services import SERVICES
from app.tables import users
from app.tables.history import MAX_SCANNED, feed, revisions_of_config, versions_of_config
from app.tables.watch import sequence_at
from domain.config import check_key
from domain.errors import ConfigNotFound, RevisionNotFound

_BEYOND = 2**63 - 1


async def list_revisions(request: web.Request) -> web.Response:
    """The revisions of one config, newest first, tombstones too."""
    access = await project_access(request, Permission.READ)
    check_query(request, "limit", "cursor", TIMEOUT)
    key = config_key(request, access)
    limit, below = limit_of(request), number_cursor(request)
    position = await prepare_read(request)
    rows = await revisions_of_config(
        request.app[SERVICES].pool, access.project_id, key, below or _BEYOND, limit + 1
    )
    if not rows and below is None:
        raise ConfigNotFound(key)
    items = [revision_view(row) for row in rows[:limit]]
    return json_response(
        page(request, items, rows[limit - 1].version if rows[limit:] else None),
        headers={POSITION_HEADER: str(position)},
    )


async def get_revision(request: web.Request) -> web.Response:
    """One revision with its content; null for a tombstone."""
    access = await project_access(request, Permission.READ)
    check_query(request, TIMEOUT)
    key = config_key(request, access)
    version = _version("version", request.match_info["version"])
    position = await prepare_read(request)
    found = await versions_of_config(request.app[SERVICES].pool, access.project_id, key, [version])
    if version not in found:
        raise RevisionNotFound(key, version)
    revision = found[version]
    content = None if revision.content is None else orjson.Fragment(revision.content)
    return json_response(
        {**revision_view(revision), "deleted": revision.deleted, "content": content},
        headers={POSITION_HEADER: str(position)},
    )


async def diff(request: web.Request) -> web.Response:
    """The JSON patch (RFC 6902) that makes one version of another."""
    access = await project_access(request, Permission.READ)
    check_query(request, "from", "to", TIMEOUT)
    key = config_key(request, access)
    old, new = (_version(name, request.query.get(name)) for name in ("from", "to"))
    position = await prepare_read(request)
    services = request.app[SERVICES]
    found = await versions_of_config(services.pool, access.project_id, key, {old, new})
    for version in (old, new):
        if version not in found:
            raise RevisionNotFound(key, version)
    patch = await services.differ.diff(
        found[old].content, found[new].content, tenant=request[TENANT]
    )
    return json_response(
        {"key": key, "from": old, "to": new, "patch": patch},
        headers={POSITION_HEADER: str(position)},
    )


def _version(name: str, text: str | None) -> int:
    if text is None:
        raise InvalidParameter(name, "is missing")
    if not (text.isascii() and text.isdigit() and len(text) < 19) or int(text) < 1:
        raise InvalidParameter(name, "must be a version, 1 or more")
    return int(text)


async def project_feed(request: web.Request) -> web.Response:
    """Who changed what, when: every revision of a project, oldest first or newest first.

    A page may hold fewer items than asked for and still have a `next`: what a page looks
    through is bounded.
    """
    access = await project_access(request, Permission.READ)
    check_query(request, "from_position", "user", "key", "order", "limit", "cursor", TIMEOUT)
    order = request.query.get("order", "asc")
    if order not in ("asc", "desc"):
        raise InvalidParameter("order", "must be asc or desc")
    newest_first = order == "desc"
    key, user_id = request.query.get("key"), query_text(request, "user", longest=100, shortest=1)
    if key is not None:
        access.require_key(check_key(key))
    limit = limit_of(request)
    position = await prepare_read(request)
    behind = await _start(request, newest_first)
    pool, indexed_user = request.app[SERVICES].pool, None
    if key is None and user_id is not None and await users.find_user(pool, user_id):
        indexed_user = user_id
    # The rest of what is asked for is not in the index, but looked for in what it finds; so are
    # the changes of a user who was deleted: only the events name them still.
    seen = own_prefix(access) if key is None else ""
    sifted = bool(seen) or user_id != indexed_user
    scan = MAX_SCANNED if sifted else limit + 1
    rows = await feed(
        pool,
        access.project_id,
        behind,
        scan,
        newest_first=newest_first,
        key=key,
        user_id=indexed_user,
    )
    found = [
        row
        for row in rows
        if row.key.startswith(seen) and (user_id is None or row.user_id == user_id)
    ]
    items: list[Any] = [revision_view(row) for row in found[:limit]]
    after = None
    if len(found) > limit:
        after = found[limit - 1].sequence
    elif len(rows) == scan:
        after = rows[-1].sequence
    return json_response(page(request, items, after), headers={POSITION_HEADER: str(position)})


async def _start(request: web.Request, newest_first: bool) -> int:
    """Behind which sequence the page begins, in its direction."""
    cursor = number_cursor(request)
    if cursor is not None:
        return cursor
    start = query_integer(request, "from_position", None)
    if start is None:
        return _BEYOND if newest_first else 0
    pool = request.app[SERVICES].pool
    if newest_first:
        return await sequence_at(pool, start) + 1
    return await sequence_at(pool, start - 1) if start else 0


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    one = "/v1/projects/{project}/configs/{key}"
    return [
        web.get("/v1/projects/{project}/revisions", project_feed),
        web.get(one + "/revisions", list_revisions),
        web.get(one + "/revisions/{version}", get_revision),
        web.get(one + "/diff", diff),
    ]
