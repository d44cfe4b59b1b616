"""What every request and every answer goes through: ids, limits, headers, the log line, metrics.

The log line and the metrics name the route's pattern and ids of ours; never an address as it was
asked for, a query, a header, a body or an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Mapping

import structlog
from aiohttp import web
from multidict import CIMultiDict

from app.access.principal import Application
from app.api.access import CALLER, PROJECT
from app.api.client_address import is_https
from app.api.errors import REQUEST_ID, Handler, away, problem_of
from app.api.pages import index, is_address_of_page
from app.api.ready import STRICT_TRANSPORT, ReadyAnswers
from app.api.requests import storable
from app.errors import NotFound
from app.logs import write_ready
from app.services import SERVICES
from app.settings import Settings

HANDLER_TIMEOUT_S = 150.0
"""Longer than any wait that a caller can ask for (120 s)."""
CLIENT_LEFT = 499
SERVER = "config-guardian"
QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/assets/{name}"})
STREAMS = frozenset({"/v1/projects/{project}/watch"})
UNHURRIED = STREAMS | {
    # These take as long as the history is long; the database's own timeouts bound them.
    "/v1/projects/{project}",
    "/v1/projects/{project}/audit/verify",
    "/v1/users/{user}",
    "/v1/schemas/{schema}",
}

_request_ids = map(
    "{}-{:x}".format, itertools.repeat(secrets.token_hex(6)), itertools.count()
).__next__
"""Unique in this process and, by its first part, beyond; much cheaper than a UUID."""
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CORS_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_CORS_REQUEST_HEADERS = (
    "Authorization, X-API-Key, Content-Type, If-Match, If-None-Match, Idempotency-Key,"
    " Guardian-Min-Position, Last-Event-ID, X-Request-Id"
)
_CORS_ANSWER_HEADERS = "ETag, Location, Guardian-Position, Retry-After, X-Request-Id"
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "private, no-cache",
}
READY = web.AppKey("ready", ReadyAnswers)
"""Set by `install`."""

logger = structlog.get_logger(__name__)


def request_id_for(headers: Mapping[str, str]) -> str:
    """The caller's own id if it is a sane one, else a new one."""
    given = headers.get("X-Request-Id")
    return given if given is not None and _SANE_REQUEST_ID.fullmatch(given) else _request_ids()


@web.middleware
async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id, and write one line and one count when it is over."""
    request_id = request[REQUEST_ID] = request_id_for(request.headers)
    metrics = request.app[SERVICES].metrics
    start, status = time.perf_counter(), CLIENT_LEFT
    # For every line that is written meanwhile. Each request has a task and a context of its own.
    structlog.contextvars.bind_contextvars(request_id=request_id)
    route = route_of(request)
    metrics.in_flight += 1
    try:
        response = _preflight(request) or await _answer(request, handler, route)
        status = response.status
        return request.app[READY].of(request, response, request_id)
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        metrics.in_flight -= 1
        seconds = time.perf_counter() - start
        metrics.answered(request.method, route, status, seconds, stream=route in STREAMS)
        _log(request, route, status, seconds)


async def _answer(request: web.Request, handler: Handler, route: str) -> web.StreamResponse:
    """The handler's answer, or the problem that kept it from one."""
    try:
        _check_names(request)
        if route in UNHURRIED:
            return await handler(request)
        return await _in_time(request, handler(request), HANDLER_TIMEOUT_S)
    except web.HTTPNotFound as error:
        if is_address_of_page(request):
            return await index(request)
        return problem_of(request, error)
    except Exception as error:  # noqa: BLE001 - the outermost door: a bug becomes a 500
        return problem_of(request, error)


def _check_names(request: web.Request) -> None:
    """Refuse what names things that cannot be."""
    for name, value in request.match_info.items():
        # A config's key has a grammar, and its own problem.
        if name != "key" and not (storable(value) and len(value) <= 200):
            raise NotFound("there is no such thing")


async def _in_time(
    request: web.Request, answer: Awaitable[web.StreamResponse], seconds: float
) -> web.StreamResponse:
    """End what takes too long. As asyncio.timeout(), which takes three times as long itself
    (12 µs), for all requests but few."""
    task = asyncio.current_task()
    assert task is not None
    is_over = False

    def end() -> None:
        nonlocal is_over
        is_over = True
        task.cancel()

    alarm = asyncio.get_running_loop().call_later(seconds, end)
    try:
        return await answer
    except asyncio.CancelledError:
        # Cancelled by others too, it is theirs.
        if not is_over or task.cancelling() > 1:
            raise
        raise away(request, "the request took too long and was ended") from None
    finally:
        alarm.cancel()
        if is_over:
            task.uncancel()


def _log(request: web.Request, route: str, status: int, seconds: float) -> None:
    if not request.app[SERVICES].settings.logs_requests:
        return
    fields: dict[str, object] = {
        "request_id": request[REQUEST_ID],
        # A method is a token of the caller's choice.
        "method": request.method[:16],
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 2),
    }
    principal = request.get(CALLER)
    if isinstance(principal, Application):
        fields["key_id"] = principal.key_id
    elif principal is not None:
        fields["user_id"] = principal.user_id
    if (project := request.get(PROJECT)) is not None:
        fields["project"] = project
    if route in QUIET:
        logger.debug("request", **fields)
    else:
        write_ready("request", fields)


def route_of(request: web.Request) -> str:
    """The pattern of the request's route; "none" where nothing is."""
    resource = request.match_info.route.resource
    return "none" if resource is None else resource.canonical


def fixed_headers(settings: Settings) -> CIMultiDict[str]:
    """What `complete_headers` adds whoever asks, while no browser's other origin does."""
    headers = CIMultiDict({**_SECURITY_HEADERS, "Server": SERVER})
    if settings.speaks_tls:
        headers.update(STRICT_TRANSPORT)
    if settings.cors_origins:
        headers["Vary"] = "Origin"
    return headers


async def complete_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add to every answer, streams and files too, what its handler did not set."""
    headers = response.headers
    settings = request.app[SERVICES].settings
    headers.merge(_SECURITY_HEADERS)
    headers["Server"] = SERVER
    if (request_id := request.get(REQUEST_ID)) is not None:
        headers["X-Request-Id"] = request_id
    if is_https(request, settings):
        headers.update(STRICT_TRANSPORT)
    if _allowed_origin(request) is not None:
        headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        headers["Access-Control-Expose-Headers"] = _CORS_ANSWER_HEADERS
    if settings.cors_origins:
        headers.add("Vary", "Origin")


def _preflight(request: web.Request) -> web.Response | None:
    """The answer to a browser that asks before it sends another origin's request."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    if _allowed_origin(request) is None:
        return None
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": _CORS_METHODS,
            "Access-Control-Allow-Headers": _CORS_REQUEST_HEADERS,
            "Access-Control-Max-Age": "600",
        },
    )


def _allowed_origin(request: web.Request) -> str | None:
    """The origin, if the settings allow it. Never with cookies: those stay with our own page."""
    origin = request.headers.get("Origin")
    return origin if origin in request.app[SERVICES].settings.cors_origins else None


def install(app: web.Application, settings: Settings) -> None:
    """Have every answer of `app` completed."""
    app[READY] = ReadyAnswers(settings, fixed_headers(settings))
    app.on_response_prepare.append(complete_headers)
