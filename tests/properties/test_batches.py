"""The rule of acceptance depends on the log alone.

Goal: any split of a log into batches, with any restart between them, records the same rows,
in memory and in a real PostgreSQL. Method: hypothesis makes logs with races, repeats, clocks
that run backwards and projects that are gone; an oracle of a few lines says what must be.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from consensus.log import Entry, EntryKind
from domain.change_set import decode_change_set
from domain.codec import decode_event
from domain.config import Config, split_config_id
from domain.json_document import encode_json
from projections.apply import apply_batch
from projections.audit_chain import GENESIS, revision_hash
from projections.batch import BatchResult, World, apply_entries, decode_entry
from projections.checkpoint import create_checkpoint, read_checkpoint
from projections.rebuild import verify_configs
from projections.recent import Recent
from tests.properties.histories import HELD_PROJECTS, HELD_USERS, Log, logs
from tests.support.rows import insert_project, insert_user
from tests.support.servers import ask

EXAMPLES = settings(max_examples=60, deadline=None)
CUTS = st.lists(st.integers(0, 1000), max_size=8)


def new_world() -> World:
    return World(projects=set(HELD_PROJECTS), users=set(HELD_USERS))


def apply_split(log: Log, cuts: list[int]) -> tuple[list[Any], list[Any], int, World]:
    """Rows of the log applied in batches; a restart between any two (a world made anew)."""
    revisions: list[Any] = []
    rejections: list[Any] = []
    skipped = 0
    world = new_world()
    for batch in log.batches(cuts):
        if batch:
            result: BatchResult = apply_entries(world, list(map(decode_entry, batch)))
            revisions += result.revisions
            rejections += result.rejections
            skipped += result.skipped
            world = copy.deepcopy(world)
    return revisions, rejections, skipped, world


@EXAMPLES
@given(logs(), CUTS)
def test_any_split_gives_the_same_rows(log: Log, cuts: list[int]) -> None:
    whole = apply_split(log, [])
    assert apply_split(log, cuts) == whole
    assert apply_split(log, list(range(len(log.entries)))) == whole


@EXAMPLES
@given(logs())
def test_the_rows_are_what_a_plain_oracle_says(log: Log) -> None:
    revisions, rejections, skipped, _ = apply_split(log, [])
    versions: dict[str, int] = {}
    known: set[str] = set()
    expected: list[tuple[int, str, int]] = []
    rejected: list[str] = []
    passed_over = 0
    for entry in log.entries:
        if entry.kind is EntryKind.BARRIER:
            continue
        change = decode_change_set(entry.data)
        if change.project_id not in HELD_PROJECTS or change.id in known:
            passed_over += 1
            continue
        known.add(change.id)
        trial = dict(versions)
        accepted = True
        for event in change.events:
            key = str(event.originator_id)
            if event.originator_version == trial.get(key, 0) + 1:
                trial[key] = event.originator_version
            else:
                accepted = False
        if accepted:
            versions = trial
            expected += [
                (entry.position, str(e.originator_id), e.originator_version) for e in change.events
            ]
        else:
            rejected.append(change.id)
    recorded = [(r.position, str(r.originator_id), r.originator_version) for r in revisions]
    assert recorded == expected
    assert [rejection.change_id for rejection in rejections] == rejected
    assert skipped == passed_over


@EXAMPLES
@given(logs())
def test_times_never_run_backwards_and_the_chain_can_be_walked_again(log: Log) -> None:
    revisions, _, _, world = apply_split(log, [])
    times = [revision.created_at for revision in revisions]
    assert times == sorted(times)
    heads: dict[str, bytes] = {}
    for r in revisions:
        project_id, key = split_config_id(str(r.originator_id))
        heads[project_id] = revision_hash(
            heads.get(project_id, GENESIS),
            project_id=project_id,
            key=key,
            version=r.originator_version,
            topic=r.topic,
            position=r.position,
            change_id=r.change_id,
            change_index=r.change_index,
            created_at=r.created_at,
            state=r.state,
        )
        assert r.hash == heads[project_id]
    assert {p: chain.head_hash for p, chain in world.chains.items()} == heads


@EXAMPLES
@given(logs())
def test_users_that_are_gone_stand_in_the_state_alone(log: Log) -> None:
    for revision in apply_split(log, [])[0]:
        event = decode_event(revision)
        assert revision.created_by_user_id in {None, *HELD_USERS}
        if revision.created_by_user_id is None:
            assert event.actor.get("user_id") not in HELD_USERS
        if isinstance(event, Config.Deleted):
            assert revision.content is None
        else:
            assert revision.content == encode_json(event.content).decode()


# Through PostgreSQL


class Database:
    """One migrated database for all examples of a test; each starts with empty projections."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def apply(self, log: Log, cuts: list[int]) -> dict[str, Any]:
        """Apply the log in batches, each by a projector of its own; all rows afterwards."""
        for batch in log.batches(cuts):
            if batch:
                await self._apply([batch])
        return await self._verified_rows()

    async def apply_by_one(self, log: Log, cuts: list[int]) -> dict[str, Any]:
        """Apply the log in batches by one projector, which remembers; all rows afterwards."""
        await self._apply([batch for batch in log.batches(cuts) if batch])
        return await self._verified_rows()

    async def _apply(self, batches: Sequence[Sequence[Entry]]) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await create_checkpoint(connection)
            checkpoint, recent = await read_checkpoint(connection), Recent()
            for batch in batches:
                decoded = list(map(decode_entry, batch))
                checkpoint = await apply_batch(connection, checkpoint, decoded, recent)
        finally:
            await connection.close()

    async def _verified_rows(self) -> dict[str, Any]:
        report = await verify_configs(self.url)
        assert report.differences == 0, report
        return await self._rows()

    async def reset(self) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(
                "DELETE FROM checkpoints; DELETE FROM projects; DELETE FROM users"
            )
            for user in HELD_USERS:
                await insert_user(connection, user)
            for project in HELD_PROJECTS:
                await insert_project(connection, project, HELD_USERS[0])
        finally:
            await connection.close()

    async def _rows(self) -> dict[str, Any]:
        tables = {
            "config_revisions": "sequence",
            "configs": "project_id, key",
            "rejected_changes": "change_id",
            "audit_heads": "project_id",
            "checkpoints": "application_name",
        }
        connection = await asyncpg.connect(self.url)
        try:
            found = {}
            for table, order in tables.items():
                rows = await connection.fetch(f"SELECT * FROM {table} ORDER BY {order}")
                found[table] = [
                    {name: value for name, value in row.items() if name != "updated_at"}
                    if table == "checkpoints"
                    else dict(row)
                    for row in rows
                ]
            return found
        finally:
            await connection.close()


