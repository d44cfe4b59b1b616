"""I-JSON: all that is accepted comes back equal, all that is refused names its place."""

from __future__ import annotations

import json
import math
import struct
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import MalformedJson, NotIJson
from domain.json_document import (
    MAX_DEPTH,
    check_json,
    decode_json,
    encode_json,
    parse_json,
    trimmed,
)
from tests.properties.documents import documents, json_equal, texts


def same(left: Any, right: Any) -> bool:
    """Equal to the last bit: type, order of names, sign of zero."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return struct.pack(">d", left) == struct.pack(">d", right)
    return bool(left == right)


@given(documents())
@example(-0.0)
@example(5e-324)
@example(1.7976931348623157e308)
@example([2**63 - 1, -(2**63), 2**53 + 1, 1.0, 1, 1e16, 1e22, 123456789012345680.0])
@example({"": {"": [[], {}]}, "__proto__": 1, "_type_": "datetime", "a/b~c": "\u2028\u2029"})
@example('\U0001f600 \u00e9 e\u0301 \ud7ff\ue000 \\ " / \b\f\n\r\t \x01 \x1f \x7f')
def test_a_document_comes_back_equal(document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False)
    parsed = parse_json(text.encode())
    assert same(parsed, document)
    stored = encode_json(parsed)
    assert b"\n" not in stored  # an entry of the log is lines
    assert same(decode_json(stored), document)
    assert same(parse_json(stored), document)


@given(documents())
def test_escaped_or_not_and_with_white_space_is_the_same_document(document: Any) -> None:
    escaped = json.dumps(document, ensure_ascii=True, indent=3)
    assert same(parse_json(escaped), document)


@given(texts())
def test_every_name_comes_back(name: str) -> None:
    assert list(parse_json(json.dumps({name: 1}))) == [name]


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused_with_a_typed_error(raw: bytes) -> None:
    try:
        value = parse_json(raw)
    except (MalformedJson, NotIJson):
        return
    assert same(decode_json(encode_json(value)), value)


@given(st.text(alphabet='[]{}",:0123456789.eE+-tfn \\u00dD8ac/', max_size=40))
def test_text_that_is_nearly_json_never_breaks_the_parser(text: str) -> None:
    try:
        value = parse_json(text)
    except (MalformedJson, NotIJson):
        return
    assert same(value, json.loads(text))
    assert orjson.loads(text.strip()) == value


@pytest.mark.parametrize(
    ("text", "detail", "pointer"),
    [
        ('{"a": 1, "a": 2}', "a duplicate name", "/a"),
        ('{"x": [0, {"a/b": {"~": 1, "~": 1}}]}', "a duplicate name", "/x/1/a~1b/~0"),
        ('{"a": 1, "\\u0061": 2}', "a duplicate name", "/a"),
        ("[1, NaN]", "NaN is not a JSON number", "/1"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number", "/a"),
        ('{"a": [1e999]}', "a number beyond the range of a double", "/a/0"),
        ("[-1e400]", "a number beyond the range of a double", "/0"),
        ("[0, -0.0, 0E-999, 1e-400]", "a number beyond the range of a double", "/3"),
        ('{"a": -0.003E-400}', "a number beyond the range of a double", "/a"),
        ("9223372036854775808", "an integer beyond 64 bits", ""),
        ("[-9223372036854775809]", "an integer beyond 64 bits", "/0"),
        ("1" * 5000, "an integer beyond 64 bits", ""),
        ('{"a": "\\u0000"}', "U+0000 in a string", "/a"),
        ('{"\\u0000": 1}', "U+0000 in a name", ""),
        ('["\\ud800"]', "U+D800 in a string", "/0"),
        ('["\\udc00\\ud800"]', "U+DC00 in a string", "/0"),
        ('["\\udfff"]', "U+DFFF in a string", "/0"),
        # A place that nobody could write down: the name itself is the fault.
        ('{"\\ud800": 1, "\\ud800": 2}', "U+D800 in a name", ""),
        ('["\ufdd0"]', "U+FDD0 in a string", "/0"),
        ('["\ufdef"]', "U+FDEF in a string", "/0"),
        ('{"a": ["\\uffff"]}', "U+FFFF in a string", "/a/0"),
        ('["\U0010fffe"]', "U+10FFFE in a string", "/0"),
    ],
)
def test_what_i_json_forbids_is_refused_at_its_place(text: str, detail: str, pointer: str) -> None:
    with pytest.raises(NotIJson) as caught:
        parse_json(text)
    assert (caught.value.detail, caught.value.pointer) == (detail, pointer)


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        (b"", 1, 1),
        (b"{", 1, 2),
        (b'{"a": 1,\n  "b": tru}', 2, 8),
        (b"[1] x", 1, 5),
        (b"01", 1, 2),
        (b"'a'", 1, 1),
        (b'["a\nb"]', 1, 4),
        (b"\xef\xbb\xbf{}", 1, 1),
        (b'{"a":\n "\xff"}', 2, 3),
        (b'["\xed\xa0\x80"]', 1, 3),
    ],
)
def test_what_is_not_json_is_refused_with_line_and_column(
    raw: bytes, line: int, column: int
) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_json(raw)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).count(" at ") == 1
    assert ("byte order mark" in str(caught.value)) is raw.startswith(b"\xef\xbb\xbf")


def test_a_text_that_no_bytes_can_be_is_refused_and_not_repaired() -> None:
    with pytest.raises(MalformedJson, match="not UTF-8 at line 1 column 3"):
        parse_json('["\ud800"]')


@pytest.mark.parametrize("zero", ["0E-999", "-0.0E5", "0e0", "0.00E+400"])
def test_a_zero_is_no_number_that_got_lost(zero: str) -> None:
    assert parse_json(zero) == 0


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_has_a_bound_that_does_not_depend_on_the_stack(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    deep = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH
    assert parse_json(deep) is not None
    with pytest.raises(NotIJson, match="nesting deeper than 100"):
        parse_json(opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1))
    with pytest.raises(NotIJson, match="nesting"):
        parse_json(opening * 1_000_000)


def test_brackets_side_by_side_are_no_nesting() -> None:
    deepest = "[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2)
    wide = f'{{"a": [{deepest}, {deepest}], "b": [{deepest}]}}'
    assert parse_json(wide) == json.loads(wide)
    with pytest.raises(NotIJson, match=r"line 2 column 2\)"):
        parse_json("[" * (MAX_DEPTH - 1) + "[],\n[[]]")


def test_brackets_inside_strings_are_no_nesting() -> None:
    assert parse_json(json.dumps("[" * 1000)) == "[" * 1000
    assert parse_json(json.dumps(['\\"[' * 500])) == ['\\"[' * 500]
    # A string ends at the quote behind an escaped backslash, and what follows is none.
    assert parse_json(json.dumps(["\\", "[" * 1000])) == ["\\", "[" * 1000]
    with pytest.raises(NotIJson, match="nesting"):
        parse_json('["\\\\",' + "[" * 1_000_000)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"a": [math.inf]}, "/a/0"),
        ({"a": 2**63}, "/a"),
        (["ok", "\x00"], "/1"),
        ({"b": {"\ud800": 1}}, "/b"),
    ],
)
def test_a_value_that_was_not_parsed_is_held_to_the_same_rules(value: Any, pointer: str) -> None:
    with pytest.raises(NotIJson) as caught:
        check_json(value)
    assert caught.value.pointer == pointer


def test_equality_is_that_of_json_not_of_python() -> None:
    assert json_equal(1, 1.0)
    assert not json_equal(1, True)
    assert not json_equal({"a": [0]}, {"a": [False]})
    assert json_equal({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not json_equal([1, 2], [2, 1])
    assert not json_equal(None, False)


@given(documents(), documents())
def test_equality_agrees_with_the_stored_text(left: Any, right: Any) -> None:
    assert json_equal(left, decode_json(encode_json(left)))
    if encode_json(left) == encode_json(right):
        assert json_equal(left, right)
    assert json_equal(left, right) is json_equal(right, left)


def test_what_is_kept_long_holds_no_room_behind_it() -> None:
    """A read model of small configs took five times its memory: orjson's buffers stayed."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [trimmed(encode_json({"n": n})) for n in range(1000)]
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 200 * len(kept)
    assert kept[7] == b'{"n":7}'
