"""Configs: read, set, delete. A change becomes a command of `app.change_writer`; nothing else
writes. Reads come from the read model."""

from __future__ import annotations

from aiohttp import web

from app.access.principal import Permission
from app.api import past
from app.api.access import project_access
from app.api.entity_tags import etag, parse_etags
from app.api.long_poll import held, wait_of
from app.api.reads import CONSISTENCY, config_key, not_modified, prepare_read, seen_prefix
from app.api.requests import (
    POSITION_HEADER,
    Members,
    check_query,
    header_of,
    key_cursor,
    limit_of,
    query_text,
    read_object,
)
from app.api.views import config_body
from app.api.writes import (
    MAX_COMMENT_CHARS,
    PARAMETERS,
    content_answer,
    content_rehearsed,
    delete_answer,
    delete_rehearsed,
    write,
)
from app.changes import Change, Expected, Keep
from app.errors import InvalidParameter, VersionRequired
from app.services import SERVICES
from app.tables.history import Slice
from domain.errors import ConfigNotFound
from projections.read_model import RecordedRevision

CONFIG = "/v1/projects/{project}/configs/{key}"


async def get_config(request: web.Request) -> web.Response:
    """One config at its newest version, or as it stood."""
    revision, headers, unchanged = await _read(request)
    if unchanged:
        return web.Response(status=304, headers=headers)
    return web.Response(
        body=config_body(revision), content_type="application/json", headers=headers
    )


async def get_content(request: web.Request) -> web.Response:
    """The bare content of one config."""
    revision, headers, unchanged = await _read(request)
    if unchanged:
        return web.Response(status=304, headers=headers)
    return web.Response(body=revision.content, content_type="application/json", headers=headers)


async def _read(request: web.Request) -> tuple[RecordedRevision, dict[str, str], bool]:
    """The revision, the answer's headers, and whether it is what the caller has. What a request was
    held for is not, whatever `If-None-Match: *` says."""
    access = await project_access(request, Permission.READ)
    check_query(request, "wait", *CONSISTENCY, *past.ONE)
    key, wait_s = config_key(request, access), wait_of(request)
    if any(name in request.query for name in past.ONE):
        if wait_s:
            raise InvalidParameter("wait", "what is past does not change")
        revision, position = await past.past_config(request, access, key)
        unchanged = not_modified(request, revision.version)
    else:
        position = await prepare_read(request)
        revision = await live_config(request, access.project_id, key)
        unchanged = not_modified(request, had := revision.version)
        if wait_s and unchanged:
            await held(request, access, key)
            position = await prepare_read(request)
            revision = await live_config(request, access.project_id, key)
            unchanged = revision.version == had
    return revision, {"ETag": etag(revision.version), POSITION_HEADER: str(position)}, unchanged


async def list_configs(request: web.Request) -> web.Response:
    """A project's live configs by key, a page at a time; or as they stood."""
    access = await project_access(request, Permission.READ)
    check_query(request, "prefix", "limit", "cursor", *CONSISTENCY, *past.MANY)
    if any(name in request.query for name in past.MANY):
        return await past.list_past(request, access)
    prefix, limit, after = seen_prefix(request, access), limit_of(request), key_cursor(request)
    position = await prepare_read(request)
    reader = request.app[SERVICES].reader
    if not reader.model.complete:
        return await past.list_at(request, access, reader.here())
    found = Slice([], None)
    if prefix is not None:
        live = reader.model.project(access.project_id).live(prefix, after)
        found = Slice.first_of(live, limit)
    return past.list_answer(request, found, position)


async def put_config(request: web.Request) -> web.Response:
    """Create or update a config."""
    access = await project_access(request, Permission.CHANGE)
    check_query(request, *PARAMETERS)
    key = config_key(request, access)
    body = await read_object(request, "content", "schema_id", "comment", "version", escaped=True)
    change = Change(
        key,
        expected_version(
            request,
            body,
            'send If-Match: "<version>" to update, If-None-Match: * to create,'
            ' or "version" in the body',
        ),
        content=body.any("content"),
        schema_id=body.text("schema_id", None) if body.has("schema_id") else Keep.BINDING,
    )
    return await write(
        request,
        access,
        [change],
        body.text("comment", None, longest=MAX_COMMENT_CHARS),
        answer=lambda committed: content_answer(request, committed),
        rehearsed=content_rehearsed,
    )


async def delete_config(request: web.Request) -> web.Response:
    """Leave a tombstone, itself a version."""
    access = await project_access(request, Permission.CHANGE)
    check_query(request, "comment", *PARAMETERS)
    key = config_key(request, access)
    expected = expected_version(request, Members({}, ()), FOR_WHAT_IS_THERE)
    if expected == 0:
        raise InvalidParameter("If-None-Match", "a delete takes If-Match")
    return await write(
        request,
        access,
        [Change(key, expected, delete=True, must_be_live=True)],
        query_text(request, "comment", longest=MAX_COMMENT_CHARS),
        answer=delete_answer,
        rehearsed=delete_rehearsed,
    )


async def live_config(request: web.Request, project_id: str, key: str) -> RecordedRevision:
    """The newest revision of a config that is not deleted. Raises ConfigNotFound."""
    revision = await request.app[SERVICES].reader.newest(project_id, key)
    if revision is None or revision.deleted:
        raise ConfigNotFound(key)
    return revision


FOR_WHAT_IS_THERE = 'send If-Match: "<version>", or If-Match: * for whatever is there'


def expected_version(request: web.Request, body: Members, how: str) -> int | Expected:
    """What the caller says is there: If-None-Match: *, If-Match, or `version` in the body.

    `how` tells who says nothing. Raises VersionRequired, InvalidParameter.
    """
    given: list[int | Expected] = []
    if (none_match := header_of(request, "If-None-Match")) is not None:
        if none_match.strip() != "*":
            raise InvalidParameter("If-None-Match", "a change takes only * here")
        given.append(0)
    if (match := header_of(request, "If-Match")) is not None:
        if match.strip() == "*":
            given.append(Expected.ANYTHING)
        else:
            versions = parse_etags("If-Match", match)
            if len(versions) != 1 or versions[0] < 1:
                raise InvalidParameter("If-Match", "a change takes one version, 1 or more")
            given.append(versions[0])
    if body.has("version"):
        given.append(body.integer("version"))
    if not given:
        raise VersionRequired(how)
    if any(other != given[0] for other in given):
        raise InvalidParameter("version", "If-Match, If-None-Match and the body contradict")
    return given[0]


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [
        # Side by side these are one resource of aiohttp's, and the first that it tries.
        web.put(CONFIG, put_config),
        web.get(CONFIG, get_config),
        web.delete(CONFIG, delete_config),
        web.get(CONFIG + "/content", get_content),
        web.get("/v1/projects/{project}/configs", list_configs),
    ]
