"""Goal: a schema that is stored can always be evaluated, as its draft says, without the network."""

import contextlib
import json
import socket
import urllib.request
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.config_schema import CompiledSchema, compile_schema
from domain.schema_outcomes import MAX_VIOLATIONS, InvalidSchema, SchemaTooExpensive

D4 = "http://json-schema.org/draft-04/schema#"
D6 = "http://json-schema.org/draft-06/schema#"
D7 = "http://json-schema.org/draft-07/schema#"
D2019 = "https://json-schema.org/draft/2019-09/schema"
D2020 = "https://json-schema.org/draft/2020-12/schema"
ALL = [D4, D6, D7, D2019, D2020]


def compiled(schema: Any, dialect: str | None = None) -> CompiledSchema:
    if dialect is not None:
        schema = {"$schema": dialect, **schema}
    return compile_schema(json.dumps(schema))


def holds(schema: Any, content: Any, dialect: str | None = None) -> bool:
    return not compiled(schema, dialect).validate(content)


def refusal(schema: Any, dialect: str | None = None) -> InvalidSchema:
    with pytest.raises(InvalidSchema) as refused:
        compiled(schema, dialect)
    return refused.value


@pytest.mark.parametrize("dialect", ALL)
def test_every_draft_accepts_and_refuses(dialect: str) -> None:
    schema = {
        "type": "object",
        "required": ["rate"],
        "properties": {
            "rate": {"type": "number", "multipleOf": 0.01, "minimum": 0},
            "mode": {"enum": ["fast", 1, True, None]},
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        },
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
    }
    good: list[Any] = [{"rate": 0.07}, {"rate": 3, "mode": None, "tags": ["a"], "x-y": [1]}]
    bad: list[Any] = [
        {}, [], {"rate": -1}, {"rate": 0.015}, {"rate": True}, {"rate": 1, "mode": False},
        {"rate": 1, "tags": ["a", "a"]}, {"rate": 1, "tags": [1]}, {"rate": 1, "y": 1},
    ]  # fmt: skip
    schema_object = compiled(schema, dialect)
    assert schema_object.dialect == dialect.removesuffix("#")
    assert [schema_object.validate(content) for content in good] == [[], []]
    assert all(schema_object.validate(content) for content in bad)


