"""A log that is begun anew owes nothing to what was decided about the one before."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from app import migrations
from app.raft_log import connect_log
from app.settings import Settings
from projections.halts import ProjectorHalted
from projections.projector import Projector
from tests.faults.test_backup import guardian
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
