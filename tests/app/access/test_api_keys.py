"""Goal: a key is recognised by its form, proved by its hash, and never kept."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.api_keys import (
    API_KEY_CHARACTERS,
    generate_api_key,
    hash_api_key,
    looks_like_api_key,
    matches_hash,
)


def test_a_key_has_the_written_form() -> None:
    plain, stored = generate_api_key()
    assert re.fullmatch(r"cg_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", plain)
    assert len(plain) == API_KEY_CHARACTERS
    assert stored == hashlib.sha256(plain.encode()).hexdigest() == hash_api_key(plain)


def test_keys_differ() -> None:
    assert len({generate_api_key().plain for _ in range(500)}) == 500


def test_only_the_key_itself_matches_its_hash() -> None:
    one, other = generate_api_key(), generate_api_key()
    assert matches_hash(one.plain, one.hash)
    assert not matches_hash(other.plain, one.hash)
    assert not matches_hash("\ud800", one.hash)
    assert not matches_hash(one.plain, "é")


def test_a_key_is_not_shown_where_it_is_printed() -> None:
    key = generate_api_key()
    assert key.plain not in repr(key)


def test_every_single_mistyped_character_is_noticed_without_a_database() -> None:
    plain = generate_api_key().plain
    assert looks_like_api_key(plain)
    for at in range(len(plain)):
        wrong = plain[:at] + ("A" if plain[at] != "A" else "B") + plain[at + 1 :]
        assert not looks_like_api_key(wrong), at


@pytest.mark.parametrize("change", ["{}\n", " {}", "{}x", "{}\x00"])
def test_nothing_may_stand_around_a_key(change: str) -> None:
    assert not looks_like_api_key(change.format(generate_api_key().plain))


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    assert not looks_like_api_key(text)
    assert not looks_like_api_key(f"cg_{text}_000000")