@pytest.mark.parametrize(
    ("dialect", "schema", "good", "bad"),
    [
        (D4, {"maximum": 3, "exclusiveMaximum": True}, 2.9, 3),
        (D6, {"exclusiveMaximum": 3}, 2.9, 3),
        (D6, {"contains": {"const": 1}}, [0, 1.0], [True]),
        (D6, {"propertyNames": {"maxLength": 2}}, {"ab": 1}, {"abc": 1}),
        (D7, {"if": {"type": "string"}, "then": {"minLength": 2}}, "ab", "a"),
        (D7, {"dependencies": {"a": {"required": ["b"]}, "c": ["d"]}}, {"c": 1, "d": 1}, {"c": 1}),
        (D7, {"items": [{"type": "string"}], "additionalItems": False}, ["a"], ["a", 1]),
        (D7, {"$ref": "#/definitions/a", "definitions": {"a": {"type": "string"}}, "maxLength": 1},
         "sibling of $ref is ignored", 1),
        # What nobody evaluates refers to nothing, and runs in no circle.
        (D7, {"$ref": "#/definitions/a", "definitions": {"a": {"type": "string"}},
              "allOf": [{"$ref": "#"}]}, "a", 1),
        (D7, {"$dynamicRef": "#none", "$recursiveRef": "#none", "type": "string"}, "a", 1),
        (D2020, {"$recursiveRef": "#none", "dependencies": {"a": {"$ref": "#none"}},
                 "type": "string"}, "a", 1),
        (D2019, {"dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
        (D2019, {"contains": {"type": "string"}, "minContains": 2}, ["a", "b"], ["a", 1]),
        (D2019, {"$anchor": "n", "properties": {"n": {"$ref": "#n"}}, "type": "object"},
         {"n": {}}, {"n": 1}),
        (D2019, {"$recursiveAnchor": True, "additionalProperties": {"$recursiveRef": "#"},
                 "type": ["object", "null"]}, {"a": {"b": None}}, {"a": {"b": 1}}),
        (D2019, {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
         {"a": 1}, {"b": 1}),
        (D2019, {"additionalProperties": {"type": "string"}, "unevaluatedProperties": False},
         {"x": "y"}, {"x": 1}),
        (D2020, {"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", 1]),
        (D2020, {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}, "maxLength": 1},
         "a", "ab"),
        (D2020, {"$dynamicRef": "#n", "$defs": {"n": {"$dynamicAnchor": "n", "type": "null"}}},
         None, 1),
        (D2020, {"patternProperties": {"^a": {}}, "unevaluatedProperties": False},
         {"ab": 1}, {"b": 1}),
        (D2020, {"prefixItems": [{}], "contains": {"const": 1}, "unevaluatedItems": False},
         ["x", 1], ["x", 1, 2]),
        (D2020, {"$id": "https://example.com/a", "$defs": {"b": {"$id": "b", "type": "null"}},
                 "$ref": "b"}, None, 1),
        (D2020, {"$ref": D2020}, {"type": "string"}, {"type": "no such type"}),
        # A meta-schema is taken as it is, whatever its dialect.
        (D2020, {"$ref": D7}, {"type": "string"}, {"type": "no such type"}),
    ],
)  # fmt: skip
def test_what_is_special_in_a_draft(dialect: str, schema: Any, good: Any, bad: Any) -> None:
    assert holds(schema, good, dialect)
    assert not holds(schema, bad, dialect)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"pattern": r"^\d$"}, "4", "\u0664"),
        ({"patternProperties": {r"^\d$": {"type": "null"}}}, {"\u0664": 1}, {"4": 1}),
        (
            {"patternProperties": {r"^\d$": {}}, "additionalProperties": False},
            {"4": 1},
            {"\u0664": 1},
        ),
    ],
)
@pytest.mark.parametrize("dialect", ALL)
def test_every_keyword_reads_a_pattern_as_ecma_262_does(
    dialect: str, schema: Any, good: Any, bad: Any
) -> None:
    assert holds(schema, good, dialect)
    assert not holds(schema, bad, dialect)


def test_without_a_dialect_it_is_2020_12() -> None:
    assert compiled({}).dialect == D2020
    assert compile_schema("true").validate({"any": "thing"}) == []
    assert [each.keyword for each in compile_schema("false").validate(1)] == ["false"]


@pytest.mark.parametrize(
    "dialect",
    [
        "http://json-schema.org/draft-03/schema#", "http://json-schema.org/schema#",
        "https://json-schema.org/draft/2020-12/hyper-schema", "https://example.com/mine", "", 7,
    ],
)  # fmt: skip
def test_an_unknown_dialect_is_refused(dialect: Any) -> None:
    assert refusal({"$schema": dialect}).pointer == "/$schema"


