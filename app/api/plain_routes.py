"""The way to the handlers of one config without a search among all routes, which takes aiohttp a
twentieth of what a change takes the process.

The same handlers, behind the same middleware. Must never refuse anything: an address that is not
plainly a config's goes to the application, which knows every route and every refusal.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable

from aiohttp import web
from aiohttp.web_request import BaseRequest
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from app.api.configs import CONFIG
from app.api.middleware import observed
from app.api.refusals import Handler

_PLAIN = re.compile(r"/v1/projects/(?P<project>[\w-]+)/configs/(?P<key>[\w-][\w.-]*)", re.ASCII)
"""An address as it comes, with nothing to be decoded in it and no query."""


class PlainRoutes:
    """A server's request handler: finds what it can at once, and hands on all else."""

    def __init__(self, app: web.Application, otherwise: Handler) -> None:
        self._app = app
        self._otherwise = otherwise
        self._routes = {
            route.method: route
            for route in app.router.routes()
            if route.resource is not None and route.resource.canonical == CONFIG
        }

    def __call__(self, request: BaseRequest) -> Awaitable[web.StreamResponse]:
        """Answer one request."""
        found, route = _PLAIN.fullmatch(request.raw_path), self._routes.get(request.method)
        if found is None or route is None or "Expect" in request.headers:
            return self._otherwise(request)
        assert isinstance(request, web.Request)
        # As `web.Application` does it, which is the application of all routes here.
        match = UrlMappingMatchInfo(found.groupdict(), route)
        match.add_app(self._app)
        match.freeze()
        request._match_info = match
        return observed(request, route.handler)
