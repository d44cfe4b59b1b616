"""Goal: a search asks for each thing once, and for nothing else than before."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given

from domain.json_containment import count_elements, without_repeats
from tests.properties.documents import documents


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"[[2],[2],[2],[3]]", b"[[2],[3]]"),
        (b'{"a":[1,1],"b":{"c":["x","x"]}}', b'{"a":[1],"b":{"c":["x"]}}'),
        (b"[[1,1],[1]]", b"[[1]]"),
        (b'[{"a":1,"b":2},{"b":2,"a":1}]', b'[{"b":2,"a":1}]'),
        (b"[1,true,1.0,[1],[true],1]", b"[1,true,1.0,[1],[true]]"),
        (b"[0,false,null,\"\",[],{}]", b"[0,false,null,\"\",[],{}]"),
        (b"7", b"7"),
    ],
)  # fmt: skip
def test_what_an_array_holds_already_is_left_out(value: bytes, kept: bytes) -> None:
    assert orjson.dumps(without_repeats(orjson.loads(value))) == kept


def test_elements_of_all_arrays_are_counted() -> None:
    assert count_elements({"a": [1, [2, 3]], "b": {"c": [{"d": [4]}]}, "e": 5}) == 6
    assert count_elements("text") == count_elements({}) == count_elements([]) == 0


@given(documents())
def test_once_is_enough(value: Any) -> None:
    once = without_repeats([value, value])
    assert len(once) == 1
    assert without_repeats(once) == once
