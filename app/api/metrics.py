"""`GET /metrics`: for Prometheus, without credentials, like /healthz.

There is no id and nothing that a caller chose in it; whoever should not see numbers at all is
kept out by the proxy in front (docs/DEPLOYMENT.md).
"""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from app.services import SERVICES


async def metrics(request: web.Request) -> web.Response:
    """The numbers of this process."""
    body = request.app[SERVICES].metrics.render()
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.get("/metrics", metrics)]
