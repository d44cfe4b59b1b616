"""What people are told of a content that breaks its schema."""

import json
from typing import Any

import pytest

from domain.config_schema import MAX_SCHEMA_BYTES, compile_schema
from domain.schema_outcomes import InvalidSchema

D4 = "http://json-schema.org/draft-04/schema#"
DEEP: dict[str, Any] = {"const": 1}
for _ in range(9):
    DEEP = {"anyOf": [DEEP]}


@pytest.mark.parametrize(
    ("schema", "content", "keyword", "message"),
    [
        ({"minimum": 3}, 2, "minimum", "2 is below the minimum of 3"),
        ({"maximum": 3}, 4, "maximum", "4 is above the maximum of 3"),
        ({"exclusiveMinimum": 3}, 3, "exclusiveMinimum", "3 is not above 3"),
        ({"exclusiveMaximum": 3}, 3, "exclusiveMaximum", "3 is not below 3"),
        # Draft 4 says by a second keyword that the bound itself is too much.
        ({"$schema": D4, "minimum": 3, "exclusiveMinimum": True}, 3, "minimum", "3 is not above 3"),
        ({"$schema": D4, "maximum": 3, "exclusiveMaximum": True}, 3, "maximum", "3 is not below 3"),
        ({"$schema": D4, "maximum": 3, "exclusiveMaximum": False}, 4, "maximum",
         "4 is above the maximum of 3"),
        ({"multipleOf": 2}, 3, "multipleOf", "3 is not a multiple of 2"),
        ({"minLength": 2}, "a", "minLength", "has 1 character; the minimum is 2"),
        ({"maxLength": 1}, "ab", "maxLength", "has 2 characters; the maximum is 1"),
        ({"minItems": 1}, [], "minItems", "has 0 items; the minimum is 1"),
        ({"maxItems": 1}, [1, 2], "maxItems", "has 2 items; the maximum is 1"),
        ({"maxProperties": 0}, {"a": 1}, "maxProperties",
         "has 1 property; the maximum is 0"),
        ({"type": ["string", "null"]}, 1, "type", "1 is not of type string or null"),
        ({"enum": [*range(10)]}, "a", "enum",
         '"a" is not one of 0, 1, 2, 3, 4, 5, 6, 7 and 2 more'),
        ({"const": {"a": 1}}, [1, 2], "const", "an array of 2 is not an object"),
        ({"uniqueItems": True}, [2, 1, 1.0], "uniqueItems", "the items at 1 and 2 are equal"),
        ({"minContains": 2, "contains": {}}, [1], "minContains",
         "fewer than 2 items are of the form that the array must contain"),
        ({"properties": {"a": False}}, {"a": 1}, "false", "nothing is allowed here"),
        ({"oneOf": [{"minimum": 0}, {"type": "integer"}, {"type": "null"}]}, 1, "oneOf",
         "1 is of more than one of the 3 forms"),
        # The form that goes further into the content is the one that was meant.
        ({"anyOf": [{"type": "null"}, {"properties": {"a": {"minimum": 3}}}]}, {"a": 1}, "anyOf",
         "an object is of none of the 2 forms; nearest: at /a: 1 is below the minimum of 3"),
        (DEEP, 2, "anyOf", "; nearest: ".join(["2 is of none of the 1 forms"] * 4)),
    ],
)  # fmt: skip
def test_each_keyword_says_what_would_be_right(
    schema: Any, content: Any, keyword: str, message: str
) -> None:
    found = compile_schema(json.dumps(schema)).validate(content)
    assert [(each.keyword, each.message) for each in found] == [(keyword, message)]


def test_a_message_is_short_whatever_the_schema_holds() -> None:
    schema = {"enum": ["e" * 90 + str(n) for n in range(9)], "required": ["r" * 10_000]}
    found = compile_schema(json.dumps({"allOf": [schema]})).validate({})
    assert [len(each.message) for each in found] == [300, 127]


def test_a_schema_may_be_as_large_as_the_limit() -> None:
    room = MAX_SCHEMA_BYTES - len('{"title":""}')
    compile_schema('{"title":"' + "t" * room + '"}')
    with pytest.raises(InvalidSchema, match=f"has {MAX_SCHEMA_BYTES + 1} bytes; the limit is"):
        compile_schema('{"title":"' + "t" * (room + 1) + '"}')
