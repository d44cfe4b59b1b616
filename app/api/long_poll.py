"""`?wait=30s`: an answer that would be 304 is held until it is another one, or the time is over."""

from __future__ import annotations

import re

from aiohttp import web

from app.access.principal import Permission
from app.api.access import Access, project_access
from app.api.refusals import Connection
from app.api.requests import TENANT
from app.errors import InvalidParameter
from app.services import SERVICES

MAX_WAIT_S = 120.0


def wait_of(request: web.Request) -> float:
    """How long the answer may be held, in seconds; 0 where nothing is said."""
    text = request.query.get("wait")
    if text is None:
        return 0.0
    match = re.fullmatch(r"([0-9]{1,6})(ms|s)", text, re.ASCII)
    seconds = int(match[1]) / (1000 if match[2] == "ms" else 1) if match else 0.0
    if not 0 < seconds <= MAX_WAIT_S:
        raise InvalidParameter("wait", f"must be a time up to {MAX_WAIT_S:g}s, as in 30s or 500ms")
    return seconds


async def held(request: web.Request, access: Access, key: str) -> None:
    """Return when the config has changed, or the time of the request's `wait` is over.

    Nothing waits before the change is listened for, so what was read just before is not missed.
    Also when the client leaves: its place is another's then.
    Raises as `project_access` does if the caller lost their right meanwhile; TooManyRequests when
    the account has its share of held requests already.
    """
    services, connection = request.app[SERVICES], request.protocol
    assert isinstance(connection, Connection)
    with services.held_places.hold(request[TENANT]):
        await services.long_polls.change(
            access.project_id, key, wait_of(request), left=connection.lost
        )
    await project_access(request, Permission.READ)
