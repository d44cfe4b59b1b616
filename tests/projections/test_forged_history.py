"""Goal: whoever may write into the database cannot forge a history that the rule would not make.

Method: histories whose hashes and chain ends are right, because the forger works them out anew, and
in each of which one thing is as the projector never records it; so that the rules behind the
hashes find it, by its reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from domain.codec import encode_event
from domain.config import ConfigEvent
from projections.audit_chain import GENESIS, revision_hash
from projections.audit_verify import verify_project
from projections.batch import Revision
from projections.revisions import RevisionsRecorder
from tests.projections.projector_world import NOON, World, delete, write
from tests.support.rows import insert_project

HASHED: dict[str, Any] = {
    "project_id": "p",
    "key": "a.b",
    "version": 12,
    "topic": "config:updated",
    "position": 345,
    "change_id": "c",
    "change_index": 6,
    "created_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
    "state": b'{"content":1}',
}
WRITTEN = (
    b'1:p3:a.b2:1214:config:updated3:3451:c1:632:2026-01-01T12:00:00.000000+00:0013:{"content":1}'
)


def test_a_hash_covers_all_that_makes_a_revision_each_with_its_length() -> None:
    assert revision_hash(GENESIS, **HASHED) == hashlib.sha256(bytes(32) + WRITTEN).digest()


def recorded(event: ConfigEvent, position: int, index: int = 0, **columns: Any) -> Revision:
    """The row of an event, but for what is forged."""
    stored = encode_event(event)
    content = None if event.TOPIC == "config:deleted" else str(event.__dict__["content"])
    row: dict[str, Any] = {
        "originator_id": stored.originator_id,
        "originator_version": stored.originator_version,
        "topic": stored.topic,
        "state": stored.state,
        "position": position,
        "change_id": f"{{project}}-{position}",
        "change_index": index,
        "created_at": NOON,
        "content": content,
        "schema_id": None,
        "schema_version": None,
        "comment": None,
        "created_by_user_id": event.actor.get("user_id"),
        "created_by_email": event.actor.get("email"),
        "hash": b"",
    }
    return Revision(**row | columns)


def born_twice() -> ConfigEvent:
    event = write("a", 1)
    event.__dict__["originator_version"] = 2
    return event


A1, B1 = write("a", 1), write("b", 1)
BROKEN_SET = "it does not go on with the change set that its position belongs to"
OUT_OF_ORDER = "its position or its place in the change set is out of order"
# The last revision of each is the bad one.
FORGED = {
    "a place in the change set is left out": (
        [recorded(A1, 1), recorded(B1, 1, 2)], BROKEN_SET),
    "a position holds two change sets": (
        [recorded(A1, 1), recorded(B1, 1, 1, change_id="{project}-other")], BROKEN_SET),
    "a position goes back": ([recorded(A1, 5), recorded(B1, 4)], OUT_OF_ORDER),
    "a change set begins with its second": ([recorded(A1, 1, 1)], OUT_OF_ORDER),
    "a version is left out": (
        [recorded(A1, 1), recorded(write("a", 3), 2)], "version 3 follows version 1 of this key"),
    "a config is born twice": (
        [recorded(A1, 1), recorded(born_twice(), 2)], "config:created as version 2"),
    "a tombstone is changed": (
        [recorded(A1, 1), recorded(delete("a", 2), 2), recorded(write("a", 3), 3)],
        "config:updated of a config that is deleted"),
    "a tombstone is deleted": (
        [recorded(A1, 1), recorded(delete("a", 2), 2), recorded(delete("a", 3), 3)],
        "config:deleted of a config that is deleted"),
    "a content is true and not 1": (
        [recorded(A1, 1, content="true")], "content is not what was committed"),
    "a content differs behind what a double holds": (
        [recorded(write("a", 1, content=0.1), 1, content="0.1000000000000000055")],
        "content is not what was committed"),
    "a tombstone has the content null": (
        [recorded(A1, 1), recorded(delete("a", 2), 2, content="null")],
        "content is not what was committed"),
    "a binding is to another version of the schema": (
        [recorded(write("a", 1, schema_id="s", schema_version=1), 1, schema_id="s",
                  schema_version=2)],
        "schema_version is not what was committed"),
}  # fmt: skip


async def forge(connection: asyncpg.Connection, project: str, revisions: list[Revision]) -> None:
    """Record them as `project`'s, with right hashes, where no trigger protects the tables."""
    chained, head = [], GENESIS
    for revision in revisions:
        key = str(revision.originator_id).partition("/")[2]
        change_id = revision.change_id.format(project=project)
        head = revision_hash(
            head,
            project_id=project,
            key=key,
            version=revision.originator_version,
            topic=revision.topic,
            position=revision.position,
            change_id=change_id,
            change_index=revision.change_index,
            created_at=revision.created_at,
            state=revision.state,
        )
        chained.append(
            replace(revision, originator_id=f"{project}/{key}", change_id=change_id, hash=head)
        )
    await connection.execute("SET session_replication_role = replica")
    sequences = await RevisionsRecorder(connection).insert_events(chained)
    await connection.execute(
        "INSERT INTO audit_heads (project_id, revisions, head_hash, head_position, head_sequence)"
        " VALUES ($1, $2, $3, $4, $5)",
        project,
        len(chained),
        head,
        chained[-1].position,
        sequences[-1],
    )
    await connection.execute("SET session_replication_role = origin")


async def test_a_history_that_the_rule_would_not_make_is_found_behind_right_hashes(
    world: World,
) -> None:
    found = {}
    for number, (name, (revisions, _)) in enumerate(FORGED.items()):
        project = f"forged-{number}"
        await insert_project(world.connection, project, "u")
        await forge(world.connection, project, revisions)
        bad = (await verify_project(world.connection, project)).first_bad
        found[name] = bad and (bad.number, bad.reason)
    assert found == {name: (len(forged), reason) for name, (forged, reason) in FORGED.items()}


@pytest.mark.parametrize(
    ("column", "value", "number", "reason"),
    [
        ("head_sequence", 1, 2, "audit_heads says that the chain ends elsewhere"),
        ("head_position", 1, 2, "audit_heads says that the chain ends elsewhere"),
        ("revisions", 4, 3, "2 revisions at the end are missing"),
    ],
)
async def test_an_end_of_the_chain_that_is_none_is_told_with_its_place(
    world: World, column: str, value: int, number: int, reason: str
) -> None:
    await forge(world.connection, "p", [recorded(A1, 1), recorded(B1, 2)])
    assert (await verify_project(world.connection, "p")).intact
    await world.connection.execute(f"UPDATE audit_heads SET {column} = $1", value)
    verdict = await verify_project(world.connection, "p")
    assert verdict.first_bad is not None
    assert (verdict.first_bad.number, verdict.first_bad.reason) == (number, reason)