def test_a_part_may_not_speak_another_dialect() -> None:
    refused = refusal({"properties": {"a": {"$schema": D7}}})
    assert refused.pointer == "/properties/a/$schema"
    assert holds({"properties": {"$schema": {"type": "string"}}}, {"$schema": "a name like others"})


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "strin"}, "/type"),
        ({"properties": {"a/b": {"minLength": -1}}}, "/properties/a~1b/minLength"),
        ({"required": "a"}, "/required"),
        ([], ""),
        ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern"),
        ({"patternProperties": {"a**": {}}}, "/patternProperties"),
        ({"$ref": "#/$defs/none"}, "/$ref"),
        ({"$ref": "#none"}, "/$ref"),
        ({"items": {"anyOf": [{}, {"$dynamicRef": "#none"}]}}, "/items/anyOf/1/$dynamicRef"),
        ({"$ref": "#/enum/0", "enum": [1]}, "/$ref"),
        ({"$ref": "#/allOf/x", "allOf": [{}]}, "/$ref"),
        ({"$ref": "#/title/x", "title": "t"}, "/$ref"),
        # Reached by reference only: the meta-schema does not look into unknown keywords.
        ({"$ref": "#/x-a", "x-a": {"type": 3}}, "/$ref/type"),
        ({"$ref": "#/x-a", "x-a": {"items": {"$ref": "#/x-b"}}}, "/$ref/items/$ref"),
        ({"$id": "http://[bad"}, "/$id"),
    ],
)
def test_a_broken_schema_is_refused_with_the_place(schema: Any, pointer: str) -> None:
    assert refusal(schema).pointer == pointer


def test_draft_4_knows_no_form_for_a_reference_or_a_name_that_is_a_pattern_but_we_do() -> None:
    assert refusal({"$ref": 5}, D4).pointer == "/$ref"
    named: Any = {"items": {"patternProperties": {"a**": {}}}}
    assert refusal(named, D4).pointer == "/items/patternProperties/a**"


@pytest.mark.parametrize(
    "text", ["", "{", '{"a":1,"a":2}', '{"minimum": NaN}', "\ud800", '"\\ud800"']
)
def test_a_text_that_is_no_i_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidSchema):
        compile_schema(text)


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:9/schema.json", "https://json-schema.org/draft/2020-12/nope",
        "file:///etc/passwd", "other.json", "//host/x", "urn:example:a", "ftp://host/x#/a",
        "http://json-schema.org/draft-03/hyper-schema",
    ],
)  # fmt: skip
@pytest.mark.parametrize("dialect", ALL)
def test_a_remote_reference_is_refused_and_no_socket_is_opened(
    reference: str, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(urllib.request, "urlopen", forbidden)
    refused = refusal({"properties": {"a": {"$ref": reference}}}, dialect)
    assert refused.pointer == "/properties/a/$ref"
    assert "never fetched" in refused.detail


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    ],
)
def test_a_schema_that_runs_in_circles_is_refused(schema: Any) -> None:
    assert "without an end" in refusal(schema).detail


def test_a_tree_may_refer_to_itself() -> None:
    tree = {"type": "object", "additionalProperties": {"$ref": "#"}}
    assert holds(tree, {"a": {"b": {}}})
    assert [each.pointer for each in compiled(tree).validate({"a": {"b": 1}})] == ["/a/b"]


def test_a_circle_that_only_some_contents_enter_is_too_expensive_for_those() -> None:
    schema = compiled({"anyOf": [{"type": "string"}, {"$ref": "#"}]})
    assert schema.validate("text") == []
    with pytest.raises(SchemaTooExpensive, match="recursion"):
        schema.validate(1)


def test_violations_say_where_what_and_why() -> None:
    schema = compiled(
        {
            "type": "object",
            "required": ["name"],
            "properties": {
                "limits": {"items": {"properties": {"a/b": {"maximum": 3}}}},
                "mode": {
                    "anyOf": [{"type": "object", "properties": {"k": {"const": 1}}}, {"enum": [1]}]
                },
            },
            "additionalProperties": False,
        }
    )
    violations = schema.validate({"limits": [{}, {"a/b": 4}], "mode": {"k": 2}, "~x": 0})
    assert [(each.pointer, each.keyword) for each in violations] == [
        ("", "required"),
        ("/limits/1/a~1b", "maximum"),
        ("/mode", "anyOf"),
        ("/~0x", "additionalProperties"),
    ]
    messages = [each.message for each in violations]
    assert messages[0] == "the property 'name' is required"
    assert messages[1] == "4 is above the maximum of 3"
    assert messages[2] == "an object is of none of the 2 forms; nearest: at /k: 2 is not 1"


