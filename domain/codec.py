"""Events to stored bytes and back, with the eventsourcing library's Mapper.

The bytes are an orjson document. The library's JSONTranscoder must never be used here: it
interprets `_type_` keys, and content is the user's.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import cache
from typing import Any, cast

import orjson
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder
from eventsourcing.utils import resolve_topic

from domain.config import EVENT_NAMES, ConfigEvent
from domain.errors import UndecodableEntry


class OrjsonTranscoder(Transcoder):
    """Event state as one orjson document; `timestamp` is the one field that is not JSON."""

    def __init__(self) -> None:
        self.types: dict[type, Any] = {}
        self.names: dict[str, Any] = {}

    def encode(self, obj: Any) -> bytes:
        """UTF-8 JSON without white space; never contains a newline."""
        return orjson.dumps(obj)

    def decode(self, data: bytes) -> Any:
        """The state that `encode` was given."""
        state = orjson.loads(data)
        state["timestamp"] = datetime.fromisoformat(state["timestamp"])
        return state


_MAPPER: Mapper[str] = Mapper(OrjsonTranscoder())


def encode_event(event: ConfigEvent) -> StoredEvent:
    """The event's topic and the exact bytes that will be committed and hashed.

    As the Mapper does it, which takes twice as long; a test holds the two together.
    """
    state = dict(vars(event))
    originator_id, version = state.pop("originator_id"), state.pop("originator_version")
    if (class_version := _class_version(type(event))) > 1:
        state["class_version"] = class_version
    return StoredEvent(originator_id, version, event.TOPIC, orjson.dumps(state))


def decode_event(stored: StoredEvent) -> ConfigEvent:
    """The event of these bytes, upcast to today's class version.

    Raises UndecodableEntry for a topic or a class version that this software does not know
    (a newer one wrote it), and for bytes that are not an event.

    An event of today's class version is made as the Mapper makes it, without its way through an id
    convertor, which takes longer than the JSON.
    """
    topic = stored.topic
    if topic not in EVENT_NAMES:
        raise UndecodableEntry(f"unknown event {topic!r}")
    try:
        kind = resolve_topic(topic)
        fields = orjson.loads(stored.state)
        known = _class_version(kind)
        # The library ignores a class version above its own; a newer event must halt us.
        written = fields.pop("class_version", 1)
        if written > known:
            raise UndecodableEntry(
                f"{topic} of class version {written}; this software knows {known}"
            )
        if written < known:
            return cast(ConfigEvent, _MAPPER.to_domain_event(stored))
        fields["timestamp"] = datetime.fromisoformat(fields["timestamp"])
        fields["originator_id"] = str(stored.originator_id)
        fields["originator_version"] = stored.originator_version
        if missing := _field_names(kind) - fields.keys():
            raise UndecodableEntry(f"{topic} without {', '.join(sorted(missing))}")
        if not isinstance(fields["actor"].get("user_id"), str | None):
            raise UndecodableEntry(f"{topic}: a user's id that is no text")
        event: ConfigEvent = object.__new__(kind)
        # Events are frozen, so they are filled from below, as the Mapper does.
        object.__setattr__(event, "__dict__", fields)
        return event
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UndecodableEntry(f"{topic}: {error}") from error


@cache
def _field_names(kind: type) -> frozenset[str]:
    """What the bytes, or who describes them, must say of an event of this kind."""
    return frozenset(field.name for field in dataclasses.fields(kind))


@cache
def _class_version(kind: type) -> int:
    # The library's default. To look for what a class lacks takes as long as half an apply().
    version: int = getattr(kind, "class_version", 1)
    return version
