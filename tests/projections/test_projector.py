"""The projector's promises, one by one: resumed at the checkpoint, nothing twice, and halted
with the evidence where log and database contradict each other.

Method: a real PostgreSQL; the log in memory, which can be made to do what no real one may.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from consensus.memory import MemoryLog
from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import ConfigEvent, config_id, content_event, deleted_event
from projections.checkpoint import Checkpoint, create_checkpoint
from projections.halts import read_halt
from projections.projector import LOCK_CLASS, LOCK_OBJECT, Projector, ProjectorHalted
from projections.skips import add_skip
from tests.support.rows import insert_project, insert_schema, insert_user

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIMEOUT_S = 20.0
UNDECODABLE = b'{"format":99}\n{}'


def write(key: str, version: int, project: str = "p", **changes: Any) -> ConfigEvent:
    fields: dict[str, Any] = {
        "content": version,
        "schema_id": None,
        "schema_version": None,
        "timestamp": NOON,
        "actor": {"user_id": "u", "email": "u@example.com"},
        "comment": None,
    }
    return content_event(config_id(project, key), version - 1, False, **fields | changes)


def delete(key: str, version: int) -> ConfigEvent:
    return deleted_event(
        config_id("p", key), version - 1, timestamp=NOON, actor={"key_id": "k"}, comment=None
    )


@dataclass
class World:
    """A log, a database with user u, project p and schema s, and projectors that come and go."""

    url: str
    connection: asyncpg.Connection
    log: MemoryLog = field(default_factory=MemoryLog)
    applied: Checkpoint = field(default_factory=Checkpoint)
    batches: list[Checkpoint] = field(default_factory=list)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def append(self, *events: ConfigEvent, project: str = "p") -> int:
        change = ChangeSet(uuid.uuid4().hex, project, tuple(map(encode_event, events)))
        return await self.append_raw(encode_change_set(change))

    async def append_raw(self, data: bytes) -> int:
        return await self.log.append(uuid.uuid4().hex, data, timeout=TIMEOUT_S)

    def _on_applied(self, checkpoint: Checkpoint) -> None:
        self.applied = checkpoint
        self.batches.append(checkpoint)
        asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def reach(self, position: int) -> None:
        async with asyncio.timeout(TIMEOUT_S), self._moved:
            await self._moved.wait_for(lambda: self.applied.position >= position)

    @asynccontextmanager
    async def projector(self) -> AsyncIterator[tuple[Projector, asyncio.Task[None]]]:
        projector = Projector(self.log, self.url, on_applied=self._on_applied)
        task = asyncio.create_task(projector.run())
        try:
            yield projector, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def halted(self) -> ProjectorHalted:
        """Run a projector until it halts."""
        async with self.projector() as (_, task), asyncio.timeout(TIMEOUT_S):
            with pytest.raises(ProjectorHalted) as caught:
                await task
        return caught.value

    async def project_all(self) -> None:
        async with self.projector():
            await self.reach((await self.log.status()).last_position)

    async def versions(self) -> list[tuple[str, int, int]]:
        rows = await self.connection.fetch(
            "SELECT config_key, version, position FROM config_revisions ORDER BY sequence"
        )
        return [tuple(row) for row in rows]

    async def skipped(self) -> int:
        found: int = await self.connection.fetchval("SELECT skipped FROM checkpoints")
        return found


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u")
    await insert_project(connection, "p", "u")
    await insert_schema(connection, "s", "u")
    yield World(database_url, connection)
    await connection.close()


async def backend_of_projector(connection: asyncpg.Connection) -> int | None:
    found: int | None = await connection.fetchval(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = $1"
        " AND objid = $2 AND database = (SELECT oid FROM pg_database"
        " WHERE datname = current_database())",
        LOCK_CLASS,
        LOCK_OBJECT,
    )
    return found


# Who is active


async def test_a_standby_takes_over_when_the_active_one_is_gone(world: World) -> None:
    async with world.projector() as (first, first_task):
        await world.reach(await world.append(write("a", 1)))
        async with world.projector() as (second, _):
            await world.reach(await world.append(write("a", 2)))
            assert first.active.is_set()
            assert not second.active.is_set()
            first_task.cancel()
            await asyncio.gather(first_task, return_exceptions=True)
            async with asyncio.timeout(TIMEOUT_S):
                await second.active.wait()
            await world.reach(await world.append(write("a", 3)))
    assert [version for _, version, _ in await world.versions()] == [1, 2, 3]


async def test_a_projector_whose_session_ends_cannot_write_and_comes_back(world: World) -> None:
    async with world.projector() as (projector, _):
        await world.reach(await world.append(write("a", 1)))
        before = await backend_of_projector(world.connection)
        assert before is not None
        await world.connection.fetchval("SELECT pg_terminate_backend($1)", before)
        await world.reach(await world.append(write("a", 2)))
        async with asyncio.timeout(TIMEOUT_S):
            await projector.active.wait()
        assert await backend_of_projector(world.connection) != before
    assert [version for _, version, _ in await world.versions()] == [1, 2]


async def test_a_frozen_projector_loses_the_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.projector.FROZEN_AFTER_MS", 200)
    monkeypatch.setattr("projections.projector.HEARTBEAT_S", 1000.0)  # as if it were stopped
    monkeypatch.setattr("projections.projector.RETRY_DELAYS_S", (TIMEOUT_S,))
    async with world.projector() as (first, _):
        await world.reach(await world.append(write("a", 1)))
        assert first.active.is_set()
        monkeypatch.setattr("projections.projector.HEARTBEAT_S", 0.05)
        async with world.projector() as (second, _), asyncio.timeout(TIMEOUT_S):
            await second.active.wait()
            await world.reach(await world.append(write("a", 2)))
            await asyncio.sleep(0.5)  # longer than a silent session would live
            assert second.active.is_set()
            await world.reach(await world.append(write("a", 3)))


async def test_a_projector_that_wakes_up_without_its_session_comes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the fault tests: the server's farewell and the next batch come together, and the
    client library calls that an internal error."""
    monkeypatch.setattr("projections.projector.FROZEN_AFTER_MS", 100)
    monkeypatch.setattr("projections.projector.HEARTBEAT_S", 0.02)
    async with world.projector() as (_, task):
        for version in range(1, 6):
            await world.reach(await world.append(write("a", version)))
            time.sleep(0.4)  # noqa: ASYNC251 - the whole process is frozen
        await world.reach(await world.append(write("a", 6)))
        assert not task.done()
    assert [version for _, version, _ in await world.versions()] == [1, 2, 3, 4, 5, 6]


