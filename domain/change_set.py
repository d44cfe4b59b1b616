"""Change sets: what one log entry holds, and the pure rule that accepts or rejects it.

An entry is lines of JSON: first the header, then each event's state, byte for byte as it
will stand in `config_revisions.state`. The rule depends on the log alone: never on a clock,
on who asked first, or on the engine's own compare-and-set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from eventsourcing.persistence import StoredEvent

from domain.config import Config, config_id, split_config_id
from domain.errors import Conflict, UndecodableEntry

ENTRY_FORMAT = 1
MAX_CHANGES = 500
"""Configs in one change set at most."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change: a user, or an application by its API key. Part of every event."""

    user_id: str | None = None
    email: str | None = None
    key_id: str | None = None
    key_name: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it is stored; fields that are None are left out."""
        fields = {
            "user_id": self.user_id,
            "email": self.email,
            "key_id": self.key_id,
            "key_name": self.key_name,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """1..N events of one project that are accepted together or not at all."""

    id: str
    project_id: str
    events: tuple[StoredEvent, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Where a config stands: its version, and whether that is a tombstone."""

    version: int
    deleted: bool


ABSENT = Head(version=0, deleted=False)


def encode_change_set(change_set: ChangeSet) -> bytes:
    """The bytes of the log entry."""
    header = {
        "format": ENTRY_FORMAT,
        "id": change_set.id,
        "project_id": change_set.project_id,
        "events": [
            [split_config_id(str(event.originator_id))[1], event.originator_version, event.topic]
            for event in change_set.events
        ],
    }
    return b"\n".join([orjson.dumps(header), *(event.state for event in change_set.events)])


def decode_change_set(data: bytes) -> ChangeSet:
    """The change set of an entry's bytes. Raises UndecodableEntry, also for a newer format."""
    lines = data.split(b"\n")
    try:
        header = orjson.loads(lines[0])
        if header["format"] != ENTRY_FORMAT:
            raise UndecodableEntry(
                f"entry format {header['format']!r}; this software knows {ENTRY_FORMAT}"
            )
        described = header["events"]
        if not described or len(described) != len(lines) - 1:
            raise UndecodableEntry(f"{len(described)} events announced, {len(lines) - 1} present")
        change_id, project_id = header["id"], header["project_id"]
        if not (isinstance(change_id, str) and isinstance(project_id, str)):
            raise UndecodableEntry("an id that is no text")
        events = tuple(
            _event(project_id, key, version, topic, state)
            for (key, version, topic), state in zip(described, lines[1:], strict=True)
        )
        return ChangeSet(change_id, project_id, events)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise UndecodableEntry(f"{type(error).__name__}: {error}") from error


def _event(project_id: str, key: Any, version: Any, topic: Any, state: bytes) -> StoredEvent:
    if not (isinstance(key, str) and isinstance(topic, str) and type(version) is int):
        raise UndecodableEntry("an event without a key, a version or a name")
    if not 1 <= version < 2**63:
        raise UndecodableEntry(f"an event of version {version}")
    return StoredEvent(config_id(project_id, key), version, topic, state)


def conflicts_of(change_set: ChangeSet, heads: Mapping[str, Head]) -> Sequence[Conflict]:
    """The rule of acceptance: every event's version is its config's current version plus one.

    `heads` maps `config_id` to where that config stands before this entry; what it does not
    hold never existed. Returns all conflicts; none means accepted.
    """
    moved: dict[str, int] = {}
    conflicts: list[Conflict] = []
    for event in change_set.events:
        originator = str(event.originator_id)
        head = heads.get(originator, ABSENT)
        current = moved.get(originator, head.version)
        if event.originator_version != current + 1:
            key = split_config_id(originator)[1]
            conflicts.append(Conflict(key, event.originator_version - 1, current, head.deleted))
        else:
            moved[originator] = event.originator_version
    return conflicts


def heads_after(change_set: ChangeSet) -> dict[str, Head]:
    """Where the configs of an accepted change set stand behind it, by `config_id`."""
    return {
        str(event.originator_id): Head(
            event.originator_version, event.topic == Config.Deleted.TOPIC
        )
        for event in change_set.events
    }
