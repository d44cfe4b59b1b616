"""Configs as they stood: one at a version or a moment, a project's at a moment, and those whose
content matches. Answers come from `config_revisions`, which is never older than the read model."""

from __future__ import annotations

import asyncpg
from aiohttp import web

from app.api.access import Access
from app.api.reads import moment_of, prepare_read, seen_prefix
from app.api.requests import (
    POSITION_HEADER,
    TENANT,
    json_response,
    key_cursor,
    limit_of,
    page,
    query_integer,
)
from app.api.views import config_view
from app.errors import InvalidParameter
from app.services import SERVICES
from app.tables.history import (
    Moment,
    Slice,
    config_at,
    matching_configs,
    project_at,
    versions_of_config,
)
from domain.errors import ConfigNotFound, MalformedJson, NotIJson, RevisionNotFound
from domain.json_containment import count_elements, without_repeats
from domain.json_document import encode_json, parse_json
from projections.read_model import RecordedRevision

ONE = ("version", "at", "position")
"""Query parameters that name one past state of a config."""
MANY = ("match", "at", "position")
"""Query parameters that make a list come from the database."""
MAX_MATCH_CHARS = 4000
MAX_MATCH_ELEMENTS = 100
"""Different elements of all arrays of `match`. Each is held against every element of an array of a
content: with the largest of contents, a hundred take PostgreSQL the better part of a second, in
which it cannot be stopped."""


async def past_config(
    request: web.Request, access: Access, key: str
) -> tuple[RecordedRevision, int]:
    """The config at the version or moment that the query names, and the position of that.

    Raises ConfigNotFound where it was deleted or not there yet, RevisionNotFound.
    """
    pool = request.app[SERVICES].pool
    version = query_integer(request, "version", None, 1)
    if version is not None:
        if "at" in request.query or "position" in request.query:
            raise InvalidParameter("version", "either version, at or position")
        position = await prepare_read(request)
        found = await versions_of_config(pool, access.project_id, key, [version])
        if version not in found:
            raise RevisionNotFound(key, version)
        revision: RecordedRevision | None = found[version]
    else:
        moment = await moment_of(request, access)
        assert moment is not None
        position = moment.position
        revision = await config_at(pool, access.project_id, key, moment)
    if revision is None or revision.deleted:
        raise ConfigNotFound(key)
    return revision, position


async def list_past(request: web.Request, access: Access) -> web.Response:
    """A page of a project's configs at a moment, or of those whose content matches."""
    limit, after = limit_of(request), key_cursor(request)
    prefix = seen_prefix(request, access)
    match = request.query.get("match")
    pool = request.app[SERVICES].pool
    found = Slice([], None)
    if match is not None:
        if "at" in request.query or "position" in request.query:
            raise InvalidParameter("match", "searches the present: neither at nor position")
        wanted = _wanted(match)
        position = await prepare_read(request)
        if prefix is not None:
            try:
                async with request.app[SERVICES].searches.hold(request[TENANT]):
                    found = await matching_configs(
                        pool, access.project_id, wanted, prefix, after, limit
                    )
            except asyncpg.QueryCanceledError as error:
                raise InvalidParameter(
                    "match", "takes too long to search for; narrow it down with prefix"
                ) from error
    else:
        moment = await moment_of(request, access)
        assert moment is not None
        return await list_at(request, access, moment, pinned=True)
    return list_answer(request, found, position)


def _wanted(match: str) -> str:
    """The JSON to search for. Raises InvalidParameter, MalformedJson, NotIJson."""
    if len(match) > MAX_MATCH_CHARS:
        raise InvalidParameter("match", f"must have {MAX_MATCH_CHARS} characters at most")
    try:
        value = without_repeats(parse_json(match))
    except MalformedJson as error:  # it says the place, but not of what
        raise MalformedJson(f"match: {error.detail}", error.line, error.column) from None
    except NotIJson as error:
        raise NotIJson(f"match: {error.detail}", error.pointer) from None
    if count_elements(value) > MAX_MATCH_ELEMENTS:
        raise InvalidParameter(
            "match", f"must have {MAX_MATCH_ELEMENTS} different elements in its arrays at most"
        )
    return encode_json(value).decode()


async def list_at(
    request: web.Request, access: Access, moment: Moment, *, pinned: bool = False
) -> web.Response:
    """A page of a project's configs at a moment; if it is pinned, the next is of the same."""
    limit, after = limit_of(request), key_cursor(request)
    prefix, found = seen_prefix(request, access), Slice([], None)
    if prefix is not None:
        pool = request.app[SERVICES].pool
        found = await project_at(pool, access.project_id, moment, prefix, after, limit)
    return list_answer(request, found, moment.position, pinned=pinned)


def list_answer(
    request: web.Request, found: Slice, position: int, *, pinned: bool = False
) -> web.Response:
    """A page of a project's configs; if it is pinned, the next is of the same position."""
    items = [config_view(revision) for revision in found.revisions]
    return json_response(
        page(request, items, found.next_key, position if pinned else None),
        headers={POSITION_HEADER: str(position)},
    )