async def test_another_writer_against_the_lock_is_a_broken_invariant(world: World) -> None:
    async with world.projector() as (_, task):
        await world.reach(await world.append(write("a", 1)))
        await world.connection.execute("UPDATE checkpoints SET last_sequence = 7")
        await world.append(write("a", 2))
        with pytest.raises(ProjectorHalted, match="broken-invariant") as caught:
            async with asyncio.timeout(TIMEOUT_S):
                await task
    assert "the projector left" in caught.value.detail


# Resuming


async def test_it_resumes_at_the_checkpoint_and_nothing_comes_twice(world: World) -> None:
    for version in range(1, 6):
        await world.append(write("a", version))
        await world.append(write("b", version))
        await world.project_all()
    first, second = [[v for k, v, _ in await world.versions() if k == key] for key in ("a", "b")]
    assert first == second == [1, 2, 3, 4, 5]


async def test_a_batch_whose_commit_fails_is_applied_again(world: World) -> None:
    """The database dies between the revisions and the checkpoint: the transaction is whole."""
    async with world.projector():
        await world.reach(await world.append(write("a", 1)))
        async with world.connection.transaction():
            # Holds the batch up before its commit.
            await world.connection.execute("SELECT 1 FROM checkpoints FOR UPDATE")
            position = await world.append(write("a", 2))
            backend = await backend_of_projector(world.connection)
            assert backend is not None
            await world.connection.fetchval("SELECT pg_terminate_backend($1)", backend)
        await world.reach(position)
    assert [version for _, version, _ in await world.versions()] == [1, 2]


