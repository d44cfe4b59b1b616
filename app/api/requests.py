"""Reading requests strictly: bodies, parameters, versions, cursors; and writing answers.

Whatever is not understood is refused with its name; nothing is guessed or ignored.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import orjson
from aiohttp import web

from app.api.content_coding import coding_of, unpacked
from app.errors import (
    BodyTooLarge,
    BodyTooSlow,
    InvalidParameter,
    MalformedBody,
    UnsupportedMediaType,
)
from app.services import SERVICES
from domain.errors import MalformedJson
from domain.json_document import MAX_DEPTH, check_json, parse_json
from domain.json_source import member_span

T = TypeVar("T")
_MISSING: Any = object()
BODY_TIMEOUT_S = 30.0
UTF_8 = ("utf-8", "utf8", "us-ascii")
DEFAULT_LIMIT, MAX_LIMIT = 50, 500
POSITION_HEADER = "Guardian-Position"
BODY = web.RequestKey("body", bytes)
"""Where `read_body` leaves the bytes on the request, for its digest."""
PARSED_INLINE_BYTES = 4 * 1024
"""A larger body is checked in another process: to prove that 256 KiB are I-JSON may take half a
second, and in a thread it would hold up the event loop too."""
ESCAPE_BYTES = 6
"""Of a character that is sent as an escape, as many encoders send all but ASCII; UTF-8 may need
one of them."""
MAX_ESCAPED_BYTES = 25 * 1024 * 1024
"""Of any body with its escapes: thrice the largest change set, as text in any script may take, and
six times the largest content."""
TENANT = web.RequestKey("tenant", str)
"""Where `app.api.access` leaves whose share of the workers a request takes."""
NOBODY = "nobody"
ASK_AGAIN: web.RequestKey[Callable[..., Awaitable[object]]] = web.RequestKey("ask_again")
"""Where `app.api.access` leaves how to find out whether the caller still may do what they asked."""


async def read_body(request: web.Request, *accepted: str, limit_bytes: int | None = None) -> bytes:
    """The body, unpacked, if it is of an accepted content type and within the limit.

    The limit is the application's unless a route that takes more says so. What it can be refused
    for by its headers, it is refused for before it is read.
    """
    given = request.headers.get("Content-Type")
    if given not in accepted:  # most are just that, and it is not worth taking them apart
        charset = (request.charset or "utf-8").lower()
        if request.content_type not in accepted or charset not in UTF_8:
            raise UnsupportedMediaType(given, accepted)
    coding = coding_of(request)
    if limit_bytes is None:
        limit_bytes, source = request._client_max_size, request
    elif 0 <= (request.content_length or -1) <= min(limit_bytes, request._client_max_size):
        source = request  # most are: a clone takes longer than to read one
    else:
        # Only to read from: what is left on a clone, nobody finds.
        source = request.clone(client_max_size=limit_bytes)
    # A small body came together with its headers: then there is nothing to wait for.
    whole = request.content.is_eof()
    try:
        if whole:
            body = request.content.read_nowait()
        else:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await source.read()
    except TimeoutError:
        raise BodyTooSlow(f"the request body took more than {BODY_TIMEOUT_S:g} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge(limit_bytes) from None
    except web.RequestPayloadError:
        raise MalformedBody("the body is not framed as its headers say") from None
    except OSError:  # would pass for a database that is away
        raise MalformedBody("the client left before its body was whole") from None
    if len(body) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    if not whole:
        await still_allowed(request)
    body = unpacked(body, coding, limit_bytes)
    request[BODY] = body
    return body


async def still_allowed(request: web.Request) -> None:
    """To be called behind a wait whose length is the client's choice: else requests that were begun
    before would outlive a right that was taken away. Raises as what let the caller in."""
    if (ask_again := request.get(ASK_AGAIN)) is not None:
        await ask_again(request)


async def read_json(
    request: web.Request,
    *accepted: str,
    limit_bytes: int | None = None,
    max_depth: int = MAX_DEPTH,
    escaped: bool = False,
) -> Any:
    """The body as an I-JSON value. Raises MalformedJson, NotIJson, with the place.

    `escaped`: an escape counts as the byte that it may stand for, as the limit is on what will be
    stored. What takes long to check, the arrays, objects and numbers, stays within the limit.
    """
    limit = limit_bytes or request._client_max_size
    if escaped:
        limit_bytes = min(ESCAPE_BYTES * limit, MAX_ESCAPED_BYTES)
    body = await read_body(request, *(accepted or ("application/json",)), limit_bytes=limit_bytes)
    if escaped and len(body) - (ESCAPE_BYTES - 1) * body.count(rb"\u") > limit:
        raise BodyTooLarge(limit)
    if not body.strip():
        raise MalformedJson("an empty body where JSON is needed", 1, 1)
    if len(body) <= PARSED_INLINE_BYTES:
        return parse_json(body, max_depth=max_depth)
    await request.app[SERVICES].parsers.check_json(
        body, tenant=request.get(TENANT, NOBODY), max_depth=max_depth
    )
    return orjson.loads(body)


async def read_source(request: web.Request, member: str) -> tuple[Any, str | None]:
    """The body as an I-JSON value, and the text of one of its members as it was sent."""
    body = await read_body(request, "application/json")
    if not body.strip():
        raise MalformedJson("an empty body where JSON is needed", 1, 1)
    if len(body) <= PARSED_INLINE_BYTES:
        value, span = parse_json(body), member_span(body.decode(), member)
    else:
        span = await request.app[SERVICES].parsers.check_json(
            body, tenant=request.get(TENANT, NOBODY), member=member
        )
        value = orjson.loads(body)
    return value, None if span is None else body.decode()[slice(*span)]


async def read_object(request: web.Request, *members: str, escaped: bool = False) -> Members:
    """The body as an object that has no other members than these; `escaped` as in `read_json`."""
    value = await read_json(request, escaped=escaped)
    if not isinstance(value, dict):
        raise InvalidParameter("body", "must be a JSON object")
    return Members(value, members)


class Members:
    """A body's members, taken by name and type."""

    def __init__(self, value: Mapping[str, Any], allowed: tuple[str, ...], at: str = "") -> None:
        self._value = value
        self._at = at
        for name in value:
            if name not in allowed:
                raise InvalidParameter(
                    f"{at}{name[:100]}", f"unknown; known are {', '.join(allowed)}"
                )

    def has(self, name: str) -> bool:
        """Whether the member is there, with whatever value."""
        return name in self._value

    def any(self, name: str) -> Any:
        """A member that must be there and may be any JSON value."""
        if name not in self._value:
            raise InvalidParameter(self._at + name, "is missing")
        return self._value[name]

    def text(
        self, name: str, default: Any = _MISSING, *, longest: int = 1000, shortest: int = 1
    ) -> Any:
        """A string of `shortest` to `longest` characters; `default` where it is absent."""
        value = self._typed(name, str, "a string", default)
        if isinstance(value, str) and not shortest <= len(value) <= longest:
            raise InvalidParameter(self._at + name, f"must have {shortest} to {longest} characters")
        return value

    def integer(self, name: str, default: Any = _MISSING, *, least: int = 0) -> Any:
        """A whole number from `least` up; `default` where it is absent."""
        value = self._typed(name, int, "a whole number", default)
        if isinstance(value, int) and value < least:
            raise InvalidParameter(self._at + name, f"must be {least} or more")
        return value

    def boolean(self, name: str, default: Any = _MISSING) -> Any:
        """true or false; `default` where it is absent."""
        return self._typed(name, bool, "true or false", default)

    def _typed(self, name: str, kind: type[T], what: str, default: Any) -> T | Any:
        if name not in self._value or (self._value[name] is None and default is None):
            if default is _MISSING:
                raise InvalidParameter(self._at + name, "is missing")
            return default
        value = self._value[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InvalidParameter(self._at + name, f"must be {what}")
        return value


def header_of(request: web.Request, name: str) -> str | None:
    """A header of the request. What stands on several lines is one list (RFC 9110 section 5.3):
    so where one value is wanted, a second is refused with the first instead of left out unseen."""
    lines = request.headers.getall(name, None)
    return None if lines is None else ", ".join(lines)


def storable(text: str) -> bool:
    """Whether PostgreSQL takes this text: no U+0000, no lone surrogate."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def check_query(request: web.Request, *allowed: str) -> None:
    """Refuse query parameters that the route does not know, and ones that come twice."""
    for name in request.query:
        if name not in allowed:
            raise InvalidParameter(name[:100], f"unknown; known are {', '.join(allowed) or 'none'}")
        if len(request.query.getall(name)) > 1:
            raise InvalidParameter(name, "comes twice")
        if not storable(value := request.query[name]):
            raise InvalidParameter(name, "holds a character that no text has")
        # What was decoded already has it in place of each byte that is none of UTF-8.
        if "\ufffd" in value and not _is_utf_8(unquote_to_bytes(request.rel_url.raw_query_string)):
            raise InvalidParameter(name, "is not UTF-8")


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def query_integer(
    request: web.Request, name: str, default: T, least: int = 0, most: int = 2**63 - 1
) -> int | T:
    """A whole number in the query."""
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or not least <= int(text) <= most:
        raise InvalidParameter(name, f"must be a whole number from {least} to {most}")
    return int(text)


def query_text(request: web.Request, name: str, *, longest: int, shortest: int = 0) -> str | None:
    """A text in the query; None where it is absent or, if it may be, empty."""
    text = request.query.get(name)
    if text is not None:
        if not shortest <= len(text) <= longest:
            raise InvalidParameter(name, f"must have {shortest} to {longest} characters")
        check_json(text)  # what cannot be stored is refused with its reason
    return text or None


def query_boolean(request: web.Request, name: str) -> bool:
    """A flag in the query: true or false."""
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise InvalidParameter(name, "must be true or false")
    return text == "true"


def query_time(request: web.Request, name: str) -> datetime | None:
    """A moment in the query (RFC 3339, with its zone); None where it is absent."""
    text = request.query.get(name)
    return None if text is None else parse_time(name, text)


_TIME = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
"""RFC 3339 section 5.6 in capitals; `fromisoformat` takes other forms of ISO 8601 too. The zone is
looked for by itself, because it is what people leave out."""


def parse_time(name: str, text: str) -> datetime:
    """A moment, aware, in UTC (RFC 3339 section 5.6)."""
    # A plus sign in a query arrives as a space.
    text = (text.replace(" ", "+") if text.count(" ") == 1 else text).upper()
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise InvalidParameter(name, "must name its zone, as in 2026-01-31T12:00:00Z")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidParameter(name, "must be a time, as in 2026-01-31T12:00:00Z") from None


def limit_of(request: web.Request) -> int:
    """How many items a page holds."""
    return query_integer(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)


def cursor_of(request: web.Request) -> Any:
    """What `page` put into the cursor; None on the first page."""
    text = request.query.get("cursor")
    if text is None:
        return None
    try:
        return orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        raise InvalidParameter("cursor", "is not one that this service gave") from None


def text_cursor_of(request: web.Request) -> str:
    """The id that `page` put into the cursor; empty on the first page."""
    after = cursor_of(request)
    if after is None:
        return ""
    if not isinstance(after, str) or "\0" in after:
        raise InvalidParameter("cursor", "is not one that this service gave")
    return after


def key_cursor(request: web.Request) -> str:
    """A cursor that is a config key; empty on the first page."""
    after = cursor_of(request)
    if after is None:
        return ""
    if not isinstance(after, str) or not after.isascii() or "\0" in after or len(after) > 200:
        raise InvalidParameter("cursor", "is not one that this service gave")
    return after


def number_cursor(request: web.Request) -> int | None:
    """A cursor that is a version or a sequence; None on the first page."""
    after = cursor_of(request)
    if after is not None and (type(after) is not int or not 0 <= after < 2**63):
        raise InvalidParameter("cursor", "is not one that this service gave")
    return after


def page(
    request: web.Request, items: list[Any], after: Any, position: int | None = None
) -> dict[str, Any]:
    """A page of a list; `after` is what the next page starts behind, None on the last.

    `position`: what a time in the query was resolved to. The next page is of that moment too, and
    the same time could mean a later one by then.
    """
    if after is None:
        return {"items": items, "next": None}
    cursor = base64.urlsafe_b64encode(orjson.dumps(after)).rstrip(b"=").decode()
    url = request.rel_url.update_query(cursor=cursor)
    if position is not None:
        url = url.without_query_params("at").update_query(position=position)
    return {"items": items, "next": str(url)}


def page_of(
    request: web.Request,
    rows: Sequence[Any],
    limit: int,
    view: Callable[[Any], dict[str, Any]],
    place: str = "id",
) -> dict[str, Any]:
    """A page of at most `limit` of `rows`, of which one more was asked for to see whether it
    is the last; `place` is the column that they are ordered by.
    """
    shown = rows[:limit]
    return page(request, [*map(view, shown)], shown[-1][place] if rows[limit:] else None)


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """JSON; times are written in RFC 3339 with Z."""
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
