"""JSON Merge Patch (RFC 7396), JSON Patch (RFC 6902) and the difference of two documents.

Patches come from outside: every one ends with a result or with PatchFailed, within bounds
of memory and time. Must never change a value that it was given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import json_merge_patch
import jsonpatch
import jsonpointer
import orjson

from domain.errors import NotIJson, PatchFailed
from domain.json_document import MAX_DEPTH, check_json, decode_json

MAX_DETAIL_CHARS = 300
COPY_BUDGET = 4
"""A patch may copy this many times what a document may have at most ("copy" can double it)."""
MAX_DIFF_NODES = 20_000
"""Values in both documents together; the difference of larger ones is one replacement.
The library needs up to 0.2 ms for each."""
CONTENT_DEPTH = MAX_DEPTH - 1
"""What a PUT admits, whose body is one level deeper than its content."""

_REFUSALS = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    orjson.JSONEncodeError,
    # What the library lets through on odd operations and documents.
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    RecursionError,
)


def merge_patch(document: bytes, patch: bytes) -> Any:
    """The document with a merge patch applied (RFC 7396 section 2). Raises NotIJson.

    Both as JSON; `document` is trusted, `patch` was parsed before, so its depth is bounded.
    """
    # The library changes its first argument and takes parts of the second into it.
    return _checked(json_merge_patch.merge(decode_json(document), decode_json(patch)))


def json_patch(document: bytes, operations: Any, *, max_bytes: int) -> Any:
    """The document with a JSON patch applied (RFC 6902 section 3).

    `max_bytes` is what a document may have. Raises PatchFailed with the operation's index,
    NotIJson for a result that may not be stored.
    """
    if not isinstance(operations, list):
        raise PatchFailed("a JSON patch is an array of operations (RFC 6902 section 3)")
    value = decode_json(document)
    budget = COPY_BUDGET * max_bytes
    for index, operation in enumerate(operations):
        try:
            if isinstance(operation, dict) and operation.get("op") == "copy":
                budget -= _size_of_copy(value, operation)
                if budget < 0:
                    raise ValueError("the patch copies too much")
            value = jsonpatch.JsonPatch([operation]).apply(value, in_place=True)
        except _REFUSALS as error:
            raise PatchFailed(_detail(error, operation), index) from error
    return _checked(value)


def _size_of_copy(value: Any, operation: dict[str, Any]) -> int:
    pointer = operation.get("from")
    if not isinstance(pointer, str):
        raise ValueError("a copy needs a 'from' member")
    return len(orjson.dumps(jsonpointer.resolve_pointer(value, pointer)))


def _detail(error: Exception, operation: Any) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    if not isinstance(operation, dict):
        return "must be an object"
    # The library's own texts show values, or the whole document, as Python writes them.
    text = str(error) or type(error).__name__
    if (named := text.partition(" not found in "))[1]:
        text = f"{named[0]} is not there"
    elif "does not support indexing" in text or "to non-container type" in text:
        text = "its path leads into what is no object or array"
    elif isinstance(error, jsonpatch.JsonPatchTestFailed):
        text = "there is another value than the one it tests for"
    return text if len(text) <= MAX_DETAIL_CHARS else text[: MAX_DETAIL_CHARS - 1] + "…"


def _checked(value: Any) -> Any:
    _check_depth(value)
    check_json(value)
    return value


def _check_depth(value: Any) -> None:
    """Breadth first, a level at a time, so that no depth can exhaust the stack."""
    level, depth = _containers([value]), 0
    while level:
        depth += 1
        if depth > CONTENT_DEPTH:
            raise NotIJson(f"nesting deeper than {CONTENT_DEPTH}", "")
        level = _containers(
            child for node in level for child in (node.values() if isinstance(node, dict) else node)
        )


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]


def diff(
    before: bytes | None, after: bytes | None, *, coarse: bool = False
) -> list[dict[str, Any]]:
    """The JSON patch (RFC 6902) that makes `after` of `before`; None: there is no document.

    Applied to `before` it gives `after` exactly. Not always the shortest: of large documents
    (and of all, if `coarse`) it is one replacement of the whole, which costs little time.
    """
    if before is None or after is None:
        if after is not None:
            return [{"op": "add", "path": "", "value": decode_json(after)}]
        return [] if before is None else [{"op": "remove", "path": ""}]
    if before == after:
        return []
    new = decode_json(after)
    if coarse:
        return [{"op": "replace", "path": "", "value": new}]
    old = decode_json(before)
    room = MAX_DIFF_NODES - _count(old, MAX_DIFF_NODES)
    if room <= 0 or _count(new, room) >= room:
        return [{"op": "replace", "path": "", "value": new}]
    operations: list[dict[str, Any]] = jsonpatch.make_patch(old, new).patch
    return operations


def _count(value: Any, enough: int) -> int:
    """How many values a document has, itself included; counts no further than `enough`."""
    stack, count = [value], 0
    while stack and count < enough:
        node = stack.pop()
        count += 1
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return count