async def test_the_log_that_is_away_is_waited_for(world: World) -> None:
    async with world.projector():
        await world.reach(await world.append(write("a", 1)))
    world.log.set_available(False)
    async with world.projector() as (projector, task):
        await asyncio.sleep(0.3)
        assert not task.done()
        assert not projector.active.is_set()
        world.log.set_available(True)
        await world.reach(await world.append(write("a", 2)))


async def test_an_entry_that_came_twice_is_applied_once(world: World) -> None:
    change = ChangeSet("same", "p", (encode_event(write("a", 1)),))
    for _ in range(3):
        await world.append_raw(encode_change_set(change))
        await world.project_all()
    assert [version for _, version, _ in await world.versions()] == [1]
    assert await world.skipped() == 2


# Halts


async def test_an_undecodable_entry_halts_behind_what_came_before_it(world: World) -> None:
    before = await world.append(write("a", 1))
    bad = await world.append_raw(UNDECODABLE)
    await world.append(write("a", 2))
    for _ in range(2):  # and again after a restart
        halted = await world.halted()
        assert (halted.reason, halted.position) == ("undecodable-entry", bad)
        assert "entry format 99; this software knows 1" in halted.detail
        assert await world.versions() == [("a", 1, before)]
        halt = await read_halt(world.connection)
        assert halt is not None
        assert (halt.reason, halt.position) == ("undecodable-entry", bad)


async def test_a_halt_stays_on_record_until_its_place_is_passed(world: World) -> None:
    """A standby that takes over must not hide the reason while it fails as well."""
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    world.log.set_available(False)
    async with world.projector():
        await asyncio.sleep(0.2)
        assert await read_halt(world.connection) is not None
    world.log.set_available(True)
    world.log.replace(bad, b"")  # as an upgrade that can read it
    world.log.replace(bad, encode_change_set(ChangeSet("c", "p", (encode_event(write("a", 1)),))))
    await world.project_all()
    assert await read_halt(world.connection) is None


async def test_an_entry_that_an_operator_skipped_is_passed_over_and_counted(world: World) -> None:
    await world.append(write("a", 1))
    bad = await world.append_raw(UNDECODABLE)
    after = await world.append(write("a", 2))
    await world.halted()
    entry = await world.log.entry_at(bad)
    assert entry is not None
    assert await add_skip(world.connection, entry, "made by a broken script", "ops")
    assert not await add_skip(world.connection, entry, "again", "ops")
    await world.project_all()
    assert [v for _, v, _ in await world.versions()] == [1, 2]
    assert await world.skipped() == 1
    assert await read_halt(world.connection) is None
    assert world.applied.change_position == after


async def test_a_skipped_last_entry_is_no_divergence(world: World) -> None:
    await world.append(write("a", 1))
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    entry = await world.log.entry_at(bad)
    assert entry is not None
    await add_skip(world.connection, entry, "why", "ops")
    await world.project_all()
    assert world.applied.change_position == bad
    assert world.applied.change_digest == hashlib.sha256(UNDECODABLE).digest()
    async with world.projector():
        await world.reach(await world.append(write("a", 2)))


async def test_a_skip_of_other_bytes_halts(world: World) -> None:
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    entry = await world.log.entry_at(bad)
    assert entry is not None
    await add_skip(world.connection, entry, "why", "ops")
    world.log.replace(bad, UNDECODABLE + b" ")
    halted = await world.halted()
    assert halted.reason == "broken-invariant"
    assert "not the one that an operator decided to skip" in halted.detail


async def test_a_log_behind_the_checkpoint_halts(world: World) -> None:
    await world.append(write("a", 1))
    kept = await world.append(write("a", 2))
    await world.append(write("a", 3))
    await world.project_all()
    world.log.truncate(kept - 1)
    halted = await world.halted()
    assert halted.reason == "log-behind-checkpoint"
    assert halted.position == 3
    assert [v for _, v, _ in await world.versions()] == [1, 2, 3]


