"""Answers whose bytes are ready, to one of many requests on an HTTP/1.1 connection.

aiohttp puts the headers of each answer together anew, which takes it a third of a read from memory
and a tenth of a change; here all but a few are always the same. Whatever is not plainly such an
answer (another version, a connection that closes, cookies, an origin, a stream) is left to aiohttp.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_request import BaseRequest

from app.api.client_address import is_https
from app.settings import Settings

STRICT_TRANSPORT = {"Strict-Transport-Security": "max-age=31536000"}
_STRICT = "".join(f"{name}: {value}\r\n" for name, value in STRICT_TRANSPORT.items())
_OWN = frozenset({"Content-Type", "ETag", "Guardian-Position", "Location", "Retry-After"})
"""What handlers may set of their own; with any other header an answer is left to aiohttp."""
_EMPTY = (204, 304)


class Ready(web.StreamResponse):
    """The bytes of a whole answer."""

    def __init__(self, status: int, message: bytes) -> None:
        super().__init__(status=status)
        self._message = message
        self._keep_alive = True

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter:
        """Send it; a client that does not read is waited for."""
        writer = request._payload_writer
        if not self._keep_alive:  # the process stops
            head, _, rest = self._message.partition(b"\r\n")
            self._message = head + b"\r\nConnection: close\r\n" + rest
        await writer.write(self._message)
        await writer.drain()
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be sent."""


def can_be_ready(request: BaseRequest) -> bool:
    """Whether the answer's headers do not depend on the request."""
    headers = request.headers
    return request.keep_alive and request.version == HttpVersion11 and "Origin" not in headers


class ReadyAnswers:
    """Makes them; `fixed` are the headers of every answer."""

    def __init__(self, settings: Settings, fixed: Mapping[str, str]) -> None:
        self._settings = settings
        self._tls_depends = bool(settings.trusted_proxies)
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        self._heads: dict[int, str] = {}

    def make(
        self, request: BaseRequest, status: int, own: str, request_id: str, body: bytes | None
    ) -> Ready:
        """`own`: the answer's other headers, as lines; `body` None: a status that has none."""
        head = self._heads.get(status)
        if head is None:
            line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            head = self._heads[status] = line + self._fixed
        strict = _STRICT if self._tls_depends and is_https(request, self._settings) else ""
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        text = (
            f"{head}{own}X-Request-Id: {request_id}\r\nDate: {rfc822_formatted_time()}\r\n"
            f"{length}{strict}\r\n"
        )
        return Ready(status, text.encode() + (body or b""))

    def of(
        self, request: web.Request, response: web.StreamResponse, request_id: str
    ) -> web.StreamResponse:
        """The same answer, ready if it can be."""
        if (
            type(response) is not web.Response
            or request.method == "HEAD"
            or not can_be_ready(request)
            or response.keep_alive is False
            or response.cookies
        ):
            return response
        status, body = response.status, response.body
        if not isinstance(body, bytes) or status in _EMPTY:
            return response
        own = []
        for name, value in response.headers.items():
            # aiohttp refuses what would be a header more.
            if name not in _OWN or not value.isprintable():
                return response
            own.append(f"{name}: {value}\r\n")
        return self.make(request, status, "".join(own), request_id, body)
