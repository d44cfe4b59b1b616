"""Keywords of JSON Schema that we evaluate ourselves.

jsonschema's own versions of these use a backtracking regex engine, take quadratic time,
round decimals, or answer in random order. Everything else is left to jsonschema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from fractions import Fraction
from typing import Any

from jsonschema.exceptions import ValidationError
from referencing import Specification
from referencing.jsonschema import lookup_recursive_ref

from domain.schema_patterns import compile_pattern

Errors = Iterator[ValidationError]


def pattern(_: Any, source: str, instance: Any, __: Any) -> Errors:
    """`pattern`, in linear time where RE2 can express it."""
    if isinstance(instance, str) and not compile_pattern(source).search(instance):
        yield ValidationError("does not match the pattern")


def pattern_properties(validator: Any, patterns: Any, instance: Any, _: Any) -> Errors:
    """`patternProperties`, likewise."""
    if not isinstance(instance, dict):
        return
    for source, subschema in patterns.items():
        search = compile_pattern(source).search
        for name, value in instance.items():
            if search(name):
                yield from validator.descend(value, subschema, path=name, schema_path=source)


def _additional_names(instance: dict[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    properties = schema.get("properties", {})
    searches = [compile_pattern(each).search for each in schema.get("patternProperties", {})]
    for name in instance:
        if name not in properties and not any(search(name) for search in searches):
            yield name


def additional_properties(validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
    """`additionalProperties`: one error for each property that is too much, at its place."""
    if not isinstance(instance, dict) or subschema is True:
        return
    for name in _additional_names(instance, schema):
        if subschema is False:
            yield ValidationError("this property is not allowed", path=[name])
        else:
            yield from validator.descend(instance[name], subschema, path=name)


def required(_: Any, names: Any, instance: Any, __: Any) -> Errors:
    """`required`; an array from draft 4 on."""
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield ValidationError(f"the property {name[:100]!r} is required")


def multiple_of(_: Any, divisor: Any, instance: Any, __: Any) -> Errors:
    """`multipleOf` in exact decimals: 0.3 is a multiple of 0.1, as it is written."""
    if isinstance(instance, bool) or not isinstance(instance, int | float):
        return
    if (Fraction(repr(instance)) / Fraction(repr(divisor))).denominator != 1:
        yield ValidationError("not a multiple")


def unique_items(_: Any, unique: Any, instance: Any, __: Any) -> Errors:
    """`uniqueItems` in linear time."""
    if not unique or not isinstance(instance, list):
        return
    seen: dict[object, int] = {}
    for index, item in enumerate(instance):
        first = seen.setdefault(_comparable(item), index)
        if first != index:
            yield ValidationError(f"the items at {first} and {index} are equal")
            return


def _comparable(value: Any) -> object:
    """A hashable that is equal exactly where JSON Schema says so: 1 and 1.0 are, 1 and true not."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", tuple(_comparable(item) for item in value))
    if isinstance(value, dict):
        return ("object", frozenset((name, _comparable(item)) for name, item in value.items()))
    return value


class Unevaluated:
    """`unevaluatedProperties` and `unevaluatedItems` of drafts 2019-09 and 2020-12.

    What a keyword beside or below has looked at is found by walking the subschemas that
    hold for the instance (JSON Schema 2020-12 core, section 11).
    """

    def __init__(self, specification: Specification[Any], *, draft: int) -> None:
        self._specification = specification
        self._draft = draft

    def properties(self, validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
        if not isinstance(instance, dict):
            return
        evaluated = self._names(validator, instance, schema, own_keyword=True)
        for name, value in instance.items():
            if name in evaluated:
                continue
            if subschema is False:
                yield ValidationError("this property is not allowed", path=[name])
            else:
                yield from validator.descend(value, subschema, path=name)

    def items(self, validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
        if not isinstance(instance, list):
            return
        evaluated = self._indexes(validator, instance, schema, own_keyword=True)
        for index, value in enumerate(instance):
            if index in evaluated:
                continue
            if subschema is False:
                yield ValidationError("this item is not allowed", path=[index])
            else:
                yield from validator.descend(value, subschema, path=index)

    def _names(
        self, validator: Any, instance: dict[str, Any], schema: Any, *, own_keyword: bool = False
    ) -> Set[str]:
        if not isinstance(schema, dict):
            return frozenset()
        if "additionalProperties" in schema or (
            "unevaluatedProperties" in schema and not own_keyword
        ):
            return instance.keys()
        names = set(schema.get("properties", {})) & instance.keys()
        for source in schema.get("patternProperties", {}):
            search = compile_pattern(source).search
            names.update(name for name in instance if search(name))
        for below, inner in self._holding(validator, instance, schema):
            names |= self._names(inner, instance, below)
        return names

    def _indexes(
        self, validator: Any, instance: list[Any], schema: Any, *, own_keyword: bool = False
    ) -> Set[int]:
        if not isinstance(schema, dict):
            return frozenset()
        everything = frozenset(range(len(instance)))
        if "unevaluatedItems" in schema and not own_keyword:
            return everything
        indexes: set[int] = set()
        if self._draft >= 2020:
            if "items" in schema:
                return everything
            indexes.update(range(len(schema.get("prefixItems", ()))))
            if "contains" in schema:
                contains = schema["contains"]
                indexes.update(
                    index
                    for index, item in enumerate(instance)
                    if _holds(validator, item, contains)
                )
        elif "items" in schema:
            if not isinstance(schema["items"], list) or "additionalItems" in schema:
                return everything
            indexes.update(range(len(schema["items"])))
        for below, inner in self._holding(validator, instance, schema):
            indexes |= self._indexes(inner, instance, below)
        return indexes

    def _holding(
        self, validator: Any, instance: Any, schema: dict[str, Any]
    ) -> Iterator[tuple[Any, Any]]:
        """The subschemas for the same instance that hold, each with its validator."""
        for resolved in self._references(validator, schema):
            inner = validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
            yield resolved.contents, inner
        for below in self._in_place(validator, instance, schema):
            resource = self._specification.create_resource(below)
            resolver = validator._resolver.in_subresource(resource)
            yield below, validator.evolve(schema=below, _resolver=resolver)

    def _references(self, validator: Any, schema: dict[str, Any]) -> Iterator[Any]:
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in schema and (keyword == "$ref" or self._draft >= 2020):
                yield validator._resolver.lookup(schema[keyword])
        if "$recursiveRef" in schema and self._draft == 2019:
            yield lookup_recursive_ref(validator._resolver)

    @staticmethod
    def _in_place(validator: Any, instance: Any, schema: dict[str, Any]) -> Iterator[Any]:
        # Only a choice is asked whether it holds: where any of the others does not, nor does the
        # whole, and what it looked at is wrong for its own reason.
        yield from schema.get("allOf", ())
        for keyword in ("anyOf", "oneOf"):
            for below in schema.get(keyword, ()):
                if _holds(validator, instance, below):
                    yield below
        if "if" in schema:
            holds = _holds(validator, instance, schema["if"])
            if holds:
                yield schema["if"]
            branch = schema.get("then" if holds else "else")
            if branch is not None:
                yield branch
        if isinstance(instance, dict):
            for name, below in schema.get("dependentSchemas", {}).items():
                if name in instance:
                    yield below


def _holds(validator: Any, instance: Any, schema: Any) -> bool:
    return next(validator.descend(instance, schema), None) is None
