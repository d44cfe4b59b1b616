"""What all reads of configs share: consistency, validators, moments of the past, what is seen."""

from __future__ import annotations

import re
from datetime import datetime

from aiohttp import web

from app.access.principal import Application
from app.api.access import Access
from app.api.entity_tags import parse_etags
from app.api.requests import header_of, query_integer, query_time, still_allowed
from app.config_reader import READ_TIMEOUT_S, Consistency
from app.errors import InvalidParameter, Unavailable
from app.services import SERVICES
from app.tables.history import Moment, moment_at_position, moment_at_time
from domain.config import MAX_KEY_LENGTH, check_key

TIMEOUT = "timeout"
"""Query parameter of every route that heeds Guardian-Min-Position: how long it waits for it."""
CONSISTENCY = ("consistency", TIMEOUT)
"""Query parameters that `prepare_read` takes."""
MOMENT = ("at", "position")
"""Query parameters that `moment_of` takes."""

NO_BARRIER: web.RequestKey[Unavailable] = web.RequestKey("no_barrier", Unavailable)
"""Where `app.api.hot_reads` leaves why no barrier came: a request waits for one only once."""

_PREFIX = re.compile(r"[A-Za-z0-9_.-]*")


def config_key(request: web.Request, access: Access) -> str:
    """The route's config key, if the caller may know of it."""
    key = check_key(request.match_info["key"])
    access.require_key(key)
    return key


def seen_prefix(request: web.Request, access: Access) -> str | None:
    """What keys must start with: the query's `prefix` within the caller's own; None: no key can."""
    wanted = request.query.get("prefix", "")
    if len(wanted) > MAX_KEY_LENGTH or not _PREFIX.fullmatch(wanted):
        raise InvalidParameter("prefix", "no key can start with this")
    own = own_prefix(access)
    longer, shorter = sorted((wanted, own), key=len, reverse=True)
    return longer if longer.startswith(shorter) else None


def own_prefix(access: Access) -> str:
    """What all keys that the caller may know of start with."""
    principal = access.principal
    return (principal.prefix or "") if isinstance(principal, Application) else ""


async def prepare_read(request: web.Request, at_least: int = 0) -> int:
    """Wait for the consistency that the request asks for; the position it then reflects."""
    name = request.query.get("consistency", "default")
    try:
        consistency = Consistency(name)
    except ValueError:
        raise InvalidParameter("consistency", "must be stale, default or linearizable") from None
    at_least = max(at_least, _min_position(request))
    timeout_s = timeout_of(request)
    if (failed := request.get(NO_BARRIER)) is not None:
        raise failed
    reader = request.app[SERVICES].reader
    waits = at_least > reader.model.position
    position = await reader.prepare(consistency, at_least or None, timeout_s)
    if waits:
        await still_allowed(request)
    return position


async def reach(request: web.Request, at_least: int = 0) -> None:
    """Wait until this process is where the caller was already (Guardian-Min-Position), for what
    is no plain read: it has its own reasons to go on or not while the database is away.

    Raises InvalidParameter, Unavailable.
    """
    at_least = max(at_least, _min_position(request))
    timeout_s = timeout_of(request)
    if not at_least:
        return
    reader = request.app[SERVICES].reader
    waits = at_least > reader.model.position
    await reader.prepare(Consistency.STALE, at_least, timeout_s)
    if waits:
        await still_allowed(request)


def timeout_of(request: web.Request) -> float:
    """Seconds that the caller lets us wait for a state that is new enough."""
    return query_integer(request, TIMEOUT, READ_TIMEOUT_S, 0, 60)


def _min_position(request: web.Request) -> int:
    text = header_of(request, "Guardian-Min-Position")
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidParameter("Guardian-Min-Position", "must be a log position")
    return int(text)


def not_modified(request: web.Request, version: int) -> bool:
    """Whether the caller has this version already (RFC 9110 section 13.1.2)."""
    header = header_of(request, "If-None-Match")
    if header is None:
        return False
    return header.strip() == "*" or version in parse_etags("If-None-Match", header)


async def moment_of(request: web.Request, access: Access) -> Moment | None:
    """The moment that `at` or `position` names, once this process has seen it; None: neither.

    Raises InvalidParameter, Unavailable.
    """
    at = query_time(request, "at")
    position = query_integer(request, "position", None)
    if at is None and position is None:
        return None
    if at is not None and position is not None:
        raise InvalidParameter("at", "either at or position, not both")
    return await resolve_moment(request, access, at, position)


async def resolve_moment(
    request: web.Request, access: Access, at: datetime | None, position: int | None
) -> Moment:
    """A time is resolved to a position; a position beyond what this process has seen is waited
    for, because what will stand there is not known yet."""
    await prepare_read(request, position or 0)
    pool = request.app[SERVICES].pool
    if position is not None:
        return await moment_at_position(pool, position)
    assert at is not None
    return await moment_at_time(pool, access.project_id, at, own_prefix(access))
