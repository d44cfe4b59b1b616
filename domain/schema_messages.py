"""Turns jsonschema's errors into violations: bounded, and never echoing a whole content."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from domain.schema_outcomes import Violation

_SHOWN_CHARACTERS: Final = 60
_MAX_MESSAGE_CHARACTERS: Final = 300
_MAX_ALTERNATIVES_DEPTH: Final = 3


def show(value: Any) -> str:
    """The start of a scalar, or what kind of container it is."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return json.dumps(value[:_SHOWN_CHARACTERS], ensure_ascii=False) + "…"
    return json.dumps(value, ensure_ascii=False)


def _show_all(values: Any) -> str:
    shown = [show(value) for value in values[:8]]
    return ", ".join(shown) + (f" and {len(values) - 8} more" if len(values) > 8 else "")


def _types(error: Any) -> str:
    expected = error.validator_value
    return expected if isinstance(expected, str) else " or ".join(map(str, expected))


def _size(one: str, more: str, bound: str) -> Callable[[Any], str]:
    def message(error: Any) -> str:
        count = len(error.instance)
        return f"has {count} {one if count == 1 else more}; the {bound} is {error.validator_value}"

    return message


def _compared(words: str) -> Callable[[Any], str]:
    return lambda error: f"{show(error.instance)} is {words} {error.validator_value}"


def _bound(words: str, exclusive: str, words_if_exclusive: str) -> Callable[[Any], str]:
    """Of draft 4, where the keyword `exclusive` beside the bound may say that it is too much."""
    inclusive, strict = _compared(words), _compared(words_if_exclusive)
    return lambda error: (strict if error.schema.get(exclusive) is True else inclusive)(error)


_MESSAGES: Final[dict[str, Callable[[Any], str]]] = {
    "type": lambda error: f"{show(error.instance)} is not of type {_types(error)}",
    "enum": lambda error: (
        f"{show(error.instance)} is not one of {_show_all(error.validator_value)}"
    ),
    "const": lambda error: f"{show(error.instance)} is not {show(error.validator_value)}",
    "pattern": lambda error: (
        f"{show(error.instance)} does not match the pattern {show(error.validator_value)}"
    ),
    "format": lambda error: f"{show(error.instance)} is not a valid {error.validator_value}",
    "multipleOf": _compared("not a multiple of"),
    "minimum": _bound("below the minimum of", "exclusiveMinimum", "not above"),
    "maximum": _bound("above the maximum of", "exclusiveMaximum", "not below"),
    "exclusiveMinimum": _compared("not above"),
    "exclusiveMaximum": _compared("not below"),
    "minLength": _size("character", "characters", "minimum"),
    "maxLength": _size("character", "characters", "maximum"),
    "minItems": _size("item", "items", "minimum"),
    "maxItems": _size("item", "items", "maximum"),
    "minProperties": _size("property", "properties", "minimum"),
    "maxProperties": _size("property", "properties", "maximum"),
    "contains": lambda _: "no item is of the form that the array must contain",
    "minContains": lambda error: (
        f"fewer than {error.validator_value} items are of the form that the array must contain"
    ),
    "maxContains": lambda error: (
        f"more than {error.validator_value} items are of the form that the array must contain"
    ),
    "not": lambda error: f"{show(error.instance)} is of the form that is ruled out",
    "items": lambda _: "more items than are allowed",
    "additionalItems": lambda _: "more items than are allowed",
}


def describe(error: Any) -> Violation:
    """One violation from a `jsonschema.ValidationError`."""
    keyword = error.validator if isinstance(error.validator, str) else "false"
    pointer = to_pointer(error.absolute_path)
    return Violation(pointer, keyword, _message(error, 0)[:_MAX_MESSAGE_CHARACTERS])


def to_pointer(path: Iterable[str | int]) -> str:
    """A JSON Pointer (RFC 6901) from its parts."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _message(error: Any, depth: int) -> str:
    keyword = error.validator
    if keyword is None:
        return "nothing is allowed here"
    if keyword in ("anyOf", "oneOf"):
        return _alternatives(error, depth)
    told = _MESSAGES.get(keyword)
    return told(error) if told is not None else str(error.message)


def _alternatives(error: Any, depth: int) -> str:
    count = len(error.validator_value)
    if not error.context:
        return f"{show(error.instance)} is of more than one of the {count} forms"
    message = f"{show(error.instance)} is of none of the {count} forms"
    if depth >= _MAX_ALTERNATIVES_DEPTH:
        return message
    # Whoever got furthest into the content is the form that was meant, most likely.
    nearest = max(error.context, key=lambda each: len(each.path))
    place = to_pointer(nearest.path)
    return f"{message}; nearest: {f'at {place}: ' if place else ''}{_message(nearest, depth + 1)}"