async def test_a_log_that_lost_its_end_and_grew_past_the_checkpoint_halts(world: World) -> None:
    """Positions alone would not tell: every barrier moves them on."""
    for version in (1, 2, 3):
        await world.append(write("a", version))
    await world.project_all()
    world.log.truncate(1)
    for version in (2, 3, 4):
        await world.append(write("a", version, content="another"))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("log-diverged", 3)
    assert [v for _, v, _ in await world.versions()] == [1, 2, 3]


async def test_a_log_that_lost_barriers_and_put_a_change_in_their_place_halts(
    world: World,
) -> None:
    await world.append(write("a", 1))
    for _ in range(3):
        await world.log.barrier(timeout=TIMEOUT_S)
    await world.project_all()
    assert world.applied.position == 4
    world.log.truncate(1)
    for version in range(2, 7):
        await world.append(write("a", version))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("log-diverged", 2)
    assert "was not applied" in halted.detail


async def test_other_bytes_at_the_checkpoint_halt(world: World) -> None:
    position = await world.append(write("a", 1))
    await world.project_all()
    entry = await world.log.entry_at(position)
    assert entry is not None
    world.log.replace(position, entry.data.replace(b'"content":1', b'"content":2'))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("log-diverged", position)
    assert hashlib.sha256(entry.data).hexdigest() in halted.detail


async def test_another_empty_log_halts(world: World) -> None:
    await world.append(write("a", 1))
    await world.project_all()
    world.log = MemoryLog()
    assert (await world.halted()).reason == "log-behind-checkpoint"


async def test_expired_barriers_are_no_divergence(world: World) -> None:
    await world.log.barrier(timeout=TIMEOUT_S)
    await world.project_all()
    world.log.expire_barriers()
    async with world.projector():
        await world.reach(await world.append(write("a", 1)))
        await world.reach(await world.log.barrier(timeout=TIMEOUT_S))
    world.log.expire_barriers()
    async with world.projector():
        await world.reach(await world.append(write("a", 2)))


@pytest.mark.parametrize(
    "poison",
    [
        write("bad", 1, comment="nul \x00 byte"),
        write("bad", 1, schema_id="s", schema_version=2**40),
    ],
)
async def test_an_entry_that_postgresql_refuses_halts_at_it_and_not_before(
    world: World, poison: ConfigEvent
) -> None:
    """The web processes let none of these through; whoever writes to the log directly might."""
    await world.append(write("a", 1))
    bad = await world.append(poison)
    await world.append(write("a", 2))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("broken-invariant", bad)
    assert [v for _, v, _ in await world.versions()] == [1]
    entry = await world.log.entry_at(bad)
    assert entry is not None
    await add_skip(world.connection, entry, "poison", "ops")
    await world.project_all()
    assert [v for _, v, _ in await world.versions()] == [1, 2]


async def test_a_constraint_that_the_rows_violate_halts_at_the_entry(world: World) -> None:
    await world.append(write("a", 1))
    await world.project_all()
    # Somebody renumbered history with a superuser's rights: the next revision collides.
    await world.connection.execute(
        "SET session_replication_role = replica;"
        "UPDATE config_revisions SET sequence = sequence + 1;"
        "UPDATE audit_heads SET head_sequence = head_sequence + 1;"
        "SET session_replication_role = origin"
    )
    bad = await world.append(write("a", 2))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("broken-invariant", bad)
    assert "config_revisions_sequence_key" in halted.detail


CHAIN_DAMAGES = {
    "last hash changed": "UPDATE config_revisions SET hash = 'x' WHERE config_key = 'a'",
    "last revision gone": "DELETE FROM config_revisions WHERE config_key = 'a'",
    "head changed": "UPDATE audit_heads SET head_hash = 'x'",
    "head gone": "DELETE FROM audit_heads",
}


