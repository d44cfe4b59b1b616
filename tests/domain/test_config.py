"""The Config aggregate: keys, ids, and what each event makes of a config."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.config import (
    EVENT_NAMES,
    Config,
    ConfigEvent,
    check_history,
    check_key,
    check_place,
    config_id,
    content_event,
    deleted_event,
    settle,
    split_config_id,
)
from domain.errors import BrokenInvariant, InvalidKey, UndecodableEntry
from tests.properties.documents import documents

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


def test_a_key_that_is_refused_is_told_in_part() -> None:
    with pytest.raises(InvalidKey, match="1 to 200 characters, not 100000") as caught:
        check_key("k" * 100_000)
    assert len(str(caught.value)) < 400


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
    seen = [
        (config.version, config.content, config.schema_version, config.deleted)
        for config in map(settle, events)
    ]
    assert seen == [
        (1, {"a": 1}, 2, False),
        (2, {"a": 2}, 3, False),
        (3, None, None, True),
        (4, "again", None, False),
        (5, {"a": 1}, None, False),
    ]
    assert settle(events[-1]).id == ID


@st.composite
def histories(draw: st.DrawFn) -> list[ConfigEvent]:
    """Histories of one config with every kind of event."""
    events: list[ConfigEvent] = []
    deleted = False
    for version in range(draw(st.integers(1, 6))):
        common = COMMON | {"timestamp": NOON + timedelta(seconds=version)}
        if version and not deleted and draw(st.booleans()):
            events.append(deleted_event(ID, version, **common))
            deleted = True
            continue
        schema_id = draw(st.sampled_from([None, "s", "t"]))
        schema_version = None if schema_id is None else draw(st.integers(1, 3))
        to_version = draw(st.none() | st.integers(1, version)) if version else None
        event = write(
            version,
            deleted,
            content=draw(documents()),
            schema_id=schema_id,
            schema_version=schema_version,
            to_version=to_version,
            **common,
        )
        events.append(event)
        deleted = False
    return events


# How quickly histories are made, and one is folded, is the machine's matter.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_the_newest_event_says_all_that_the_fold_of_the_library_makes(
    events: list[ConfigEvent],
) -> None:
    """What `settle` stands on: an event that changes a part only must not be added without it."""
    folded: Config | None = None
    for event in events:
        folded = event.mutate(folded)
        assert folded is not None
        settled = settle(event)
        assert vars(settled) | {"_created_on": NOON} == vars(folded)


@pytest.mark.parametrize(
    ("event", "version"),
    [(write(0), 2), (write(1), 1), (write(1, True), 1), (deleted_event(ID, 0, **COMMON), 1)],
)
def test_a_config_starts_with_its_creation_and_only_with_it(
    event: ConfigEvent, version: int
) -> None:
    check_place(ID, 3 - version, event.TOPIC)
    with pytest.raises(BrokenInvariant, match=rf"p/a\.b version {version} .* starts with"):
        check_place(ID, version, event.TOPIC)


@pytest.mark.parametrize("version", [1, 2])
def test_an_event_that_nobody_knows_is_undecodable(version: int) -> None:
    with pytest.raises(UndecodableEntry, match=r"p/a\.b version .*unknown event 'config:moved'"):
        check_place(ID, version, "config:moved")


@pytest.mark.parametrize("revisions", [1, 3])
def test_a_history_with_a_gap_is_a_broken_invariant(revisions: int) -> None:
    check_history(ID, 2, 2)
    with pytest.raises(BrokenInvariant, match=r"p/a\.b has . revisions, .* version 2"):
        check_history(ID, revisions, 2)
