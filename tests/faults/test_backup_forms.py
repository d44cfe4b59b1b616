"""Goal: a backup is restored beside a stream that is its own, or refused before anything is made.

A position of a stream that takes groups is a hundred times one of a stream that was made before
there were groups, so to compare the numbers of the two says nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import asyncpg
import nats
import pytest
import pytest_asyncio

from app.backup import back_up
from app.settings import Settings
from tests.faults.test_backup import content_of, guardian
from tests.support.old_stream import add_old_stream
from tests.support.servers import ask
from tests.support.service import run_service, settings_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

MANY_BARRIERS = 1000


async def old_stream(nats_url: str, name: str, barriers: int = 0) -> None:
    """A stream from before there were groups, which has seen so many linearizable reads."""
    client = await nats.connect(nats_url.split(","))
    await add_old_stream(client.jetstream(), name)
    await publish_barriers(nats_url, name, barriers)
    await client.close()


async def publish_barriers(nats_url: str, name: str, barriers: int) -> None:
    client = await nats.connect(nats_url.split(","))
    for _ in range(barriers):
        await client.publish(f"{name}.barrier", b"")
    await client.jetstream().publish(f"{name}.barrier", b"")
    await client.close()


async def make_some(settings: Settings) -> str:
    """Run a service and make a config; its path."""
    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        path = f"{project}/configs/k"
        for version in range(3):
            answer = await admin("PUT", path, json={"content": version, "version": version})
            assert answer.status in (200, 201), answer.body
    return path


async def is_empty(dsn: str) -> bool:
    """Whether the database is not there, or holds nothing."""
    try:
        connection = await asyncpg.connect(dsn)
    except asyncpg.InvalidCatalogNameError:
        return True
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    return bool(tables == 0)


async def refused(target: Settings, folder: Path, *options: str) -> str:
    """Restore, which must be refused in one line and change nothing; the line."""
    code, output, errors = await guardian(target, "restore", str(folder), *options)
    assert (code, output) == (2, ""), errors
    assert await is_empty(target.require_database_url())
    told = errors.splitlines()[-1]
    assert told.startswith("error: ")
    return told


@pytest_asyncio.fixture
async def target(
    database_url: str, empty_database_url: str, nats_url: str, stream_name: str
) -> tuple[Settings, Settings]:
    """Settings of an installation, and of one with the same group and an empty database."""
    settings = settings_for(database_url, nats_url, stream_name)
    return settings, replace(settings, database_url=empty_database_url)


async def test_a_backup_without_groups_is_refused_beside_a_stream_with_them(
    target: tuple[Settings, Settings], nats_url: str, short_path: Path
) -> None:
    settings, new = target
    await old_stream(nats_url, settings.stream)
    path = await make_some(settings)
    await back_up(settings, folder := short_path / "backup")
    begin = ("log", "begin-anew", "--reason", "group commit", "--replace")
    code, _, errors = await guardian(settings, *begin)
    assert code == 0, errors
    await publish_barriers(nats_url, settings.stream, 3)
    for options in ((), ("--database-only",)):
        assert "was made with groups, the backup's without" in await refused(new, folder, *options)
    ask("delete_streams", settings.stream)
    code, _, errors = await guardian(new, "restore", str(folder))
    assert code == 0, errors
    assert await content_of(new, path) == 2


async def test_a_backup_with_groups_is_refused_beside_a_stream_without_them(
    target: tuple[Settings, Settings], nats_url: str, short_path: Path
) -> None:
    settings, new = target
    await make_some(settings)
    await back_up(settings, folder := short_path / "backup")
    ask("delete_streams", settings.stream)
    await old_stream(nats_url, settings.stream, MANY_BARRIERS)
    for options in ((), ("--database-only",)):
        assert "was made without groups, the backup's with" in await refused(new, folder, *options)


@pytest.mark.parametrize("options", [(), ("--database-only",)], ids=["both", "database-only"])
async def test_a_stream_of_the_same_form_that_lacks_what_the_dump_stands_on_is_refused(
    target: tuple[Settings, Settings], nats_url: str, short_path: Path, options: tuple[str, ...]
) -> None:
    # As a service leaves it that was started too early and read for a while.
    settings, new = target
    await make_some(settings)
    await back_up(settings, folder := short_path / "backup")
    ask("delete_streams", settings.stream)
    async with run_service(settings):
        pass
    await publish_barriers(nats_url, settings.stream, 100)
    assert "is not what the backup's database was made from" in await refused(new, folder, *options)


@pytest.mark.parametrize("whole", [False, True], ids=["database-only", "both"])
async def test_a_dump_without_a_change_is_refused_beside_a_log_that_was_begun_anew(
    target: tuple[Settings, Settings], nats_url: str, short_path: Path, whole: bool
) -> None:
    """It holds no entry to compare: it was restored, and the projector went on behind the gap."""
    settings, new = target
    async with run_service(settings):
        await publish_barriers(nats_url, settings.stream, 3)
    await back_up(settings, before := short_path / "before")
    path = await make_some(settings)
    begin = ("log", "begin-anew", "--reason", "all disks lost", "--replace")
    code, _, errors = await guardian(settings, *begin)
    assert code == 0, errors
    # Nothing of the new log is applied in this one either, and it stands where that begins.
    await back_up(settings, after := short_path / "after")
    await publish_barriers(nats_url, settings.stream, 3)
    for kept in ((), ("--database-only",)):
        assert "begun anew behind position" in await refused(new, before, *kept)
    if whole:
        ask("delete_streams", settings.stream)
    options = () if whole else ("--database-only",)
    code, _, errors = await guardian(new, "restore", str(after), *options)
    assert code == 0, errors
    assert await content_of(new, path) == 2


async def test_a_dump_without_a_change_is_restored_beside_its_own_log(
    target: tuple[Settings, Settings], nats_url: str, short_path: Path
) -> None:
    settings, new = target
    async with run_service(settings):
        await publish_barriers(nats_url, settings.stream, 3)
    await back_up(settings, folder := short_path / "backup")
    async with run_service(settings):
        await publish_barriers(nats_url, settings.stream, 3)
    code, _, errors = await guardian(new, "restore", str(folder), "--database-only")
    assert code == 0, errors
