"""The management page: files that `make ui` built into app/static, under a strict CSP.

Every address that is not the API's belongs to the page (it keeps its state in the address).
"""

from __future__ import annotations

import secrets
from pathlib import Path

from aiohttp import web

from app.services import SERVICES

STATIC = Path(__file__).parent.parent / "static"
_API = (
    "/v1/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/problems",
    "/assets/",
)
_ASSET_POLICY = "default-src 'none'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'"
"""A worker goes by the policy of its own script: with none for scripts it could import nothing."""
_NOT_BUILT = "<!doctype html><title>Config Guardian</title><p>The page is not built: run make ui."


def content_security_policy(nonce: str) -> str:
    """What the page may load: its own files, and the styles that its editor adds at run time."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def is_address_of_page(request: web.Request) -> bool:
    """Whether a browser that asks for this, where nothing else is, is to get the page."""
    # Nearly one of the API's is a mistake of a program, which would take the page for its answer.
    path = "/" + request.path.lstrip("/").lower()
    return request.method in ("GET", "HEAD") and not f"{path}/".startswith(_API)


async def index(request: web.Request) -> web.Response:
    """The page's document, with a nonce of its own and the size that contents may have."""
    file = STATIC / "index.html"
    document = file.read_text(encoding="utf-8") if file.is_file() else _NOT_BUILT
    nonce = secrets.token_urlsafe(16)
    limit = str(request.app[SERVICES].settings.max_content_bytes)
    return web.Response(
        text=document.replace("__CSP_NONCE__", nonce).replace("__MAX_CONTENT_BYTES__", limit),
        content_type="text/html",
        headers={
            "Content-Security-Policy": content_security_policy(nonce),
            "Cache-Control": "no-store",
        },
    )


async def asset(request: web.Request) -> web.StreamResponse:
    """A built file; its name holds its hash, so it never changes. `make ui` packs it beside itself
    (`.br`, `.gz`), and that is sent to who takes it.
    """
    name = request.match_info["name"]
    folder = (STATIC / "assets").resolve()
    file = (folder / name).resolve()
    if not file.is_relative_to(folder) or not file.is_file():
        raise web.HTTPNotFound
    headers = {
        "Content-Security-Policy": _ASSET_POLICY,
        "Cache-Control": "public, max-age=31536000, immutable",
    }
    return web.FileResponse(file, headers=headers)


def routes() -> list[web.RouteDef]:
    """This module's routes; the page itself comes by `is_address_of_page`."""
    return [web.get("/", index), web.get("/assets/{name}", asset)]
