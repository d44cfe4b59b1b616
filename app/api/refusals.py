"""The answers to what never became a request of the application: bytes that are not HTTP, a line
that is too long, an expectation that nobody meets.

aiohttp would answer these itself, in plain text and with the caller's own bytes in the answer and
in the log. Here they are problems like all others. Must name nothing of what was sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import _ErrInfo

from app.api.errors import BUG, REQUEST_ID, Problem, problem_response
from app.api.middleware import fixed_headers, request_id_for
from app.services import SERVICES

_Item = tuple[RawRequestMessage | _ErrInfo, StreamReader]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

NOT_HTTP = Problem("malformed-request", 400)
EXPECTATION_FAILED = Problem("expectation-failed", 417)

HALF_CLOSED_S = 2.0
"""How long a client that sends nothing any more is taken for one that still reads."""

logger = structlog.get_logger("app.api.middleware")


class NotSpoken(BadHttpMessage):
    """aiohttp reads it, but as something else than it is."""


class Refusals:
    """Makes these answers, and counts and logs each as a request."""

    def __init__(self, app: web.Application) -> None:
        services = app[SERVICES]
        self._metrics = services.metrics
        self._headers = fixed_headers(services.settings)

    def of_error(
        self, request: web.BaseRequest, status: int, error: BaseException | None
    ) -> web.Response:
        """The answer to what aiohttp could not read, or to a bug outside of the middlewares.

        The connection is closed behind it: nobody knows where the next request would begin.
        """
        problem = NOT_HTTP if status == NOT_HTTP.status else BUG
        if problem is BUG:
            detail = "it was logged under the request id"
        elif isinstance(error, LineTooLong):
            detail = f"the address or a header has more than {error.args[1]} bytes"
        elif isinstance(error, NotSpoken):
            detail = error.message
        else:
            detail = (
                "the request line, a header, their number, or the framing of the body is not what"
                " HTTP/1.1 allows (RFC 9112)"
            )
        response = self._refuse(request, problem, detail, error)
        if problem is BUG:
            logger.error("request_failed", request_id=request[REQUEST_ID], exc_info=error)
        # No application saw the request, so nothing else completes the answer.
        response.headers.extend(self._headers)
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        response.force_close()
        return response

    def behind(self, otherwise: Handler) -> Handler:
        """A request handler that answers like `otherwise`, and an expectation with its problem.

        Not an expect_handler of each route: an address that is no route has an expectation too.
        """

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            try:
                return await otherwise(request)
            except web.HTTPExpectationFailed as error:
                detail = "the only expectation that is met is 100-continue; leave Expect out"
                return self._refuse(request, EXPECTATION_FAILED, detail, error)

        # Nothing else fails so, and most requests have none: they are spared a coroutine.
        return lambda request: (answer if "Expect" in request.headers else otherwise)(request)

    def _refuse(
        self, request: web.BaseRequest, problem: Problem, detail: str, error: BaseException | None
    ) -> web.Response:
        request_id = request[REQUEST_ID] = request_id_for(request.headers)
        # How long it took is not known; it is left out, as a stream's time is.
        self._metrics.answered(request.method, "none", problem.status, 0.0, stream=True)
        logger.info(
            "request",
            request_id=request_id,
            method=request.method[:16],
            route="none",
            status=problem.status,
            refused=type(error).__name__,
        )
        return problem_response(request, problem, detail, error)


class _Messages(deque[_Item]):
    """What aiohttp reads goes through here, from a packet or from behind an `Upgrade` that nobody
    took."""

    __slots__ = ("_taken_in",)

    def __init__(self, taken_in: Callable[[_Item], _Item]) -> None:
        super().__init__()
        self._taken_in = taken_in

    def append(self, item: _Item) -> None:
        """As a deque's."""
        super().append(self._taken_in(item))