@pytest.mark.parametrize("damage", CHAIN_DAMAGES)
async def test_a_broken_hash_chain_halts_before_anything_is_put_on_top(
    world: World, damage: str
) -> None:
    await world.append(write("b", 1))
    await world.append(write("a", 1))
    await world.project_all()
    await world.connection.execute(
        f"SET session_replication_role = replica; {CHAIN_DAMAGES[damage]};"
        "SET session_replication_role = origin"
    )
    bad = await world.append(write("b", 2))
    await world.append(write("b", 3))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("broken-chain", bad)
    assert "project p" in halted.detail
    assert ("b", 2, bad) not in await world.versions()


# What is deleted while its entries are in flight


async def test_entries_of_a_deleted_project_are_skipped_and_counted(world: World) -> None:
    await insert_project(world.connection, "q", "u")
    await world.append(write("a", 1, "q"), project="q")
    await world.append(write("a", 1))
    await world.project_all()
    await world.append(write("a", 2, "q"), project="q")
    await world.append(write("a", 2))
    await world.connection.execute("DELETE FROM projects WHERE id = 'q'")
    await world.project_all()
    assert [(k, v) for k, v, _ in await world.versions()] == [("a", 1), ("a", 2)]
    assert await world.skipped() == 1


async def test_a_project_that_is_deleted_during_the_batch_waits_for_it(world: World) -> None:
    await insert_project(world.connection, "q", "u")
    other = await asyncpg.connect(world.url)
    async with world.projector():
        for version in range(1, 30):
            await world.append(write("a", version, "q"), project="q")
        await other.execute("DELETE FROM projects WHERE id = 'q'")
        for version in range(30, 35):
            await world.append(write("a", version, "q"), project="q")
        await world.reach(await world.append(write("a", 1)))
    await other.close()
    assert [(k, v) for k, v, _ in await world.versions()] == [("a", 1)]
    left = await world.connection.fetchval("SELECT count(*) FROM configs WHERE project_id = 'q'")
    assert left == 0


async def test_a_deleted_user_stays_in_the_committed_bytes(world: World) -> None:
    await insert_user(world.connection, "v")
    actor = {"user_id": "v", "email": "v@example.com"}
    await world.append(write("a", 1, actor=actor))
    await world.project_all()
    await world.append(write("a", 2, actor=actor))
    await world.connection.execute("DELETE FROM users WHERE id = 'v'")
    await world.project_all()
    rows = await world.connection.fetch(
        "SELECT created_by_user_id, created_by_email, state FROM config_revisions"
    )
    assert len(rows) == 2
    for row in rows:
        assert (row["created_by_user_id"], row["created_by_email"]) == (None, "v@example.com")
        assert b'"user_id":"v"' in row["state"]


async def test_a_schema_that_is_deleted_in_flight_leaves_the_row_without_a_binding(
    world: World,
) -> None:
    await world.append(write("a", 1, schema_id="s", schema_version=1))
    await world.append(write("b", 1))
    await world.connection.execute("DELETE FROM config_schemas WHERE id = 's'")
    await world.project_all()
    row = await world.connection.fetchrow(
        "SELECT c.schema_id, c.schema_version, r.schema_id AS recorded FROM configs c"
        " JOIN config_revisions r ON r.config_key = c.key WHERE key = 'a'"
    )
    assert row is not None
    assert tuple(row) == (None, None, "s")


async def test_a_schema_in_use_cannot_be_deleted(world: World) -> None:
    await world.append(write("a", 1, schema_id="s", schema_version=1))
    await world.project_all()
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await world.connection.execute("DELETE FROM config_schemas WHERE id = 's'")
    await world.append(delete("a", 2))
    await world.project_all()
    await world.connection.execute("DELETE FROM config_schemas WHERE id = 's'")


async def test_a_fresh_database_starts_at_the_first_entry(world: World) -> None:
    await world.append(write("a", 1), write("b", 1))
    await create_checkpoint(world.connection)
    await world.project_all()
    assert len(await world.versions()) == 2
    assert await world.connection.fetchval("SELECT count(*) FROM configs") == 2
