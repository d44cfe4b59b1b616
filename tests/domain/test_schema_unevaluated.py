"""What `unevaluatedProperties` and `unevaluatedItems` leave to others, keyword by keyword.

The walk is our own (`domain.schema_keywords`): one that counts too much lets contents through that
the schema forbids. Each row is of JSON Schema core, section 11 (2019-09: 9.3).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.config_schema import compile_schema

D2019 = "https://json-schema.org/draft/2019-09/schema"
D2020 = "https://json-schema.org/draft/2020-12/schema"
BOTH = (D2019, D2020)
A: dict[str, Any] = {"properties": {"a": {}}}
CHOICE = [
    {"properties": {"a": {"const": 1}}, "required": ["a"]},
    {"properties": {"b": {}}, "required": ["b"]},
]
CONDITION = {
    "if": {"properties": {"k": {"const": "x"}}, "required": ["k"]},
    "then": {"properties": {"t": {"type": "integer"}}},
    "else": {"properties": {"e": {}}},
}
TREE = {"properties": {"n": {"$recursiveRef": "#", "unevaluatedProperties": False}, "a": {}}}

# Of each the schema beside the keyword, what is left to it alone, and contents of which it forbids
# something.
PROPERTIES: list[tuple[tuple[str, ...], dict[str, Any], list[Any], list[Any]]] = [
    (BOTH, {}, [{}, [1], "a"], [{"a": 1}]),
    (BOTH, A, [{"a": 1}], [{"a": 1, "b": 1}]),
    (BOTH, {"allOf": [A]}, [{"a": 1}], [{"b": 1}]),
    (BOTH, {"allOf": [{"unevaluatedProperties": True}]}, [{"z": 1}], []),
    (BOTH, {"patternProperties": {"^a": {}}}, [{"ab": 1}], [{"ba": 1}]),
    (BOTH, {"$ref": "#/$defs/a", "$defs": {"a": A}}, [{"a": 1}], [{"b": 1}]),
    # Only what holds has looked.
    (BOTH, {"anyOf": CHOICE}, [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 2, "b": 1}]),
    (BOTH, {"oneOf": CHOICE}, [{"a": 1}, {"b": 1}], [{"a": 2, "b": 1}, {"b": 1, "c": 1}]),
    (BOTH, {"not": {"not": A}}, [{}], [{"a": 1}]),
    (BOTH, {"allOf": [True, A]}, [{"a": 1}], [{"b": 1}]),
    (BOTH, {"allOf": [False]}, [], [{}, {"a": 1}]),
    (BOTH, CONDITION, [{"k": "x", "t": 1}, {"e": 1}], [{"k": "x", "e": 1}, {"t": 1}, {"k": "y"}]),
    (BOTH, {**A, "dependentSchemas": {"a": {"properties": {"b": {}}}}},
     [{"a": 1, "b": 1}], [{"b": 1}]),
    ((D2020,), {"$dynamicRef": "#n", "$defs": {"n": A | {"$dynamicAnchor": "n"}}},
     [{"a": 1}], [{"b": 1}]),
    # Keywords of the other draft are none.
    ((D2019,), {"$dynamicRef": "#/$defs/a", "$defs": {"a": A}}, [{}], [{"a": 1}]),
    ((D2019,), TREE | {"$recursiveAnchor": True}, [{"n": {"a": 1}}], [{"n": {"b": 1}}]),
    ((D2020,), TREE, [{"n": {}}], [{"n": {"a": 1}}]),
]  # fmt: skip
ITEMS: list[tuple[tuple[str, ...], dict[str, Any], list[Any], list[Any]]] = [
    (BOTH, {}, [[], {"a": 1}, "a"], [[1]]),
    (BOTH, {"items": {"type": "integer"}}, [[1, 2]], [["x"]]),
    (BOTH, {"allOf": [{"unevaluatedItems": True}]}, [[1]], []),
    ((D2019,), {"items": [{}]}, [[1]], [[1, 2]]),
    ((D2019,), {"items": [{}], "additionalItems": {"type": "string"}}, [[1, "x"]], [[1, 2]]),
    ((D2019,), {"additionalItems": {}}, [[]], [[1]]),
    ((D2019,), {"allOf": [{"items": [{}]}]}, [[1]], [[1, 2]]),
    ((D2019,), {"contains": {"const": 1}, "minContains": 0}, [[]], [[1]]),
    ((D2020,), {"contains": {"const": 1}}, [[1, 1]], [[1, 2]]),
    ((D2020,), {"allOf": [{"prefixItems": [{}]}]}, [[1]], [[1, 2]]),
    ((D2020,), {"prefixItems": [{}], "items": {"type": "integer"}}, [["x", 1]], [[1, "x"]]),
    ((D2020,), {"anyOf": [{"prefixItems": [{"const": 1}]}, {}]}, [[1]], [[2]]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("keyword", "dialect", "schema", "good", "bad"),
    [
        (keyword, dialect, schema, good, bad)
        for keyword, table in (("unevaluatedProperties", PROPERTIES), ("unevaluatedItems", ITEMS))
        for dialects, schema, good, bad in table
        for dialect in dialects
    ],
)
def test_what_others_have_looked_at_is_left_to_them(
    keyword: str, dialect: str, schema: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    whole = compile_schema(json.dumps({"$schema": dialect, **schema, keyword: False}))
    assert [content for content in good if whole.validate(content)] == []
    assert [content for content in bad if not whole.validate(content)] == []


def test_what_nobody_has_looked_at_is_held_to_the_schema_at_its_place() -> None:
    schema = {"properties": {"a": {}}, "unevaluatedProperties": {"unevaluatedItems": False}}
    whole = compile_schema(json.dumps(schema))
    assert whole.validate({"a": [1], "b": []}) == []
    found = whole.validate({"b": [1]})
    assert [(each.pointer, each.message) for each in found] == [
        ("/b/0", "this item is not allowed")
    ]


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"a": {"type": "string"}}}]},
        {"if": True, "then": {"properties": {"a": {"type": "string"}}}},
        {"dependentSchemas": {"a": {"properties": {"a": {"type": "string"}}}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"type": "string"}}}}},
    ],
)
def test_what_is_wrong_for_its_own_reason_is_told_once(dialect: str, schema: Any) -> None:
    whole = compile_schema(
        json.dumps({"$schema": dialect, **schema, "unevaluatedProperties": False})
    )
    found = whole.validate({"a": 1})
    assert [(each.pointer, each.keyword) for each in found] == [("/a", "type")]
