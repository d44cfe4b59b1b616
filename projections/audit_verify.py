"""Walks a project's hash chain and names the first revision that is not as it was recorded.

Every column that people read is compared with the committed bytes (`state`), the bytes and
their order with the chain, and the chain's end with `audit_heads`. Reads one snapshot of the
database, a page at a time; must never write, and never believe a column that it can recompute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import orjson
from eventsourcing.persistence import StoredEvent

from domain.codec import decode_event
from domain.config import Config, config_id
from domain.errors import UndecodableEntry
from projections.audit_chain import revision_hash
from projections.batch import Chain
from projections.revisions import Connection

PAGE = 100
"""About 10 ms of work without a pause: web processes answer others meanwhile."""
INLINE_BYTES = 128 * 1024
"""The same of what they hold."""

T = TypeVar("T")

_PROJECTS = """
SELECT p.id, coalesce(h.revisions, 0) AS revisions
FROM projects p LEFT JOIN audit_heads h ON h.project_id = p.id
WHERE p.deleted_at IS NULL ORDER BY p.id
"""
_HEAD = """
SELECT revisions, head_hash, head_position, head_sequence FROM audit_heads WHERE project_id = $1
"""
_WALK = """
SELECT id, sequence, position, change_id, change_index, config_key, version, event, state, hash,
    CASE WHEN created_at BETWEEN '1970-01-01Z' AND '9999-12-30Z' THEN created_at END AS created_at,
    content::text AS content, schema_id, schema_version, comment,
    created_by_user_id, created_by_email
FROM config_revisions WHERE project_id = $1 ORDER BY sequence
"""
_USERS = "SELECT id FROM users WHERE id = ANY($1::text[]) AND deleted_at IS NULL"


@dataclass(frozen=True, slots=True)
class BadRevision:
    """The first place where history is not what it was."""

    number: int
    """Its place in the project's chain: 1, 2, 3 …"""
    reason: str
    key: str | None = None
    """None where the revision itself is missing."""
    version: int | None = None
    position: int | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk found. The counts are of what was proved: all, or all before `first_bad`."""

    project_id: str
    intact: bool
    revisions: int
    head_hash: str
    head_position: int
    first_bad: BadRevision | None = None


async def project_ids(connection: Connection) -> dict[str, int]:
    """All projects, each with the number of revisions that it should have."""
    return {row["id"]: row["revisions"] for row in await connection.fetch(_PROJECTS)}


async def verify_project(
    connection: Connection, project_id: str, progress: Callable[[int], None] = lambda _: None
) -> Verdict:
    """Walk one project's chain. `progress` is called with the number of revisions proved.

    The connection must not be in a transaction.
    """
    walk = _Walk(project_id)
    bad: BadRevision | None = None
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        head = await connection.fetchrow(_HEAD, project_id)
        async for rows, gone in _pages(connection, project_id):
            bad = await _aside(rows, partial(walk.page, rows, gone))
            progress(walk.chain.revisions)
            if bad is not None:
                break
    if bad is None:
        bad = walk.end(head)
    chain = walk.chain
    return Verdict(
        project_id,
        bad is None,
        chain.revisions,
        chain.head_hash.hex(),
        chain.head_position,
        bad,
    )


async def _pages(
    connection: Connection, project_id: str
) -> AsyncIterator[tuple[Sequence[Any], set[str]]]:
    """Pages of rows, each with those of its authors that the database still holds."""
    cursor = await connection.cursor(_WALK, project_id)
    while rows := await cursor.fetch(PAGE):
        authors = await _aside(rows, partial(_authors, rows))
        held = await connection.fetch(_USERS, [a for a in authors if a is not None])
        yield rows, {row["id"] for row in held}


async def _aside(rows: Sequence[Any], work: Callable[[], T]) -> T:
    """What `work` returns. Beside the event loop where contents are large: one of 256 KiB that is
    all small numbers takes 60 ms, and a page has many."""
    if sum(len(row["state"]) for row in rows) <= INLINE_BYTES:
        return work()
    return await asyncio.to_thread(work)


def _authors(rows: Sequence[Any]) -> set[str | None]:
    return {_author(row["state"]) for row in rows if row["created_by_user_id"] is None}


def _author(state: bytes) -> str | None:
    """The user that the bytes name, for a look-up; wrong bytes are found by the chain."""
    try:
        user_id = orjson.loads(state)["actor"]["user_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return user_id if isinstance(user_id, str) and "\0" not in user_id else None


class _Walk:
    """The state of one walk: where the chain and each key stand."""

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id
        self.chain = Chain()
        self._sequence = 0
        self._place = (0, 0)
        self._change_id = ""
        self._heads: dict[str, tuple[int, bool]] = {}

    def page(self, rows: Sequence[Any], users: set[str]) -> BadRevision | None:
        """Prove these revisions; the first that is bad."""
        for row in rows:
            if (reason := self._fault(row, users)) is not None:
                return BadRevision(
                    self.chain.revisions + 1,
                    reason,
                    row["config_key"],
                    row["version"],
                    row["position"],
                    row["id"],
                )
        return None

    def end(self, head: Any) -> BadRevision | None:
        """Compare where the walk ended with where the chain was recorded to end."""
        chain = self.chain
        if head is None and chain.revisions == 0:
            return None
        recorded = tuple(head) if head is not None else None
        found = (chain.revisions, chain.head_hash, chain.head_position, self._sequence)
        if recorded == found:
            return None
        if recorded is None:
            reason = "audit_heads does not say where the chain ends"
        elif recorded[0] > chain.revisions:
            reason = f"{recorded[0] - chain.revisions} revisions at the end are missing"
        else:
            reason = "audit_heads says that the chain ends elsewhere"
        number = chain.revisions + (1 if recorded and recorded[0] > chain.revisions else 0)
        return BadRevision(max(number, 1), reason)

    def _fault(self, row: Any, users: set[str]) -> str | None:
        """What is wrong with the next revision; None moves the walk on."""
        if row["created_at"] is None:
            return "created_at is no time that the log can have"
        expected = revision_hash(
            self.chain.head_hash,
            project_id=self._project_id,
            key=row["config_key"],
            version=row["version"],
            topic=row["event"],
            position=row["position"],
            change_id=row["change_id"],
            change_index=row["change_index"],
            created_at=row["created_at"],
            state=row["state"],
        )
        if expected != row["hash"]:
            before = "the first" if self.chain.revisions == 0 else "the one before"
            return f"its hash is not that of its data behind {before}: changed, moved or removed"
        reason = (
            self._place_fault(row)
            or self._version_fault(row)
            or _columns_fault(self._project_id, row, users)
        )
        if reason is None:
            self._move_on(row)
        return reason

    def _place_fault(self, row: Any) -> str | None:
        """A change set is whole: its revisions stand together, numbered from 0."""
        position, index = self._place
        if row["position"] == position:
            if (row["change_id"], row["change_index"]) != (self._change_id, index + 1):
                return "it does not go on with the change set that its position belongs to"
        elif row["position"] < position or row["change_index"] != 0:
            return "its position or its place in the change set is out of order"
        return None

    def _version_fault(self, row: Any) -> str | None:
        """A key's versions count without a gap, and its events follow one another."""
        version, deleted = self._heads.get(row["config_key"], (0, False))
        if row["version"] != version + 1:
            return f"version {row['version']} follows version {version} of this key"
        topic = row["event"]
        if (topic == Config.Created.TOPIC) is not (version == 0):
            return f"{topic} as version {row['version']}"
        if deleted and topic in (Config.Updated.TOPIC, Config.Deleted.TOPIC):
            return f"{topic} of a config that is deleted"
        return None

    def _move_on(self, row: Any) -> None:
        self.chain.head_hash = row["hash"]
        self.chain.head_position = row["position"]
        self.chain.revisions += 1
        self._sequence = row["sequence"]
        self._place, self._change_id = (row["position"], row["change_index"]), row["change_id"]
        deleted = row["event"] == Config.Deleted.TOPIC
        self._heads[row["config_key"]] = (row["version"], deleted)


