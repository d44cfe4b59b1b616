"""Watch: a project's changes as server-sent events, resumed exactly where a client was cut.

A plain StreamResponse instead of aiohttp-sse's: that one has a ping task and an encoding of
every event for each connection, where `app.watch_hub` has one of each for all.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

from aiohttp import web
from aiohttp.http import HttpVersion11

from app.access.directory import CredentialsRefused
from app.access.principal import Permission
from app.api.access import Access, project_access
from app.api.reads import TIMEOUT, own_prefix, reach, seen_prefix
from app.api.requests import (
    POSITION_HEADER,
    TENANT,
    check_query,
    header_of,
    query_boolean,
    query_integer,
)
from app.errors import InvalidParameter, NotAllowed, NotFound, NotSignedIn, Unavailable
from app.services import SERVICES, Services
from app.tables.history import Moment, configs_at, project_at
from app.watch_events import PIECE_BYTES, Filter, hello, snapshot
from app.watch_history import Page
from app.watch_hub import Watcher
from domain.config import check_key
from projections.database import DATABASE_AWAY
from projections.held_configs import HeldConfigs
from projections.read_model import RecordedRevision

MAX_KEYS = 500
PART = 500
"""Configs of a snapshot that are read from the table at once; fewer where they are large."""
PART_OF_KEYS = 16
"""The same where they are named, whatever they hold."""
UNACKNOWLEDGED_MS = 60_000
"""A connection whose peer acknowledges nothing for this long is gone."""


async def watch(request: web.Request) -> web.StreamResponse:
    """All changes behind a position, as long as the client stays."""
    access = await project_access(request, Permission.READ)
    check_query(request, "prefix", "keys", "from", "snapshot", TIMEOUT)
    services = request.app[SERVICES]
    wanted = _filter(request, access)
    start = _start(request)
    await reach(request, start or 0)
    with_snapshot = query_boolean(request, "snapshot") and start is None
    if request.transport is None:
        return web.Response()  # the client left; nobody reads this
    watcher = Watcher(request.transport, chunked=request.version >= HttpVersion11)
    caller = (
        request.headers.get("Authorization"),
        request.headers.get("X-API-Key"),
        access.project_id,
    )
    with services.watch_places.hold(request[TENANT]):
        services.watch_hub.enter(watcher)
        services.watch_guard.enter(caller, watcher, lambda: _still_allowed(request, access))
        try:
            position = services.model.position if start is None else start
            return await _Stream(services, access.project_id, wanted, watcher).run(
                request, position, with_snapshot
            )
        finally:
            services.watch_guard.leave(caller, watcher)
            services.watch_hub.leave(watcher)


@dataclass(frozen=True, slots=True)
class _Stream:
    """One watch, from its first byte to its last."""

    services: Services
    project_id: str
    wanted: Filter
    watcher: Watcher

    async def run(
        self, request: web.Request, position: int, with_snapshot: bool
    ) -> web.StreamResponse:
        """Send what came behind `position`, then all that comes, until the watch is ended."""
        page = None
        if position < self.services.watch_hub.last_change(self.project_id):
            # Read before the headers are sent: while the database is away the answer is 503.
            page = await self._page(position, None)
        response = _response(position)
        try:
            await response.prepare(request)
            _detect_dead_peer(self.watcher.transport)
            await response.write(hello(None if with_snapshot else position))
            if with_snapshot:
                position = await self._snapshot(response)
            while self.watcher.ended is None:
                await self._history(response, position, page)
                await self.watcher.left()
                position, page = self.watcher.after, None
        except DATABASE_AWAY:  # or the client, whose ConnectionError is an OSError too
            self.watcher.transport.abort()
            return response
        self.watcher.finish()
        return response

    async def _snapshot(self, response: web.StreamResponse) -> int:
        """Write the project's matching live configs; the position that they reflect."""
        # One moment of the read model: nothing waits between here and the list of revisions.
        model = self.services.model
        position = model.position
        if model.complete:
            parts = _whole(list(_live(model.project(self.project_id), self.wanted)))
        else:
            parts = self._live_at(self.services.reader.here())
        async with aclosing(snapshot(position, parts)) as pieces:
            async for piece in pieces:
                await response.write(piece)
                # To write does not wait while the client keeps up; of 100,000 configs that was a
                # second in which nobody else was answered.
                await asyncio.sleep(0)
        return position

    async def _live_at(self, moment: Moment) -> AsyncIterator[Sequence[RecordedRevision]]:
        """The matching live configs at a moment, from the table, a part at a time: memory, which
        they do not fit into, holds no more of them than the client has room for."""
        pool, wanted = self.services.pool, self.wanted
        if wanted.keys is not None:
            keys = iter(sorted(filter(wanted.matches, wanted.keys)))
            while some := list(islice(keys, PART_OF_KEYS)):
                found = await configs_at(pool, self.project_id, some, moment)
                yield [found[key] for key in some if key in found and not found[key].deleted]
            return
        after: str | None = ""
        while after is not None:
            part = await project_at(pool, self.project_id, moment, wanted.prefix, after, PART)
            yield part.revisions
            after = part.next_key

    async def _history(
        self, response: web.StreamResponse, position: int, page: Page | None
    ) -> None:
        """Write what was missed, page by page, until the live feed can take over."""
        hub, sequence = self.services.watch_hub, None
        while self.watcher.ended is None:
            if hub.join(self.watcher, self.project_id, self.wanted, position):
                return
            page = page or await self._page(position, sequence)
            view = memoryview(page.events)
            for start in range(0, len(view), PIECE_BYTES):
                await response.write(view[start : start + PIECE_BYTES])
            sequence = page.sequence
            if page.position is not None:
                position = page.position
            page = None

    async def _page(self, position: int, sequence: int | None) -> Page:
        history = self.services.watch_history
        return await history.page(self.project_id, self.wanted, position, sequence)


