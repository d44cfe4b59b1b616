"""The Config aggregate: keys, ids, and what each event makes of a config."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config import (
    EVENT_NAMES,
    Config,
    ConfigEvent,
    advance,
    check_key,
    config_id,
    content_event,
    deleted_event,
    fold,
    split_config_id,
)
from domain.errors import BrokenInvariant, InvalidKey

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = config_id("p", "a.b")
COMMON: dict[str, Any] = {"timestamp": NOON, "actor": {"user_id": "u"}, "comment": None}


def write(version: int, deleted: bool = False, **kwargs: Any) -> ConfigEvent:
    fields = {"content": version + 1, "schema_id": None, "schema_version": None} | COMMON | kwargs
    return content_event(ID, version, deleted, **fields)


@pytest.mark.parametrize("key", ["a", "A-b_9", "a.b.c", "-", "_._", "0", "k" * 200])
def test_keys_in_the_grammar(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key", ["", ".", "a.", ".a", "a..b", "a b", "a/b", "é", "a\n", "a\x00", "k" * 201, "٣"]
)
def test_keys_outside_the_grammar(key: str) -> None:
    with pytest.raises(InvalidKey):
        check_key(key)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,36}", fullmatch=True), st.text(max_size=30))
def test_ids_can_be_taken_apart(project_id: str, key: str) -> None:
    assert split_config_id(config_id(project_id, key)) == (project_id, key)


def test_the_event_is_the_one_for_the_state_that_the_config_is_in() -> None:
    assert type(write(0)) is Config.Created
    assert type(write(1)) is Config.Updated
    assert type(write(2, deleted=True)) is Config.Restored
    assert type(write(3, to_version=1)) is Config.RolledBack
    assert type(write(4, deleted=True, to_version=1)) is Config.RolledBack
    assert {type(write(0)).TOPIC, *EVENT_NAMES} == set(EVENT_NAMES)


def test_a_life_from_creation_over_death_to_a_roll_back() -> None:
    events = [
        write(0, content={"a": 1}, schema_id="s", schema_version=2),
        write(1, content={"a": 2}, schema_id="s", schema_version=3),
        deleted_event(ID, 2, **COMMON),
        write(3, deleted=True, content="again"),
        write(4, content={"a": 1}, to_version=1),
    ]
    seen = []
    config: Config | None = None
    for event in events:
        config = advance(config, event)
        seen.append((config.version, config.content, config.schema_version, config.deleted))
    assert seen == [
        (1, {"a": 1}, 2, False),
        (2, {"a": 2}, 3, False),
        (3, None, None, True),
        (4, "again", None, False),
        (5, {"a": 1}, None, False),
    ]
    assert config is not None
    assert config.id == ID


def test_nothing_folded_is_no_config() -> None:
    assert fold([]) is None


def test_a_second_creation_is_a_broken_invariant() -> None:
    with pytest.raises(BrokenInvariant, match="starts with ConfigCreated"):
        fold([write(0), write(0)])


@pytest.mark.parametrize("first", [write(1), deleted_event(ID, 1, **COMMON)])
def test_a_history_without_its_beginning_is_a_broken_invariant(first: ConfigEvent) -> None:
    with pytest.raises(BrokenInvariant, match="starts with ConfigCreated"):
        fold([first])


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_version_that_does_not_follow_is_refused(version: int) -> None:
    event = deleted_event(ID, version, **COMMON)
    with pytest.raises(BrokenInvariant, match="does not follow"):
        fold([write(0), write(1), event])


def test_the_event_of_another_config_is_refused() -> None:
    other = deleted_event(config_id("p", "other"), 1, **COMMON)
    with pytest.raises(BrokenInvariant, match="does not follow"):
        fold([write(0), other])
