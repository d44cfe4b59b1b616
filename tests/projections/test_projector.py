"""The projector's promises, one by one: resumed at the checkpoint, nothing twice, and halted
with the evidence where log and database contradict each other.

Method: a real PostgreSQL; the log in memory, which can be made to do what no real one may.
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import datetime
from functools import partial
from typing import Any

import asyncpg
import pytest

from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from projections.apply import GATHER, PLANNED_ONCE
from projections.batch_write import WRITE, write_batch
from projections.checkpoint import create_checkpoint
from projections.projector import LOCK_CLASS, LOCK_OBJECT, ProjectorHalted
from projections.rebuild import verify_configs
from tests.consensus.contract import eventually
from tests.projections.projector_world import TIMEOUT_S, World, delete, write
from tests.support.rows import insert_project, insert_user


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


async def test_a_standby_that_ends_leaves_no_session_behind(world: World) -> None:
    sessions = """SELECT count(*) FROM pg_stat_activity
        WHERE application_name LIKE 'guardian-projector%' AND datname = current_database()"""

    async def sessions_are(count: int) -> bool:
        return bool(await world.connection.fetchval(sessions) == count)

    async with world.projector() as (first, _):
        async with asyncio.timeout(TIMEOUT_S):
            await first.active.wait()
        async with world.projector() as (_, standby):
            await eventually(partial(sessions_are, 2))
            standby.cancel()
            await asyncio.gather(standby, return_exceptions=True)
            await eventually(partial(sessions_are, 1))


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
    # The first one's session alone is ended soon: a busy machine may keep the standby silent for
    # as long, and then it would be the one that is taken for frozen.
    with monkeypatch.context() as first_only:
        first_only.setattr("projections.projector.FROZEN_AFTER_MS", 200)
        first_only.setattr("projections.projector.HEARTBEAT_S", 1000.0)  # as if it were stopped
        async with world.projector() as (first, _):
            await world.reach(await world.append(write("a", 1)))
            assert first.active.is_set()
            first_only.undo()
            monkeypatch.setattr("projections.projector.RETRY_DELAYS_S", (TIMEOUT_S,))
            monkeypatch.setattr("projections.projector.HEARTBEAT_S", 0.05)
            async with world.projector() as (second, _), asyncio.timeout(TIMEOUT_S):
                await second.active.wait()
                await world.reach(await world.append(write("a", 2)))
                quiet_since = await _last_heard_of_projector(world)

                async def said_that_it_lives() -> bool:
                    return await _last_heard_of_projector(world) > quiet_since

                await eventually(said_that_it_lives)
                await world.reach(await world.append(write("a", 3)))


async def _last_heard_of_projector(world: World) -> datetime:
    """When the active projector's session was asked something for the last time."""
    heard: datetime = await world.connection.fetchval(
        "SELECT state_change FROM pg_stat_activity WHERE pid = $1",
        await backend_of_projector(world.connection),
    )
    return heard


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
        await world.asked_in_vain()
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


async def test_entries_of_a_project_that_is_marked_as_gone_wait_for_nobody(world: World) -> None:
    """Goal: the entries of other projects are applied while its rows are being deleted."""
    await insert_project(world.connection, "q", "u")
    other = await asyncpg.connect(world.url)
    async with world.projector():
        await world.reach(await world.append(write("a", 1, "q"), project="q"))
        await other.execute("UPDATE projects SET deleted_at = now() WHERE id = 'q'")
        # What the batch before has left says that the project is there.
        await world.reach(await world.append(write("a", 2, "q"), project="q"))
        async with other.transaction():
            await other.execute("DELETE FROM projects WHERE id = 'q'")
            await world.append(write("a", 3, "q"), project="q")
            await world.reach(await world.append(write("a", 1)))
        await world.append(write("a", 4, "q"), project="q")
        await world.reach(await world.append(write("a", 2)))
    await other.close()
    assert [(k, v) for k, v, _ in await world.versions()] == [("a", 1), ("a", 2)]
    assert await world.skipped() == 3


async def test_a_project_that_is_marked_between_gathering_and_writing_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await insert_project(world.connection, "q", "u")

    async def marked_first(*given: Any) -> bool:
        await world.connection.execute("UPDATE projects SET deleted_at = now() WHERE id = 'q'")
        return await write_batch(*given)

    monkeypatch.setattr("projections.apply.write_batch", marked_first)
    await world.append(write("a", 1, "q"), project="q")
    await world.project_all()
    assert (await world.versions(), await world.skipped()) == ([], 1)


@pytest.mark.parametrize(("table", "recorded"), [("users", [("q", 1, None)]), ("projects", [])])
async def test_what_is_deleted_between_gathering_and_writing_is_seen(
    world: World, table: str, recorded: list[tuple[str, int, str | None]]
) -> None:
    """The batch has read that project and user are there; its write waits for the deletion."""
    await insert_user(world.connection, "q")
    await insert_project(world.connection, "q", "u")
    position = await world.append(write("a", 1, "q", actor={"user_id": "q"}), project="q")
    waits = """SELECT count(*) > 0 FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()"""
    other = await asyncpg.connect(world.url)
    deletion = other.transaction()
    await deletion.start()
    await other.execute(f"DELETE FROM {table} WHERE id = 'q'")
    async with world.projector():
        await eventually(partial(world.connection.fetchval, waits))
        await deletion.commit()
        await world.reach(position)
    await other.close()
    rows = await world.connection.fetch(
        "SELECT project_id, version, created_by_user_id FROM config_revisions"
    )
    assert [tuple(row) for row in rows] == recorded
    assert await world.skipped() == (0 if recorded else 1)


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
    assert (await verify_configs(world.url)).differences == 0


async def test_a_schema_that_is_being_deleted_is_waited_for(world: World) -> None:
    """Or it is gone when the binding to it is checked, and the projector halts at what is right."""
    other = await asyncpg.connect(world.url)
    waits = """SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND application_name LIKE 'guardian-projector%' AND datname = current_database())"""
    async with world.projector():
        async with other.transaction():
            await other.execute("DELETE FROM config_schemas WHERE id = 's'")
            position = await world.append(write("a", 1, schema_id="s", schema_version=1))
            await eventually(partial(world.connection.fetchval, waits))
        await world.reach(position)
    await other.close()
    assert await world.connection.fetchval("SELECT schema_id FROM configs") is None


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


_ONE_STEP = {
    "config_revisions_sequence_key",
    "config_revisions_project_id_config_key_version_key",
    "config_revisions_change_id_change_index_key",
}
"""The indexes of `config_revisions` by which a batch finds what it needs in one step."""


@pytest.mark.parametrize("statement", [GATHER, WRITE], ids=["gather", "write"])
async def test_batches_are_planned_by_index_even_on_empty_tables(
    database_url: str, statement: str
) -> None:
    """The statements are planned once, in the first seconds of an empty database. A plan that
    read `config_revisions` whole, or all of one project's part of an index, made each commit
    slower than the one before."""
    arguments = len(set(re.findall(r"\$\d+", statement)))
    connection = await asyncpg.connect(database_url, server_settings=PLANNED_ONCE)
    try:
        await connection.execute(f"PREPARE batch AS {statement}")
        nothing = ", ".join(["NULL"] * arguments)
        rows = await connection.fetch(f"EXPLAIN EXECUTE batch ({nothing})")
    finally:
        await connection.close()
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan, plan
    used = set(re.findall(r"(?:using|Bitmap Index Scan on) (config_revisions\w*)", plan))
    assert used, plan
    assert used <= _ONE_STEP, plan
