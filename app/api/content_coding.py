"""Content codings of request bodies (RFC 9110, section 8.4.1), unpacked by ourselves.

aiohttp would unpack them while it reads: what it cannot unpack breaks the connection, and it takes
a gzip body that was cut short for a whole one. Must never unpack more than the body's limit.
"""

from __future__ import annotations

import zlib

from aiohttp import web

from app.errors import BodyTooLarge, MalformedBody, UnsupportedContentCoding

IDENTITY = "identity"
CODINGS = (IDENTITY, "gzip", "deflate")
_GZIP_BITS = 16 + zlib.MAX_WBITS
_ZLIB_METHOD = 8


def coding_of(request: web.Request) -> str:
    """The one coding of the body. Raises UnsupportedContentCoding."""
    given = ", ".join(request.headers.getall("Content-Encoding", ())).strip().lower() or IDENTITY
    if given not in CODINGS:
        raise UnsupportedContentCoding(given, CODINGS)
    return given


def unpacked(body: bytes, coding: str, limit_bytes: int) -> bytes:
    """The body as it was before it was coded. Raises MalformedBody, BodyTooLarge.

    It must be one whole stream and nothing else: gzip's checksum then proves that it is all there.
    """
    if coding == IDENTITY:
        return body
    bits = _GZIP_BITS
    if coding == "deflate":
        # Some clients leave the zlib header out, whose first half byte is the method.
        headed = body[:1] and body[0] & 0xF == _ZLIB_METHOD
        bits = zlib.MAX_WBITS if headed else -zlib.MAX_WBITS
    stream = zlib.decompressobj(bits)
    try:
        plain = stream.decompress(body, limit_bytes + 1)
    except zlib.error:
        raise MalformedBody(f"the body is not what its Content-Encoding says: {coding}") from None
    if len(plain) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    if not stream.eof or stream.unused_data:
        raise MalformedBody(f"the body is not one whole {coding} stream")
    return plain
