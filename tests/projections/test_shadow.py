"""Goal: a rebuild holds little at once, however large the revisions are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.shadow import FIRST_PAGE, PAGE, PAGE_BYTES, next_page_size


@pytest.mark.parametrize(
    ("mean_bytes", "settled"), [(0, PAGE), (300, PAGE), (256 * 1024, 61), (10**9, 1)]
)
def test_pages_are_as_long_as_the_revisions_allow(mean_bytes: float, settled: int) -> None:
    size = FIRST_PAGE
    for _ in range(10):
        size = next_page_size(size, mean_bytes)
    assert size == settled


@given(st.integers(1, PAGE), st.floats(0, 1e9))
def test_a_page_never_grows_at_a_leap_nor_beyond_its_bytes(size: int, mean_bytes: float) -> None:
    following = next_page_size(size, mean_bytes)
    assert 1 <= following <= min(PAGE, 2 * size)
    assert following == 1 or following * mean_bytes <= PAGE_BYTES
