"""What a run of log entries does to the database, decided in memory by the rule of acceptance.

Pure: takes what the database holds (`World`) and entries in log order, gives the rows to
write (`BatchResult`). Must never do I/O, so that tests can split a log in any way and get
the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from eventsourcing.persistence import StoredEvent

from consensus.log import Entry, EntryKind
from domain.change_set import ChangeSet, Head, conflicts_of, decode_change_set, heads_after
from domain.codec import decode_event
from domain.config import Config, ConfigEvent, split_config_id
from domain.errors import Conflict, UndecodableEntry
from domain.json_document import encode_json
from projections.audit_chain import GENESIS, revision_hash


@dataclass(frozen=True)
class Revision(StoredEvent):
    """One event as it is recorded: a row of `config_revisions`."""

    position: int
    change_id: str
    change_index: int
    created_at: datetime
    """The log's time, never before that of the revision before."""
    content: str | None
    """JSON text; None for a tombstone."""
    schema_id: str | None
    schema_version: int | None
    comment: str | None
    created_by_user_id: str | None
    created_by_email: str | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """A change set that the rule rejected: a row of `rejected_changes`."""

    change_id: str
    project_id: str
    position: int
    conflicts: tuple[Conflict, ...]
    created_at: datetime


@dataclass(slots=True)
class Chain:
    """Where a project's hash chain ends: a row of `audit_heads`."""

    revisions: int = 0
    head_hash: bytes = GENESIS
    head_position: int = 0


@dataclass(frozen=True, slots=True)
class Touched:
    """Ids of all that entries speak of."""

    projects: set[str]
    users: set[str]
    configs: set[str]
    """As `config_id` makes them."""
    changes: set[str]


@dataclass(slots=True)
class World:
    """What the database holds of all that the entries touch. `apply_entries` moves it on."""

    projects: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    heads: dict[str, Head] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)
    known_changes: set[str] = field(default_factory=set)
    last_time: datetime | None = None


@dataclass(slots=True)
class BatchResult:
    """The rows that a batch adds, and where it ends."""

    position: int
    revisions: list[Revision] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    chains: dict[str, Chain] = field(default_factory=dict)
    skipped: int = 0
    """Entries of projects that are not held, that came twice, or that an operator skipped."""
    last_time: datetime | None = None
    change_position: int = 0
    change_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class DecodedEntry:
    """An entry with what it says; a barrier says nothing, nor does what an operator skips."""

    entry: Entry
    change_set: ChangeSet | None
    events: tuple[ConfigEvent, ...]


def decode_entry(entry: Entry) -> DecodedEntry:
    """Read an entry whole, so that nothing undecodable is found half way through a batch.

    Raises UndecodableEntry with the position.
    """
    if entry.kind is EntryKind.BARRIER:
        return DecodedEntry(entry, None, ())
    try:
        change_set = decode_change_set(entry.data)
        return DecodedEntry(entry, change_set, tuple(map(decode_event, change_set.events)))
    except UndecodableEntry as error:
        raise UndecodableEntry(error.detail, entry.position) from error


def touched_by(decoded: Sequence[DecodedEntry]) -> Touched:
    """What a batch needs to know of."""
    changes = [item.change_set for item in decoded if item.change_set is not None]
    return Touched(
        projects={change.project_id for change in changes},
        users={
            event.actor["user_id"]
            for item in decoded
            for event in item.events
            if event.actor.get("user_id") is not None
        },
        configs={str(event.originator_id) for change in changes for event in change.events},
        changes={change.id for change in changes},
    )


def apply_entries(world: World, decoded: Sequence[DecodedEntry]) -> BatchResult:
    """Decide every entry in order and return the rows. `decoded` is not empty.

    Time never runs backwards with the position: a clock that was set back, or a new leader
    with a slow one, repeats the latest time (barriers do not count: they expire).
    """
    result = BatchResult(position=decoded[-1].entry.position, last_time=world.last_time)
    for item in decoded:
        entry, change_set = item.entry, item.change_set
        if entry.kind is EntryKind.BARRIER:
            continue
        result.change_position = entry.position
        result.change_digest = hashlib.sha256(entry.data).digest()
        if change_set is None:
            result.skipped += 1
            continue
        now = max(entry.time, world.last_time) if world.last_time else entry.time
        world.last_time = result.last_time = now
        if change_set.project_id not in world.projects or change_set.id in world.known_changes:
            result.skipped += 1
            continue
        world.known_changes.add(change_set.id)
        if conflicts := conflicts_of(change_set, world.heads):
            result.rejections.append(
                Rejection(
                    change_set.id, change_set.project_id, entry.position, tuple(conflicts), now
                )
            )
            continue
        world.heads.update(heads_after(change_set))
        _record(world, result, item, change_set, now)
    return result


def _record(
    world: World, result: BatchResult, item: DecodedEntry, change_set: ChangeSet, now: datetime
) -> None:
    chain = world.chains.setdefault(change_set.project_id, Chain())
    result.chains[change_set.project_id] = chain
    for index, (stored, event) in enumerate(zip(change_set.events, item.events, strict=True)):
        key = split_config_id(str(stored.originator_id))[1]
        chain.head_hash = revision_hash(
            chain.head_hash,
            project_id=change_set.project_id,
            key=key,
            version=stored.originator_version,
            topic=stored.topic,
            position=item.entry.position,
            change_id=change_set.id,
            change_index=index,
            created_at=now,
            state=stored.state,
        )
        chain.revisions += 1
        chain.head_position = item.entry.position
        live = None if isinstance(event, Config.Deleted) else event
        user_id = event.actor.get("user_id")
        result.revisions.append(
            Revision(
                originator_id=stored.originator_id,
                originator_version=stored.originator_version,
                topic=stored.topic,
                state=stored.state,
                position=item.entry.position,
                change_id=change_set.id,
                change_index=index,
                created_at=now,
                content=encode_json(live.content).decode() if live else None,
                schema_id=live.schema_id if live else None,
                schema_version=live.schema_version if live else None,
                comment=event.comment,
                # A user that this database does not hold (any more) stands in `state` only.
                created_by_user_id=user_id if user_id in world.users else None,
                created_by_email=event.actor.get("email"),
                hash=chain.head_hash,
            )
        )
