"""Events to bytes and back. The files in golden/ are frozen: every later version must read them.

A golden file is an entry of the log as some released version wrote it, with what it meant. When
an event gets a new class version, add files; never change or remove one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from eventsourcing.domain import CanMutateAggregate, MetaDomainEvent
from eventsourcing.persistence import Mapper, StoredEvent
from eventsourcing.utils import register_topic
from hypothesis import given
from hypothesis import strategies as st

import domain.config
from domain.change_set import ChangeSet, decode_change_set, encode_change_set
from domain.codec import OrjsonTranscoder, decode_event, encode_event
from domain.config import EVENT_NAMES, Config, ConfigEvent, config_id, content_event, deleted_event
from domain.errors import UndecodableEntry
from tests.properties.documents import documents, texts

GOLDEN = Path(__file__).parent / "golden"
ENTRIES = sorted(GOLDEN.glob("*.entry"))
TIMES = st.integers(0, 10**16).map(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
FIELDS = ("content", "schema_id", "schema_version", "comment", "actor", "to_version")


def meaning_of(change_set: ChangeSet) -> dict[str, Any]:
    """What an entry says, in terms that no version may change."""
    events = []
    for stored in change_set.events:
        event = decode_event(stored)
        events.append(
            {
                "event": EVENT_NAMES[stored.topic],
                "id": event.originator_id,
                "version": event.originator_version,
                "timestamp": event.timestamp.isoformat(),
                **{name: getattr(event, name) for name in FIELDS if hasattr(event, name)},
            }
        )
    return {"id": change_set.id, "project_id": change_set.project_id, "events": events}


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_a_frozen_entry_still_means_what_it_meant(path: Path) -> None:
    meaning = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert meaning_of(decode_change_set(path.read_bytes())) == meaning


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_a_frozen_entry_is_written_the_same_by_this_version(path: Path) -> None:
    """Fails when the format changes: then the change needs a class version and new files."""
    raw = path.read_bytes()
    change_set = decode_change_set(raw)
    again = tuple(encode_event(decode_event(stored)) for stored in change_set.events)
    written = encode_change_set(ChangeSet(change_set.id, change_set.project_id, again))
    assert written == raw


def test_there_is_a_frozen_entry_of_every_event_and_class_version() -> None:
    frozen = set()
    for path in ENTRIES:
        for stored in decode_change_set(path.read_bytes()).events:
            version = orjson.loads(stored.state).get("class_version", 1)
            frozen.add((stored.topic, version))
    classes: list[Any] = [
        Config.Created,
        Config.Updated,
        Config.Restored,
        Config.RolledBack,
        Config.Deleted,
    ]
    assert {kind.TOPIC for kind in classes} == set(EVENT_NAMES)
    assert frozen == {
        (kind.TOPIC, version)
        for kind in classes
        for version in range(1, getattr(kind, "class_version", 1) + 1)
    }


@st.composite
def events(draw: st.DrawFn) -> ConfigEvent:
    common: dict[str, Any] = {
        "timestamp": draw(TIMES),
        "actor": draw(st.dictionaries(st.sampled_from(["user_id", "email"]), texts())),
        "comment": draw(st.none() | texts()),
    }
    version = draw(st.integers(0, 2**40))
    originator_id = config_id("p", "k")
    if version and draw(st.booleans()):
        return deleted_event(originator_id, version, **common)
    return content_event(
        originator_id,
        version,
        draw(st.booleans()),
        content=draw(documents()),
        schema_id=draw(st.none() | texts()),
        schema_version=draw(st.none() | st.integers(1, 2**31 - 1)),
        to_version=draw(st.none() | st.integers(1, 2**40)),
        **common,
    )


@given(events())
def test_an_event_comes_back_equal_and_is_written_the_same_again(event: ConfigEvent) -> None:
    stored = encode_event(event)
    assert b"\n" not in stored.state
    found = decode_event(stored)
    assert type(found) is type(event)
    assert found.__dict__ == event.__dict__
    assert encode_event(found) == stored


@given(events())
def test_an_event_is_written_as_the_librarys_mapper_writes_it(event: ConfigEvent) -> None:
    mapper: Mapper[str] = Mapper(OrjsonTranscoder())
    assert encode_event(event) == mapper.to_stored_event(event)


def test_content_that_looks_like_the_librarys_markers_stays_content() -> None:
    content = {"_type_": "datetime_iso", "_data_": "2026-01-01", "class_version": 9}
    event = content_event(
        config_id("p", "k"),
        0,
        False,
        content=content,
        schema_id=None,
        schema_version=None,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        actor={},
        comment='"class_version": 7',
    )
    assert decode_event(encode_event(event)).__dict__["content"] == content


def created_state(**changes: Any) -> bytes:
    state: dict[str, Any] = {
        "timestamp": "2026-01-01T12:00:00+00:00",
        "actor": {},
        "comment": None,
        "content": 1,
        "schema_id": None,
        "schema_version": None,
        "originator_topic": "config",
    }
    return orjson.dumps(state | changes)


@pytest.mark.parametrize(
    ("topic", "state", "reason"),
    [
        ("config:renamed", created_state(), "unknown event 'config:renamed'"),
        ("config:content", created_state(), "unknown event"),
        ("os:system", created_state(), "unknown event"),
        ("", created_state(), "unknown event"),
        ("config:created", created_state(class_version=2), "class version 2; this software knows"),
        ("config:created", b"", "config:created"),
        ("config:created", b"null", "config:created"),
        ("config:created", b"[]", "config:created"),
        ("config:created", b"{}", "config:created"),
        ("config:created", b"\xff", "config:created"),
        ("config:created", created_state(timestamp="yesterday"), "config:created"),
        ("config:created", created_state(timestamp=7), "config:created"),
        ("config:created", created_state(actor=None), "config:created"),
        ("config:created", created_state(actor={"user_id": []}), "a user's id that is no text"),
        ("config:rolled-back", created_state(), "config:rolled-back without to_version"),
        ("config:deleted", b'{"timestamp": "2026-01-01T12:00:00Z"}', "without actor, comment"),
    ],
)
def test_what_this_version_does_not_know_is_undecodable(
    topic: str, state: bytes, reason: str
) -> None:
    with pytest.raises(UndecodableEntry, match=reason):
        decode_event(StoredEvent(config_id("p", "k"), 1, topic, state))


# Upcasting, shown on an event class of the tests alone: nothing was ever released at version 2.


class Tagged(CanMutateAggregate[str], metaclass=MetaDomainEvent):
    """Version 1 had `tag`; version 2 has `tags`."""

    TOPIC: ClassVar[str] = "test:tagged"
    class_version: ClassVar[int] = 2
    originator_id: str
    originator_version: int
    timestamp: datetime
    tags: list[str]

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Called by the library with the state of a version 1 event."""
        state["tags"] = [state.pop("tag")]


register_topic(Tagged.TOPIC, Tagged)


def test_an_older_class_version_is_upcast_and_a_newer_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(domain.config.EVENT_NAMES, Tagged.TOPIC, "Tagged")
    old = {"timestamp": "2026-01-01T12:00:00+00:00", "tag": "x", "actor": {}}

    def decode(state: dict[str, Any]) -> Any:
        return decode_event(StoredEvent("p/k", 1, Tagged.TOPIC, orjson.dumps(state)))

    assert decode(old).tags == ["x"]
    new = decode(old | {"class_version": 2, "tags": ["y"]})
    assert (new.tags, "class_version" in vars(new)) == (["y"], False)
    written = encode_event(decode(old))
    assert orjson.loads(written.state)["class_version"] == 2
    with pytest.raises(UndecodableEntry, match="class version 3; this software knows 2"):
        decode(old | {"class_version": 3})


def test_the_transcoder_has_no_types_of_its_own() -> None:
    assert OrjsonTranscoder().types == {}
