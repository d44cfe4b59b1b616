"""The JSON Schema dialects that are supported, each with everything that depends on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

import attrs
import jsonschema.validators as library
import referencing.jsonschema as reference
from jsonschema import FormatChecker
from referencing import Specification

from domain import schema_keywords as keywords
from domain.schema_formats import format_checker
from domain.schema_outcomes import InvalidSchema

DEFAULT_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_IN_VALUE = {
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if",
    "items", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip
_IN_ARRAY = {"allOf", "anyOf", "items", "oneOf", "prefixItems"}
_IN_MAP = {
    "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties",
}  # fmt: skip
_SINCE: Final = {
    "contains": 6, "propertyNames": 6, "if": 7, "then": 7, "else": 7, "$defs": 2019,
    "contentSchema": 2019, "dependentSchemas": 2019, "unevaluatedItems": 2019,
    "unevaluatedProperties": 2019, "prefixItems": 2020,
}  # fmt: skip
_UNTIL: Final = {"dependencies": 7, "additionalItems": 2019}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One draft of JSON Schema."""

    uri: str
    draft: int
    """4, 6, 7, 2019 or 2020."""
    validator: Any
    """jsonschema's validator class with our keywords in it."""
    meta_validator: Any
    """jsonschema's own class, which checks a schema against the meta-schema."""
    specification: Specification[Any]
    formats: FormatChecker

    @property
    def ref_hides_siblings(self) -> bool:
        """Up to draft 7 nothing beside a `$ref` counts."""
        return self.draft <= 7

    def subschemas(self, schema: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Every direct subschema of `schema` with its place (names and indexes)."""
        for name, value in schema.items():
            if _SINCE.get(name, 0) > self.draft or _UNTIL.get(name, 9999) < self.draft:
                continue
            if name in _IN_VALUE and isinstance(value, dict | bool):
                yield (name,), value
            elif name in _IN_ARRAY and isinstance(value, list):
                for index, each in enumerate(value):
                    yield (name, str(index)), each
            elif name in _IN_MAP and isinstance(value, dict):
                for key, each in value.items():
                    # An array here is a draft-7 dependency on names, not a schema.
                    if isinstance(each, dict | bool):
                        yield (name, key), each


_SUPPORTED: Final = {
    4: ("http://json-schema.org/draft-04/schema", library.Draft4Validator, reference.DRAFT4),
    6: ("http://json-schema.org/draft-06/schema", library.Draft6Validator, reference.DRAFT6),
    7: ("http://json-schema.org/draft-07/schema", library.Draft7Validator, reference.DRAFT7),
    2019: (
        "https://json-schema.org/draft/2019-09/schema",
        library.Draft201909Validator,
        reference.DRAFT201909,
    ),
    2020: (DEFAULT_DIALECT, library.Draft202012Validator, reference.DRAFT202012),
}  # fmt: skip
_DRAFT_OF: Final = {uri: draft for draft, (uri, _, _) in _SUPPORTED.items()}


def dialect_of(schema: Any) -> Dialect:
    """The dialect that `schema` names in `$schema`; 2020-12 if none. Raises InvalidSchema."""
    named = schema.get("$schema", DEFAULT_DIALECT) if isinstance(schema, dict) else DEFAULT_DIALECT
    draft = _DRAFT_OF.get(named.removesuffix("#")) if isinstance(named, str) else None
    if draft is None:
        known = ", ".join(_DRAFT_OF)
        raise InvalidSchema(f"unknown dialect; $schema may be one of {known}", "/$schema")
    return _dialect(draft)


@cache
def _dialect(draft: int) -> Dialect:
    uri, base, stock_specification = _SUPPORTED[draft]
    overrides: dict[str, Any] = {
        "pattern": keywords.pattern,
        "patternProperties": keywords.pattern_properties,
        "additionalProperties": keywords.additional_properties,
        "required": keywords.required,
        "multipleOf": keywords.multiple_of,
        "uniqueItems": keywords.unique_items,
    }
    if draft >= 2019:
        unevaluated = keywords.Unevaluated(stock_specification, draft=draft)
        overrides["unevaluatedProperties"] = unevaluated.properties
        overrides["unevaluatedItems"] = unevaluated.items
    formats = format_checker(base.FORMAT_CHECKER, draft=draft)
    dialect = Dialect(
        uri=uri,
        draft=draft,
        validator=cast(Any, library).extend(base, overrides),
        meta_validator=base,
        specification=stock_specification,
        formats=formats,
    )
    # The library's own walk breaks on a `dependencies` that mixes names and schemas, and
    # on draft 4's booleans. Only objects can hold an identifier.
    specification = attrs.evolve(
        cast(Any, stock_specification),
        subresources_of=lambda schema: (
            [each for _, each in dialect.subschemas(schema) if isinstance(each, dict)]
            if isinstance(schema, dict)
            else []
        ),
    )
    return dataclasses.replace(dialect, specification=specification)
