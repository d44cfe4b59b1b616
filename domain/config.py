"""The Config aggregate: one key of one project, as the sum of its events.

Written with the eventsourcing library's base classes, explicit topics and plain
`apply()` methods. Must never read a clock or a random source: `timestamp` and `actor`
are given by the caller.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar

from eventsourcing.domain import (
    BaseAggregate,
    CanInitAggregate,
    CanMutateAggregate,
    MetaDomainEvent,
)
from eventsourcing.utils import get_topic

from domain.errors import BrokenInvariant, InvalidKey, UndecodableEntry

MAX_KEY_LENGTH = 200
_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def check_key(key: str) -> str:
    """Return the key if it is in the grammar, else raise InvalidKey with the reason."""
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise InvalidKey(key, f"a key has 1 to {MAX_KEY_LENGTH} characters, not {len(key)}")
    if not _KEY.fullmatch(key):
        raise InvalidKey(key, "dot-separated parts of A-Z a-z 0-9 _ - are allowed, none empty")
    return key


def config_id(project_id: str, key: str) -> str:
    """The aggregate's id. A project id holds no slash, so it can be taken apart again."""
    return f"{project_id}/{key}"


def split_config_id(originator_id: str) -> tuple[str, str]:
    """The (project id, key) that `config_id` was made of."""
    project_id, _, key = originator_id.partition("/")
    return project_id, key


class Config(BaseAggregate[str]):
    """A config at one version. Deleted, it goes on as a tombstone whose version counts on."""

    TOPIC: ClassVar[str] = "config"

    def __init__(self) -> None:
        self.content: Any = None
        self.schema_id: str | None = None
        self.schema_version: int | None = None
        self.deleted = False

    class Event(CanMutateAggregate[str], metaclass=MetaDomainEvent):
        """What every event of a config carries. `actor`: see `domain.change_set.Actor`."""

        originator_id: str
        originator_version: int
        timestamp: datetime
        actor: dict[str, Any]
        comment: str | None

    class ContentEvent(Event):
        """An event that gives the config new content, bound to a schema or to none."""

        # The library asks for a topic on every class; nothing is stored under this one.
        TOPIC: ClassVar[str] = "config:content"
        content: Any
        schema_id: str | None
        schema_version: int | None

        def apply(self, aggregate: Any) -> None:
            """Take over content and binding; whatever was deleted lives again."""
            aggregate.content = self.content
            aggregate.schema_id = self.schema_id
            aggregate.schema_version = self.schema_version
            aggregate.deleted = False

    class Created(CanInitAggregate[str], ContentEvent):
        """The first version of a key."""

        TOPIC: ClassVar[str] = "config:created"
        originator_topic: str

    class Updated(ContentEvent):
        """New content over the old."""

        TOPIC: ClassVar[str] = "config:updated"

    class Restored(ContentEvent):
        """New content over a tombstone."""

        TOPIC: ClassVar[str] = "config:restored"

    class RolledBack(ContentEvent):
        """The content of an earlier version, made new."""

        TOPIC: ClassVar[str] = "config:rolled-back"
        to_version: int

    class Deleted(Event):
        """The config is gone; a tombstone remains."""

        TOPIC: ClassVar[str] = "config:deleted"

        def apply(self, aggregate: Any) -> None:
            """Drop content and binding."""
            aggregate.content = None
            aggregate.schema_id = None
            aggregate.schema_version = None
            aggregate.deleted = True


EVENT_NAMES: dict[str, str] = {
    Config.Created.TOPIC: "ConfigCreated",
    Config.Updated.TOPIC: "ConfigUpdated",
    Config.Restored.TOPIC: "ConfigRestored",
    Config.RolledBack.TOPIC: "ConfigRolledBack",
    Config.Deleted.TOPIC: "ConfigDeleted",
}
"""From a stored topic to the name that people see."""

ConfigEvent = Config.Created | Config.Updated | Config.Restored | Config.RolledBack | Config.Deleted


def check_place(originator_id: str, version: int, topic: str) -> None:
    """Whether this event may be this version of a config.

    Raises UndecodableEntry for an event that this software does not know, BrokenInvariant.
    """
    if topic not in EVENT_NAMES:
        raise UndecodableEntry(f"{originator_id} version {version}: unknown event {topic!r}")
    if (topic == Config.Created.TOPIC) is not (version == 1):
        raise BrokenInvariant(
            f"{originator_id} version {version} is {EVENT_NAMES[topic]}: a config starts with"
            " ConfigCreated, and only with it"
        )


def check_history(originator_id: str, revisions: int, newest: int) -> None:
    """Whether so many revisions may lead to the newest version. Raises BrokenInvariant."""
    if revisions != newest:
        raise BrokenInvariant(
            f"{originator_id} has {revisions} revisions, and the newest is version {newest}"
        )


def settle(event: ConfigEvent) -> Config:
    """The config behind this event, as a fold of its history makes it, but for `created_on`.

    Every event says the whole state that it leaves, so of a history without a gap only the newest
    need be applied. A test holds every event to that.
    """
    config = Config.__new__(Config)
    config.__base_init__(event.originator_id, event.originator_version, event.timestamp)
    Config.__init__(config)
    event.apply(config)
    return config


def originator_topic() -> str:
    """What a ConfigCreated names as its aggregate."""
    return get_topic(Config)


def content_event(
    originator_id: str,
    current_version: int,
    current_deleted: bool,
    *,
    content: Any,
    schema_id: str | None,
    schema_version: int | None,
    timestamp: datetime,
    actor: dict[str, Any],
    comment: str | None,
    to_version: int | None = None,
) -> ConfigEvent:
    """The event that gives a config this content, right for the state that it is in.

    `current_version` is 0 for a config that never was.
    """
    common: dict[str, Any] = {
        "originator_id": originator_id,
        "originator_version": current_version + 1,
        "timestamp": timestamp,
        "actor": actor,
        "comment": comment,
        "content": content,
        "schema_id": schema_id,
        "schema_version": schema_version,
    }
    if current_version == 0:
        return Config.Created(**common | {"originator_topic": originator_topic()})
    if to_version is not None:
        return Config.RolledBack(**common | {"to_version": to_version})
    return Config.Restored(**common) if current_deleted else Config.Updated(**common)


def deleted_event(
    originator_id: str,
    current_version: int,
    *,
    timestamp: datetime,
    actor: dict[str, Any],
    comment: str | None,
) -> ConfigEvent:
    """The event that leaves a tombstone."""
    fields: dict[str, Any] = {
        "originator_id": originator_id,
        "originator_version": current_version + 1,
        "timestamp": timestamp,
        "actor": actor,
        "comment": comment,
    }
    return Config.Deleted(**fields)
