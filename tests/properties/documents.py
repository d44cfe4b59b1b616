"""Strategies for I-JSON documents in all their oddity, for histories of configs; and when two are
equal."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_NONCHARACTERS = [
    *range(0xFDD0, 0xFDF0),
    *(plane << 16 | low for plane in range(17) for low in (0xFFFE, 0xFFFF)),
]
_CHARACTERS = st.characters(
    codec="utf-8",  # no surrogates
    exclude_characters=["\x00", *map(chr, _NONCHARACTERS)],
)
_ODD_NAMES = ["", "_type_", "_data_", "__class__", "a/b", "~", "~1", "1", "é", "e\u0301", " "]


def texts() -> st.SearchStrategy[str]:
    """Any string that I-JSON allows."""
    return st.one_of(st.text(_CHARACTERS, max_size=20), st.sampled_from(_ODD_NAMES))


def documents() -> st.SearchStrategy[Any]:
    """Any I-JSON value: also bare scalars, empty names, edges of integers and doubles."""
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1]),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from([-0.0, 1.0, 1e16, 1e-7, 5e-324]),
        texts(),
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(texts(), inner, max_size=5)
        ),
        max_leaves=20,
    )


def json_equal(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON: unlike in Python, 1 is not true; 1 equals 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(json_equal(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(json_equal, left, right))
    return bool(left == right)
