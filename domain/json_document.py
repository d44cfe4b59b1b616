"""I-JSON documents (RFC 7493): parsed once, strictly, with the place of every fault.

A JSONB column, or a client in another language, would silently change or refuse what
I-JSON forbids. So what is accepted here comes back equal, for ever; nothing is repaired.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, ClassVar

import orjson

from domain.errors import MalformedJson, NotIJson

MAX_DEPTH = 100
"""Arrays and objects within one another; deeper documents are refused (RFC 8259 section 9)."""

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

# Strings are matched whole, also an unterminated one: possessive, so that the scan is linear.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)

# U+0000 (JSONB refuses it), surrogates and noncharacters (RFC 7493 section 2.1).
_FORBIDDEN = re.compile(
    "[\\x00\\ud800-\\udfff\\ufdd0-\\ufdef"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17))
    + "]"
)


class _Fault:
    """Stands in the parsed tree where I-JSON is broken, until the walk has found its place."""

    __slots__ = ("detail", "name")
    newest: ClassVar[_Fault | None] = None
    """The last of this process: where it is the same as before, a document has none."""

    def __init__(self, detail: str, name: str | None = None) -> None:
        self.detail = detail
        self.name = name
        _Fault.newest = self


def _integer(text: str) -> int | _Fault:
    # A 64-bit integer has at most 19 digits and a sign; longer text is never converted,
    # because Python's conversion costs time quadratic in the digits.
    if len(text) > 20 or not _INT64_MIN <= (value := int(text)) <= _INT64_MAX:
        return _Fault("an integer beyond 64 bits")
    return value


def _number(text: str) -> float | _Fault:
    value = float(text)
    # Too small is out of range as too large is: it would come back as 0.
    lost = not value and text.lower().partition("e")[0].strip("-0.")
    if lost or not math.isfinite(value):
        return _Fault("a number beyond the range of a double")
    return value


def _constant(text: str) -> _Fault:
    return _Fault(f"{text} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Fault:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return _Fault("a duplicate name", name)
        seen.add(name)
    raise AssertionError("a shorter dict without a duplicate name")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def parse_json(raw: bytes | str, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse an I-JSON document from UTF-8 bytes.

    Raises MalformedJson with line and column for what is not JSON, NotIJson with a JSON
    Pointer for what I-JSON forbids: duplicate names, NaN and infinities, integers beyond
    signed 64 bits, numbers beyond a double, U+0000, lone surrogates, noncharacters, and
    (RFC 8259 section 9) nesting deeper than `max_depth`.
    """
    data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    _check_depth(data, max_depth)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise MalformedJson("bytes that are not UTF-8", line, column) from None
    if text.startswith("\ufeff"):
        raise MalformedJson("a byte order mark", 1, 1)
    newest = _Fault.newest
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")  # of one of the library's messages
        raise MalformedJson(what, error.lineno, error.colno) from None
    # Most need no walk: what a text must not hold is either no ASCII or sent as an escape.
    if _Fault.newest is not newest or not data.isascii() or rb"\u" in data:
        check_json(value)
    return value


def _check_depth(data: bytes, max_depth: int) -> None:
    if data.count(b"[") + data.count(b"{") <= max_depth:
        return  # of most: it cannot be deeper than it has brackets, and counting costs nothing
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(data):
        token = match[0]
        if token in (b"[", b"{"):
            depth += 1
            if depth > max_depth:
                line = data.count(b"\n", 0, match.start()) + 1
                column = match.start() - data.rfind(b"\n", 0, match.start())
                raise NotIJson(f"nesting deeper than {max_depth} (line {line} column {column})", "")
        elif token in (b"]", b"}"):
            depth -= 1


def check_json(value: Any) -> None:
    """Raise NotIJson if a parsed value holds what I-JSON forbids, with its place.

    For values that did not come through `parse_json` (the result of a patch).
    Iterative, and bounded by the depth that `parse_json` admits.
    """
    stack: list[tuple[Any, str]] = [(value, "")]
    while stack:
        node, pointer = stack.pop()
        if isinstance(node, str):
            _check_text(node, pointer, "a string")
        elif isinstance(node, dict):
            for name, child in node.items():
                _check_text(name, pointer, "a name")
                stack.append((child, f"{pointer}/{_escape(name)}"))
        elif isinstance(node, list):
            stack.extend((child, f"{pointer}/{index}") for index, child in enumerate(node))
        elif isinstance(node, _Fault):
            if node.name is not None:
                _check_text(node.name, pointer, "a name")
                pointer = f"{pointer}/{_escape(node.name)}"
            raise NotIJson(node.detail, pointer)
        elif isinstance(node, float):
            if not math.isfinite(node):
                raise NotIJson("a number beyond the range of a double", pointer)
        elif isinstance(node, int) and not _INT64_MIN <= node <= _INT64_MAX:
            raise NotIJson("an integer beyond 64 bits", pointer)


def _check_text(text: str, pointer: str, what: str) -> None:
    # The library's ASCII test is much quicker than the pattern; U+0000 is ASCII too.
    if text.isascii() and "\x00" not in text:
        return
    if found := _FORBIDDEN.search(text):
        raise NotIJson(f"U+{ord(found[0]):04X} in {what}", pointer)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def encode_json(value: Any) -> bytes:
    """The normalised bytes of a value: UTF-8, no white space, names in the given order."""
    return orjson.dumps(value)


def trimmed(data: bytes) -> bytes:
    """The same bytes without room behind them, for what is kept long: orjson hands over its whole
    buffer, 4 KiB for the smallest document."""
    return bytes(memoryview(data))


def decode_json(data: bytes) -> Any:
    """The value of bytes that `encode_json` made; never for what comes from outside."""
    return orjson.loads(data)