@pytest.fixture(scope="module")
def database() -> Any:
    name = f"test_{uuid.uuid4().hex}"
    yield Database(ask("create_database", name))
    ask("drop_database", name)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(log=logs(max_entries=15), cuts=CUTS)
def test_any_split_gives_the_same_rows_in_postgresql(
    database: Database, log: Log, cuts: list[int]
) -> None:
    async def both() -> None:
        await database.reset()
        whole = await database.apply(log, [])
        await database.reset()
        assert await database.apply(log, cuts) == whole
        await database.reset()
        assert await database.apply_by_one(log, cuts) == whole
        revisions, rejections, skipped, world = apply_split(log, [])
        assert [row["state"] for row in whole["config_revisions"]] == [r.state for r in revisions]
        assert [row["hash"] for row in whole["config_revisions"]] == [r.hash for r in revisions]
        assert [r["sequence"] for r in whole["config_revisions"]] == list(
            range(1, len(revisions) + 1)
        )
        assert {r["change_id"] for r in whole["rejected_changes"]} == {
            r.change_id for r in rejections
        }
        (checkpoint,) = whole["checkpoints"]
        assert checkpoint["notification_id"] == log.entries[-1].position
        assert checkpoint["skipped"] == skipped
        changes = [entry for entry in log.entries if entry.kind is EntryKind.CHANGE]
        if changes:
            assert checkpoint["change_digest"] == hashlib.sha256(changes[-1].data).digest()
            assert isinstance(checkpoint["last_time"], datetime)
            assert checkpoint["last_time"] == world.last_time

    asyncio.run(both())