def _columns_fault(project_id: str, row: Any, users: set[str]) -> str | None:
    """What people read of a revision must be what its bytes say; the bytes are proved already."""
    stored = StoredEvent(
        config_id(project_id, row["config_key"]), row["version"], row["event"], row["state"]
    )
    try:
        event = decode_event(stored)
    except UndecodableEntry as error:
        return f"this software cannot read it: {error}"
    live = None if isinstance(event, Config.Deleted) else event
    author = event.actor.get("user_id")
    # The reference to a user who was deleted becomes NULL; the bytes still name them.
    expected_author = author if row["created_by_user_id"] or author in users else None
    expected = {
        "id": f"{row['change_id']}.{row['change_index']}",
        "schema_id": live.schema_id if live else None,
        "schema_version": live.schema_version if live else None,
        "comment": event.comment,
        "created_by_user_id": expected_author,
        "created_by_email": event.actor.get("email"),
    }
    for name, value in expected.items():
        if row[name] != value:
            return f"{name} is not what was committed"
    content = None if row["content"] is None else _exact(row["content"])
    committed = _exact(row["state"])["content"] if live else None
    # None is the absence of content: JSON null is "null" in the column.
    if content != committed or (row["content"] is None) is not (live is None):
        return "content is not what was committed"
    return None


def _tagged(number: str) -> tuple[str, Decimal]:
    return ("number", Decimal(number))


# Made once: json.loads makes another decoder for each call that says how to read numbers.
_EXACT = json.JSONDecoder(parse_int=_tagged, parse_float=_tagged)


def _exact(text: str | bytes) -> Any:
    """JSON as JSONB compares it: numbers by value, exactly, and never equal to true or false.

    Bytes are an event's that `decode_event` read before, so they are UTF-8.
    """
    return _EXACT.decode(text if isinstance(text, str) else text.decode())