def _response(position: int) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            POSITION_HEADER: str(position),
        }
    )
    response.force_close()
    return response


def _filter(request: web.Request, access: Access) -> Filter:
    keys = None
    if (text := request.query.get("keys")) is not None:
        keys = frozenset(check_key(key) for key in text.split(","))
        if len(keys) > MAX_KEYS:
            raise InvalidParameter("keys", f"at most {MAX_KEYS} keys; use prefix")
    prefix = seen_prefix(request, access)
    return Filter(keys=frozenset()) if prefix is None else Filter(prefix, keys)


def _start(request: web.Request) -> int | None:
    """The position that the client has; None: it starts with what comes now.

    `Last-Event-ID` goes before `from`: a browser that reconnects repeats the query.
    """
    start: int | None = query_integer(request, "from", None)
    if start is not None and query_boolean(request, "snapshot"):
        raise InvalidParameter("snapshot", "a snapshot starts now; leave `from` out")
    if text := header_of(request, "Last-Event-ID"):
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise InvalidParameter("Last-Event-ID", "must be a log position")
        start = int(text)
    return start


async def _still_allowed(request: web.Request, before: Access) -> bool:
    """Whether the caller may go on watching, and sees what they saw."""
    try:
        now = await project_access(request, Permission.READ)
    except (NotSignedIn, NotAllowed, NotFound, CredentialsRefused):
        return False
    except Unavailable:
        return True  # reads go on while the database is away
    return own_prefix(now) == own_prefix(before)


def _detect_dead_peer(transport: asyncio.Transport) -> None:
    """Have the kernel cut a connection whose peer vanished; heartbeats make it notice."""
    connection = transport.get_extra_info("socket")
    if hasattr(socket, "TCP_USER_TIMEOUT") and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.get("/v1/projects/{project}/watch", watch, allow_head=False)]


async def _whole(
    revisions: Sequence[RecordedRevision],
) -> AsyncIterator[Sequence[RecordedRevision]]:
    yield revisions


def _live(held: HeldConfigs, wanted: Filter) -> Iterator[RecordedRevision]:
    """What matches, by key; of a project with many configs only that is looked at."""
    if wanted.keys is None:
        yield from held.live(wanted.prefix)
        return
    for key in sorted(filter(wanted.matches, wanted.keys)):
        revision = held.get(key)
        if revision is not None and not revision.deleted:
            yield revision
