"""Formats of JSON Schema: what they let through, what they refuse, and that no text breaks them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config_schema import CompiledSchema, compile_schema


def compiled(schema: dict[str, Any]) -> CompiledSchema:
    return compile_schema(json.dumps(schema))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2024-02-29T10:00:00Z", "2023-02-29T10:00:00Z"),
        ("date", "2024-02-29", "2023-02-29"),
        ("time", "10:00:00Z", "25:00:00Z"),
        ("duration", "P1DT2H", "P1H"),
        ("email", "joe.bloggs@example.com", "@"),
        ("email", '"a b"@[127.0.0.1]', ".a@example.com"),
        ("email", "a@[127.0.0.1]", "a@[127.0.0.256]"),
        ("email", "a@[IPv6:::1]", "a@[IPv6:1::2::3]"),
        ("email", "a" * 64 + "@b", "a" * 65 + "@b"),
        ("email", "a@" + "b" * 255, "a@" + "b" * 256),
        ("hostname", "a.example", "-a.example"),
        ("idn-hostname", "räksmörgås.se", "〮.se"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", "1::2::3"),
        ("uri", "https://u@[::1]:80/a?b=%20#c", "//relative"),
        ("uri", "http://[::1]/", "http://[1::2::3]/"),
        ("uri", "urn:isbn:12", "http://a b"),
        ("uri-reference", "//[::1]/", "//[1::2::3]/"),
        ("uri-reference", "../a?b#c", "\\\\WINDOWS\\share"),
        ("iri", "http://ƒøø.ßår/?∂=πéx", "bar,baz:foo"),
        ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08aa9811eab4aa73b441d16380"),
        ("json-pointer", "/a~1b", "/a~"),
        ("relative-json-pointer", "0#", "/a"),
        ("regex", "^\\p{L}+$", "a**"),
        ("regex", "[\\w-.]", "\\Z"),
        ("uri-template", "http://a/{b}", "http://a/{b"),
    ],
)
def test_formats_are_checked(name: str, good: str, bad: str) -> None:
    schema = compiled({"format": name})
    assert schema.validate(good) == []
    assert [each.keyword for each in schema.validate(bad)] == ["format"]
    assert schema.validate(17) == []


_FORMATS = [
    "date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname",
    "ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid",
    "json-pointer", "relative-json-pointer", "regex", "unknown-format",
]  # fmt: skip
_EVERY_FORMAT = compiled({"allOf": [{"format": name} for name in _FORMATS]})
_ODD = st.text(st.sampled_from("0123456789:-.+TZPYMDHSW/#?%[]{}@~\\^$()|*aA\u00e9\u0660\u3042")) | (
    st.text(max_size=40)
)


@given(_ODD)
def test_no_text_breaks_a_format(text: str) -> None:
    _EVERY_FORMAT.validate(text)


@pytest.mark.parametrize(
    ("draft", "name", "text"),
    [
        ("http://json-schema.org/draft-04/schema#", "uri-reference", "\\\\WINDOWS"),
        ("http://json-schema.org/draft-04/schema#", "iri", "bar,baz:foo"),
        ("http://json-schema.org/draft-06/schema#", "idn-email", "@"),
    ],
)
def test_a_format_counts_from_the_draft_that_defined_it(draft: str, name: str, text: str) -> None:
    assert compiled({"$schema": draft, "format": name}).validate(text) == []
    later = {"iri": "07", "idn-email": "07", "uri-reference": "06"}[name]
    schema = {"$schema": f"http://json-schema.org/draft-{later}/schema#", "format": name}
    assert [each.keyword for each in compiled(schema).validate(text)] == ["format"]
