"""Patches and differences: the RFCs' own examples, and any document and patch at all."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import NotIJson, PatchFailed
from domain.json_document import encode_json
from domain.json_patch import MAX_DETAIL_CHARS, MAX_DIFF_NODES, diff, json_patch, merge_patch
from tests.properties.documents import documents, json_equal

LIMIT = 262_144

# RFC 7396, appendix A.
MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("document", "patch", "result"), MERGES)
def test_a_merge_patch_is_applied_as_the_rfc_says(document: Any, patch: Any, result: Any) -> None:
    assert json_equal(merge_patch(encode_json(document), encode_json(patch)), result)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396 section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged(target.get(name), value)
    return target


@given(documents(), documents())
def test_any_merge_is_what_the_rfc_says(document: Any, patch: Any) -> None:
    result = merge_patch(encode_json(document), encode_json(patch))
    assert json_equal(result, merged(document, patch))


@settings(deadline=None)
@given(documents(), documents())
def test_the_difference_of_any_two_documents_makes_one_of_the_other(old: Any, new: Any) -> None:
    before, after = encode_json(old), encode_json(new)
    patch = diff(before, after)
    assert encode_json(_sorted(json_patch(before, patch, max_bytes=LIMIT))) == encode_json(
        _sorted(new)
    )
    assert diff(before, before) == diff(before, before, coarse=True) == []
    assert json_equal(json_patch(before, diff(before, after, coarse=True), max_bytes=LIMIT), new)


def _sorted(value: Any) -> Any:
    """Members in one order: their order is no part of a JSON value. 1 and 1.0 differ here."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def paths() -> st.SearchStrategy[Any]:
    parts = st.sampled_from(["", "0", "1", "-", "-1", "01", "a/b", "~", "a", "1e0", "٣", "_type_"])
    return st.one_of(
        st.lists(parts, max_size=4).map(lambda found: "".join("/" + part for part in found)),
        st.text(max_size=5),
        st.none(),
        st.integers(),
    )


def operations() -> st.SearchStrategy[Any]:
    names = st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "append", 7])
    members = {"op": names, "path": paths(), "from": paths(), "value": documents()}
    return st.one_of(
        st.fixed_dictionaries({}, optional=members), st.fixed_dictionaries(members), documents()
    )


@settings(deadline=None, max_examples=400)
@given(documents(), st.one_of(st.lists(operations(), max_size=6), documents()))
def test_any_patch_ends_with_a_result_or_a_refusal(document: Any, patch: Any) -> None:
    before = encode_json(document)
    try:
        result = json_patch(before, patch, max_bytes=LIMIT)
    except (PatchFailed, NotIJson):
        return
    encode_json(result)
    assert encode_json(document) == before


def test_deep_and_doubling_patches_end_soon() -> None:
    nest = [{"op": "add", "path": "/a" * n, "value": {}} for n in range(2000)]
    with pytest.raises((PatchFailed, NotIJson)):
        json_patch(b"{}", nest, max_bytes=LIMIT)
    fold = [{"op": "copy", "from": "", "path": "/x"}] * 5000
    with pytest.raises(PatchFailed):
        json_patch(b'{"a":1}', fold, max_bytes=LIMIT)
    inside = [{"op": "move", "from": "", "path": "/x"}]
    with pytest.raises(PatchFailed):
        json_patch(b'{"a":1}', inside, max_bytes=LIMIT)


@pytest.mark.parametrize(
    ("before", "after", "coarse", "patch"),
    [
        (None, None, False, []),
        (None, b"1", False, [{"op": "add", "path": "", "value": 1}]),
        (b"1", None, False, [{"op": "remove", "path": ""}]),
        (b'{"a":1}', b'{"a":2}', False, [{"op": "replace", "path": "/a", "value": 2}]),
        (b'{"a":1}', b'{"a":2}', True, [{"op": "replace", "path": "", "value": {"a": 2}}]),
    ],
)
def test_a_difference_from_nothing_to_nothing_or_as_a_whole(
    before: bytes | None, after: bytes | None, coarse: bool, patch: list[dict[str, Any]]
) -> None:
    assert diff(before, after, coarse=coarse) == patch


def test_a_result_is_held_to_what_may_be_stored() -> None:
    inner, deepest = b"[" * 98 + b"]" * 98, b"[" * 99 + b"]" * 99
    assert encode_json(merge_patch(b"{}", b'{"a":' + inner + b"}")) == b'{"a":' + inner + b"}"
    with pytest.raises(NotIJson, match="nesting deeper than 99"):
        merge_patch(b"{}", b'{"a":' + deepest + b"}")
    for value in (2**63, float("inf"), "\x00", {"\ud800": 1}):
        with pytest.raises(NotIJson):
            json_patch(b"{}", [{"op": "add", "path": "/a", "value": value}], max_bytes=LIMIT)


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        ({"op": "copy", "path": "/a"}, "a copy needs a 'from' member"),
        ({"op": "copy", "from": 7, "path": "/a"}, "a copy needs a 'from' member"),
        ({"op": "remove", "path": "/" + "n" * 1000}, "can't remove a non-existent object 'n"),
    ],
)
def test_a_step_that_fails_is_told_in_few_words(step: dict[str, Any], detail: str) -> None:
    with pytest.raises(PatchFailed) as caught:
        json_patch(b"{}", [{"op": "test", "path": "", "value": {}}, step], max_bytes=LIMIT)
    assert caught.value.index == 1
    assert caught.value.detail.startswith(detail)
    assert len(caught.value.detail) <= MAX_DETAIL_CHARS


@pytest.mark.parametrize("path", ["/text/x", "/number/x", "/null/x", "/list/0/x", "/text/x/y"])
@pytest.mark.parametrize("op", ["add", "remove", "replace", "test"])
def test_a_path_into_a_plain_value_is_named_in_words_of_json(op: str, path: str) -> None:
    document = b'{"text":"t","number":1,"null":null,"list":["t"]}'
    with pytest.raises(PatchFailed, match="leads into what is no object or array"):
        json_patch(document, [{"op": op, "path": path, "value": 1}], max_bytes=LIMIT)


def test_the_largest_difference_that_is_worked_out_takes_seconds_at_most() -> None:
    """Behind the bound, one replacement; before it, the worst that we know of."""
    size = MAX_DIFF_NODES // 2 - 2
    numbers = list(range(size))
    started = time.process_time()
    patch = diff(encode_json(numbers), encode_json([n + size for n in numbers]))
    assert len(patch) == size
    assert time.process_time() - started < 20
    more = list(range(MAX_DIFF_NODES))
    whole = diff(encode_json(more), encode_json(more[::-1]))
    assert [step["op"] for step in whole] == ["replace"]
