"""What the pool and a worker say to each other over the worker's stdin and stdout.

Only lengths and bytes, and JSON for what is small. One request at a time.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

_REQUEST = struct.Struct("<cdIII")
_REPLY = struct.Struct("<I")
MAX_PART_BYTES: Final = 64 * 1024 * 1024
"""A length beyond this is a broken pipe of ours, not a request."""
REPLY_HEADER_BYTES: Final = _REPLY.size


class Operation(StrEnum):
    """What a worker can do."""

    CHECK = "c"
    """Compile the schema whole. Replies with its dialect."""
    VALIDATE = "v"
    """Hold the content to a schema that was checked before. Replies with the violations."""
    PARSE = "p"
    """Whether the content is I-JSON. Replies with where the member named in place of a schema
    stands in its text, None if there is none."""


class Outcome(StrEnum):
    """The kinds of replies: the single name in a reply's object."""

    READY = "ready"
    DIALECT = "dialect"
    VIOLATIONS = "violations"
    PARSED = "parsed"
    MALFORMED = "malformed"
    NOT_I_JSON = "not-i-json"
    INVALID = "invalid"
    EXPENSIVE = "expensive"
    BROKEN = "broken"
    """A fault of ours: an exception that nobody expected. Its kind and place, no content."""
    DIED = "died"
    """The process that worked was ended by this signal."""


@dataclass(frozen=True, slots=True)
class Request:
    """One piece of work."""

    operation: Operation
    cpu_s: float
    """Processor time that it may take, in seconds."""
    schema: bytes
    content: bytes
    max_depth: int = 0
    """Of a document to be parsed."""

    def encode(self) -> bytes:
        head = _REQUEST.pack(
            self.operation.encode(),
            self.cpu_s,
            self.max_depth,
            len(self.schema),
            len(self.content),
        )
        return head + self.schema + self.content


def read_request(descriptor: int) -> Request | None:
    """Read the next request, blocking; None at the end of the stream."""
    head = _read_exactly(descriptor, _REQUEST.size)
    if not head:
        return None
    operation, cpu_s, max_depth, schema_bytes, content_bytes = _REQUEST.unpack(head)
    if max(schema_bytes, content_bytes) > MAX_PART_BYTES:
        raise EOFError("the stream of requests is broken")
    schema = _read_exactly(descriptor, schema_bytes)
    content = _read_exactly(descriptor, content_bytes)
    return Request(Operation(operation.decode()), cpu_s, schema, content, max_depth)


def write_reply(descriptor: int, outcome: Outcome, value: Any) -> None:
    """Write one reply, blocking."""
    body = orjson.dumps({outcome.value: value})
    data = memoryview(_REPLY.pack(len(body)) + body)
    while data:
        data = data[os.write(descriptor, data) :]


def reply_length(header: bytes) -> int:
    """The length of the reply's body. Raises EOFError if the stream is broken."""
    length: int = _REPLY.unpack(header)[0]
    if length > MAX_PART_BYTES:
        raise EOFError("the stream of replies is broken")
    return length


def decode_reply(body: bytes) -> tuple[Outcome, Any]:
    """The kind and the value of a reply."""
    ((name, value),) = orjson.loads(body).items()
    return Outcome(name), value


def _read_exactly(descriptor: int, size: int) -> bytes:
    """`size` bytes; nothing if the stream ends before the first of them."""
    parts: list[bytes] = []
    missing = size
    while missing:
        part = os.read(descriptor, missing)
        if not part:
            if parts:
                raise EOFError("the stream ended inside a request")
            return b""
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
