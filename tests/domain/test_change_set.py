"""Entries of the log and the rule that accepts them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given
from hypothesis import strategies as st

from domain.change_set import (
    ABSENT,
    Actor,
    ChangeSet,
    Head,
    conflicts_of,
    decode_change_set,
    encode_change_set,
    heads_after,
)
from domain.codec import encode_event
from domain.config import Config, config_id, content_event
from domain.errors import Conflict, UndecodableEntry, VersionConflict
from tests.properties.documents import documents

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def change(*events: tuple[str, int], topic: str = "config:updated") -> ChangeSet:
    stored = (StoredEvent(config_id("p", key), version, topic, b"{}") for key, version in events)
    return ChangeSet("id", "p", tuple(stored))


def test_an_actor_is_stored_without_what_it_is_not() -> None:
    assert Actor(user_id="u", email="e").as_dict() == {"user_id": "u", "email": "e"}
    assert Actor().as_dict() == {}


@given(st.lists(st.tuples(st.sampled_from(["a", "b.c", "_"]), documents()), min_size=1, max_size=5))
def test_an_entry_comes_back_byte_for_byte(contents: list[tuple[str, Any]]) -> None:
    events = [
        encode_event(
            content_event(
                config_id("p", key),
                place,
                False,
                content=content,
                schema_id=None,
                schema_version=None,
                timestamp=NOON,
                actor={"email": "e"},
                comment="line\nbreak",
            )
        )
        for place, (key, content) in enumerate(contents)
    ]
    change_set = ChangeSet("c1", "p", tuple(events))
    assert decode_change_set(encode_change_set(change_set)) == change_set


def header(**changes: Any) -> bytes:
    fields = {"format": 1, "id": "c", "project_id": "p", "events": [["k", 1, "config:created"]]}
    return orjson.dumps(fields | changes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"not json",
        b"\xff\xfe",
        b"null\n{}",
        b"[]\n{}",
        b'{"format": 1}\n{}',
        header(),
        header() + b"\n{}\n{}",
        header(events=[]),
        header(format=2) + b"\n{}",
        header(format=0) + b"\n{}",
        header(format="1") + b"\n{}",
        header(events=[["k", 1]]) + b"\n{}",
        header(events=[7]) + b"\n{}",
        header(events=None) + b"\n{}",
        header(id=None) + b"\n{}",
        header(project_id=[]) + b"\n{}",
        header(events=[[1, 1, "config:created"]]) + b"\n{}",
        header(events=[["k", "1", "config:created"]]) + b"\n{}",
        header(events=[["k", True, "config:created"]]) + b"\n{}",
        header(events=[["k", 0, "config:created"]]) + b"\n{}",
        header(events=[["k", 2**63, "config:created"]]) + b"\n{}",
        header(events=[["k", 1, []]]) + b"\n{}",
    ],
)
def test_what_is_no_entry_of_ours_is_undecodable(data: bytes) -> None:
    with pytest.raises(UndecodableEntry):
        decode_change_set(data)


def test_a_newer_format_is_named() -> None:
    with pytest.raises(UndecodableEntry, match="entry format 2; this software knows 1"):
        decode_change_set(header(format=2) + b"\n{}")


def test_events_that_are_too_many_or_missing_are_counted() -> None:
    with pytest.raises(UndecodableEntry, match="1 events announced, 2 present"):
        decode_change_set(header() + b"\n{}\n{}")


@pytest.mark.parametrize(
    ("conflicts", "told"),
    [
        ([Conflict("a", 1, 2)], "config 'a' is at version 2, not 1"),
        (
            [Conflict("a", 0, 2), Conflict("b", 1, 0)],
            "config 'a' is at version 2, not 0 (and 1 more)",
        ),
    ],
)
def test_a_conflict_tells_the_first_config_and_how_many_more(
    conflicts: list[Conflict], told: str
) -> None:
    assert str(VersionConflict(conflicts)) == told


@pytest.mark.parametrize(
    ("heads", "events", "conflicts"),
    [
        ({}, [("a", 1)], []),
        ({}, [("a", 2)], [Conflict("a", 1, 0)]),
        ({"a": Head(1, False)}, [("a", 1)], [Conflict("a", 0, 1)]),
        ({"a": Head(1, False)}, [("a", 2)], []),
        ({"a": Head(2, True)}, [("a", 3)], []),
        ({"a": Head(2, True)}, [("a", 1)], [Conflict("a", 0, 2, deleted=True)]),
        ({"a": Head(1, False)}, [("b", 1), ("a", 1)], [Conflict("a", 0, 1)]),
        ({}, [("a", 3), ("b", 4)], [Conflict("a", 2, 0), Conflict("b", 3, 0)]),
        # One config twice in one change set: each stands on the one before it.
        ({}, [("a", 1), ("a", 2)], []),
        ({}, [("a", 1), ("a", 1)], [Conflict("a", 0, 1)]),
    ],
)
def test_a_version_is_accepted_on_the_one_before_it(
    heads: dict[str, Head], events: list[tuple[str, int]], conflicts: list[Conflict]
) -> None:
    known = {config_id("p", key): head for key, head in heads.items()}
    before = dict(known)
    assert list(conflicts_of(change(*events), known)) == conflicts
    assert known == before


def test_where_configs_stand_behind_a_change_set() -> None:
    assert Head(0, False) == ABSENT
    assert heads_after(change(("a", 3), topic=Config.Deleted.TOPIC)) == {
        config_id("p", "a"): Head(3, True)
    }
