"""The reads that a service's users make on every request of their own: a config by an API key.

What is answered here is answered by the handlers of `app.api.configs` too, with the same bytes;
this only gets there without the router, the middlewares and a task's waits, because nothing in it
can wait. Must never refuse anything: whatever is not plainly a 200 or a 304 from memory goes the
whole way, which knows every reason and every word.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable
from typing import NamedTuple

from aiohttp import web
from aiohttp.web_request import BaseRequest

from app.access.principal import Application
from app.api.configs import CONFIG
from app.api.entity_tags import etag
from app.api.middleware import READY, request_id_for
from app.api.reads import NO_BARRIER
from app.api.ready import Ready, can_be_ready
from app.api.refusals import Handler
from app.api.requests import POSITION_HEADER
from app.api.views import config_body
from app.config_reader import READ_TIMEOUT_S
from app.errors import TooManyRequests, Unavailable
from app.logs import write_ready
from app.services import SERVICES
from projections.read_model import RecordedRevision

_ENDS: tuple[list[str], ...] = ([], ["content"])
_LINEARIZABLE = "consistency=linearizable"
_OURS = re.compile(r'"[1-9][0-9]{0,17}"', re.ASCII)
"""One version's entity tag as we write them: no list, no `*`, nothing weak."""


class _Asked(NamedTuple):
    """A request for one config by a caller who is let in. As everywhere, who may ask is decided
    when the request comes; what there is, when it is answered."""

    application: Application
    key: str
    bare: bool
    """Whether the content alone is asked for."""


class HotReads:
    """A server's request handler: answers what it can at once, and hands on all else."""

    def __init__(self, app: web.Application, otherwise: Handler) -> None:
        self._services = services = app[SERVICES]
        self._otherwise = otherwise
        self._ready = app[READY]
        self._logs = services.settings.logs_requests

    def __call__(self, request: BaseRequest) -> Awaitable[web.StreamResponse]:
        """Answer one request."""
        return (self._read if request.method == "GET" else self._otherwise)(request)

    async def _read(self, request: BaseRequest) -> web.StreamResponse:
        """From the look into memory to the answer nothing can come between."""
        start = time.perf_counter()
        path, _, query = request.raw_path.partition("?")
        if query and query != _LINEARIZABLE:
            return await self._otherwise(request)
        asked = self._asked(request, path)
        if asked is None:
            return await self._otherwise(request)
        if query:
            if self._live(asked) is None:
                return await self._otherwise(request)
            try:
                await self._services.barrier.wait(READ_TIMEOUT_S)
            except Unavailable as error:
                request[NO_BARRIER] = error
                return await self._otherwise(request)
        return self._from_memory(request, asked, start) or await self._otherwise(request)

    def _from_memory(self, request: BaseRequest, asked: _Asked, start: float) -> Ready | None:
        revision = self._live(asked)
        if revision is None:
            return None
        application, _, bare = asked
        services = self._services
        tag, given = etag(revision.version), request.headers.get("If-None-Match")
        if given is not None and given != tag and not self._names_another(request, given):
            return None
        try:
            services.caller_rate.count(application)
        except TooManyRequests:
            return None
        services.upkeep.used(application)
        request_id = request_id_for(request.headers)
        own = f"ETag: {tag}\r\n{POSITION_HEADER}: {services.model.position}\r\n"
        if given == tag:
            status, body = 304, None
        else:
            status, body = 200, revision.content if bare else config_body(revision)
            assert body is not None, "a live config has a content"
            own += "Content-Type: application/json\r\n"
        self._report(application, bare, status, start, request_id)
        return self._ready.make(request, status, own, request_id, body)

    @staticmethod
    def _names_another(request: BaseRequest, given: str) -> bool:
        """Whether all that the caller has is one other version."""
        return bool(_OURS.fullmatch(given)) and len(request.headers.getall("If-None-Match")) == 1

    def _live(self, asked: _Asked) -> RecordedRevision | None:
        """The config, if it is live and this process knows so."""
        model = self._services.model
        revision = model.get(asked.application.project_id, asked.key)
        if revision is None or revision.deleted or not model.live:
            return None
        return revision

    def _asked(self, request: BaseRequest, path: str) -> _Asked | None:
        """Who asks for what, if the caller is known here and may see it."""
        headers = request.headers
        plain = headers.get("X-API-Key")
        parts = path.split("/")
        if (
            plain is None
            or not can_be_ready(request)
            or len(parts) < 6
            or parts[4] != "configs"
            or "Authorization" in headers
            or "Guardian-Min-Position" in headers
            or "Expect" in headers
        ):
            return None
        prefix, version, projects, project_id, _, key, *rest = parts
        if (prefix, version, projects) != ("", "v1", "projects") or rest not in _ENDS:
            return None
        application = self._services.directory.known_application(plain)
        if application is None or application.project_id != project_id:
            return None
        if application.prefix is not None and not key.startswith(application.prefix):
            return None
        return _Asked(application, key, bool(rest))

    def _report(
        self, application: Application, bare: bool, status: int, start: float, request_id: str
    ) -> None:
        route = CONFIG + "/content" if bare else CONFIG
        seconds = time.perf_counter() - start
        self._services.metrics.answered("GET", route, status, seconds, stream=False)
        if self._logs:
            write_ready(
                "request",
                {
                    "request_id": request_id,
                    "method": "GET",
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                    "key_id": application.key_id,
                    "project": application.project_id,
                },
            )
