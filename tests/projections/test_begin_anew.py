"""A log that is begun anew owes nothing to what was decided about the one before."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from app import migrations
from app.raft_log import connect_log
from app.settings import Settings
from consensus.log import LogUnavailable
from consensus.memory import MemoryLog
from projections.checkpoint import read_checkpoint
from projections.database import session_name
from projections.halts import ProjectorHalted, read_halt
from projections.log_beginning import ProjectorRuns, begin_anew
from projections.projector import LOCK_CLASS, LOCK_OBJECT, Projector
from projections.skips import skips_behind
from tests.faults.test_backup import guardian
from tests.projections.projector_world import World, write
from tests.support.servers import PostgresAddress
from tests.support.service import run_service, settings_for

BEGIN = ("log", "begin-anew", "--replace", "--reason", "a test")
UNDECODABLE = b'{"format": 2}\n{}'


@pytest.fixture
def settings(database_url: str, nats_url: str, stream_name: str) -> Settings:
    return settings_for(database_url, nats_url, stream_name)


async def append_undecodable(settings: Settings, message_id: str) -> int:
    log = await connect_log(settings)
    try:
        return await log.append(message_id, UNDECODABLE + message_id.encode(), timeout=10)
    finally:
        await log.close()


async def halt(settings: Settings) -> None:
    async with run_service(settings) as service:
        with pytest.raises(ProjectorHalted, match="undecodable-entry"):
            await asyncio.wait_for(service.projector_task, 30)


async def test_what_was_to_be_skipped_in_a_lost_log_is_not_looked_for_in_the_next(
    settings: Settings,
) -> None:
    """The new log's entry at that position had other bytes: broken-invariant, for ever."""
    position = await append_undecodable(settings, "lost")
    await halt(settings)
    skip = ("log", "skip", str(position), "--by", "ada", "--reason")
    code, _, errors = await guardian(settings, *skip, "of the lost log")
    assert code == 0, errors
    code, _, errors = await guardian(settings, *BEGIN)
    assert code == 0, errors

    # The same place can be decided about again.
    assert await append_undecodable(settings, "new") == position
    await halt(settings)
    code, _, errors = await guardian(settings, *skip, "of the new log")
    assert code == 0, errors
    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        answer = await admin("PUT", f"{project}/configs/k", json={"content": 1, "version": 0})
        assert answer.status == 201, answer.body

    connection = await asyncpg.connect(settings.require_database_url())
    for table, reason in (
        ("retired_skips", "of the lost log"),
        ("skipped_entries", "of the new log"),
    ):
        rows = await connection.fetch(f"SELECT position, reason, decided_by FROM {table}")
        assert [tuple(row) for row in rows] == [(position, reason, "ada")]
    await connection.close()


async def test_the_next_log_begins_right_behind_what_was_applied_and_owes_nothing(
    world: World, postgres_server: PostgresAddress
) -> None:
    await world.append(write("a", 1))
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    await world.skip(bad, "of the lost log")
    applied = await read_checkpoint(world.connection)

    async def make_log(first_position: int) -> None:
        world.log = MemoryLog(begins_at=first_position)

    # A process of another service beside this one keeps nobody off.
    name = {"application_name": session_name("web")}
    other = await asyncpg.connect(postgres_server.admin_url, server_settings=name)
    assert await begin_anew(world.url, "all disks lost", "ada", make_log) == bad
    await other.close()
    rows = await world.connection.fetch(
        "SELECT first_position, change_digest, reason, decided_by FROM log_beginnings"
    )
    digest = applied.change_digest
    assert [tuple(row) for row in rows] == [(bad, digest, "all disks lost", "ada")]
    assert digest is not None
    assert await read_halt(world.connection) is None
    assert await skips_behind(world.connection, 0) == {}
    await world.append(write("a", 2))
    await world.project_all()
    assert await world.versions() == [("a", 1, 1), ("a", 2, bad)]


async def test_nothing_is_decided_where_a_projector_works_or_no_log_is_made(world: World) -> None:
    async def make_log(first_position: int) -> None:
        raise LogUnavailable("as the test asked for")

    await world.append(write("a", 1))
    await world.project_all()
    before = await read_checkpoint(world.connection)
    with pytest.raises(LogUnavailable):
        await begin_anew(world.url, "why", "ada", make_log)
    # Whatever its session is called. Waits for the end of the one before, which had it too.
    await world.connection.execute("SELECT pg_advisory_lock($1, $2)", LOCK_CLASS, LOCK_OBJECT)
    with pytest.raises(ProjectorRuns):
        await begin_anew(world.url, "why", "ada", make_log)
    assert await read_checkpoint(world.connection) == before
    assert await world.connection.fetchval("SELECT count(*) FROM log_beginnings") == 0


async def test_another_database_does_not_follow_a_log_that_was_begun_behind_this_one(
    settings: Settings, empty_database_url: str
) -> None:
    """It holds nothing of what came before, and no entry of it could be compared."""
    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        answer = await admin("PUT", f"{project}/configs/k", json={"content": 1, "version": 0})
        assert answer.status == 201, answer.body
    code, _, errors = await guardian(settings, *BEGIN)
    assert code == 0, errors
    await migrations.up(empty_database_url)
    log = await connect_log(settings)
    try:
        with pytest.raises(ProjectorHalted, match=r"the log begins at [0-9]+, but 0 was applied"):
            await asyncio.wait_for(Projector(log, empty_database_url).run(), 30)
    finally:
        await log.close()
