"""Refuses requests that another site's page made a browser send with our cookie (CSRF).

The cookie is SameSite=Strict already; this is the second lock. It follows Go's
http.CrossOriginProtection: every browser of today sends Sec-Fetch-Site, older ones send Origin
with each POST, and what sends neither is no browser, so nobody's cookie is misused.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from app.errors import CrossSiteRequest
from app.services import SERVICES


def require_same_origin(request: web.Request) -> None:
    """Raise CrossSiteRequest if a page of another origin sent this."""
    public_url = request.app[SERVICES].settings.public_url
    origin = request.headers.get("Origin")
    if public_url is not None and origin == public_url:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise CrossSiteRequest("another site sent this request")
        return
    # The scheme is not compared: behind a proxy that ends TLS we do not see it.
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise CrossSiteRequest("another site sent this request")