def test_violations_are_bounded_and_never_echo_the_content() -> None:
    many = compiled({"items": {"type": "string"}}).validate(list(range(5000)))
    assert len(many) == MAX_VIOLATIONS
    secret = "s3cret" * 20_000
    schema = {
        "allOf": [
            {"type": "integer"}, {"enum": ["a" * 10_000]}, {"const": "b" * 10_000},
            {"maxLength": 1},
            {"pattern": "^x{3}$"}, {"format": "ipv4"}, {"not": {}}, {"anyOf": [{"type": "null"}]},
        ]
    }  # fmt: skip
    for violation in compiled(schema).validate(secret):
        assert len(violation.message) <= 300
        assert secret[:61] not in violation.message


def test_numbers_are_json_numbers() -> None:
    assert holds({"type": "integer"}, 1.0, D6)
    assert not holds({"type": "integer"}, True)
    assert not holds({"enum": [1]}, True)
    assert not holds({"const": False}, 0)
    assert holds({"const": {"a": [1.0]}}, {"a": [1]})


@pytest.mark.parametrize(
    ("content", "divisor", "expected"),
    [
        (0.3, 0.1, True), (19.99, 0.01, True), (0.07, 0.01, True), (1e308, 0.01, True),
        (1e308, 1e-308, True), (0.071, 0.01, False), (7, 2, False), (8, 2.0, True),
        (2**63 - 1, 0.5, True), (0, 0.7, True), (-0.3, 0.1, True), (1e-7, 1e-8, True),
    ],
)  # fmt: skip
def test_multiple_of_is_exact_as_written(content: float, divisor: float, expected: bool) -> None:
    assert holds({"multipleOf": divisor}, content) is expected


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, True, "1", 0, False, None, [1], [True], {"a": 1}, {"a": True}], True),
        ([1, 1.0], False),
        ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], False),
        ([[], {}, "", 0], True),
        (["a", {"x": "a"}, "a"], False),
    ],
)
def test_unique_items_compares_as_json(items: list[Any], unique: bool) -> None:
    assert holds({"uniqueItems": True}, items) is unique


def test_unique_items_of_unlike_kinds_takes_linear_time() -> None:
    """jsonschema's own takes hours for this: it cannot sort the items."""
    items = [value for index in range(50_000) for value in (index, str(index), {"a": index})]
    assert holds({"uniqueItems": True}, items)
    assert not holds({"uniqueItems": True}, [*items, {"a": 7}])


_KEYWORDS = st.sampled_from(
    [
        "type", "$ref", "$id", "id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef",
        "properties", "items", "allOf", "anyOf", "not", "if", "then", "enum", "const", "pattern",
        "patternProperties", "dependencies", "dependentSchemas", "definitions", "$defs",
        "multipleOf", "required", "format", "uniqueItems", "unevaluatedProperties", "x-other",
        "unevaluatedItems", "prefixItems", "contains", "minContains", "additionalProperties",
    ]
)  # fmt: skip
_SCALARS = st.sampled_from(
    [
        "#",
        "#/$defs/a",
        "#/x-other",
        "#a",
        "a",
        "string",
        "object",
        "^a",
        "(",
        "0",
        0,
        1,
        0.5,
        True,
        None,
    ]
)
_SCHEMAS = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYWORDS | st.sampled_from(["a", "b"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.sampled_from(ALL), st.dictionaries(_KEYWORDS, _SCHEMAS, max_size=4), _SCHEMAS)
@settings(max_examples=300, deadline=None)
def test_no_json_does_worse_than_being_refused(dialect: str, schema: Any, content: Any) -> None:
    """Whatever is stored as a schema: an answer or one of two refusals, never a crash."""
    with contextlib.suppress(InvalidSchema, SchemaTooExpensive):
        compiled(schema, dialect).validate(content)