class Connection(web.RequestHandler):
    """aiohttp's HTTP connection, with our answers to what it cannot read.

    Tells who waits long of its end.
    """

    __slots__ = ("_last_body", "_lost", "_refusals", "_server")

    def __init__(self, server: Server, refusals: Refusals, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._refusals = refusals
        self._messages = _Messages(self._taken_in)
        self._last_body: StreamReader | None = None
        self._lost: asyncio.Future[None] | None = None

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done when the client has left. For who waits long; nothing ends a handler for that."""
        if self._lost is None:
            self._lost = asyncio.get_running_loop().create_future()
            if self.transport is None:
                self._lost.set_result(None)
        return self._lost

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp's."""
        super().connection_lost(exc)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    def _taken_in(self, item: _Item) -> _Item:
        """A message that was read, or a refusal in its place. Whoever reads a body is told when the
        rest of it cannot be read.

        aiohttp only puts the error behind that request, which would wait for its body until it is
        ended for being slow.
        """
        message, body = item
        if not isinstance(message, _ErrInfo):
            if (why := _not_spoken(message)) is None:
                self._last_body = body
                return item
            error = _ErrInfo(status=NOT_HTTP.status, exc=NotSpoken(why), message=why)
            item = error, EMPTY_PAYLOAD
        if self._last_body is not None and not self._last_body.is_eof():
            self._last_body.set_exception(web.RequestPayloadError("the framing is broken"))
            self._lingering_time = 0.0  # what comes is no body: it is not read to its end either
        return item

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that ended its sending alone (`nc -N`) is answered what it asked, if that takes
        no longer than `HALF_CLOSED_S`; aiohttp would end the connection at once. Most have left
        altogether, and what waits for them must hear of it. A body that lacks its end, and a
        stream, end with it."""
        request = self._current_request
        # Where nothing is waited for, a request is under way, though it may have no task yet.
        is_busy = self._request_count > 0 and self._waiter is None
        is_whole = self._last_body is None or self._last_body.is_eof()
        is_begun = request is not None and request.writer.output_size > 0
        if self.transport is None or not (is_busy or self._messages) or not is_whole or is_begun:
            return False
        asyncio.get_running_loop().call_later(HALF_CLOSED_S, self.transport.abort)
        if not self._messages:  # of several, all are answered first
            self.close()
        return True

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """As aiohttp's; and the last answer before we end the connection says so, or the client
        sends its next request into it (RFC 9112 section 9.6)."""
        if (self._close or self._server.ending) and isinstance(resp, web.StreamResponse):
            resp.force_close()
        return super().finish_response(request, resp, start_time)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """As aiohttp's, where reading was paused: it has the parser look for the rest of nothing
        behind every body, which takes as long as to parse the headers."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """As aiohttp's: raises ConnectionError where an answer was begun already."""
        response = self._refusals.of_error(request, status, exc)
        if request.writer.output_size > 0:
            raise ConnectionError("another answer was begun")
        return response


def _not_spoken(message: RawRequestMessage) -> str | None:
    """Why this must not be read as aiohttp does; None if it may."""
    version = message.version
    if version != HttpVersion11 and version != HttpVersion10:
        return "only HTTP/1.1 and HTTP/1.0 are spoken here"
    if not message.chunked:
        return None
    # RFC 9112 section 6.1. Else a body that is packed, too, is taken for what it says.
    codings = ", ".join(message.headers.getall("Transfer-Encoding"))
    if version == HttpVersion10 or codings.strip().lower() != "chunked":
        return "the only Transfer-Encoding that is taken is chunked, in HTTP/1.1"
    return None


class Server(web.Server):
    """Makes a `Connection` for each connection."""

    def __init__(self, handler: Handler, refusals: Refusals, **options: Any) -> None:
        super().__init__(handler, **options)
        self._refusals = refusals
        self.ending = False
        """Whether every connection ends behind its next answer."""

    def __call__(self) -> web.RequestHandler:
        """A new connection's protocol."""
        return Connection(self, self._refusals, loop=self._loop, **self._kwargs)
