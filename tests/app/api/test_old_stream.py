"""A service whose stream was made before there were groups (docs/RUNBOOK.md, Rolling upgrade)."""

from __future__ import annotations

import asyncio

import nats
import pytest_asyncio

from app.migrations import create_database, up
from app.settings import Settings
from consensus.jetstream_layout import GROUP_ROOM
from projections.replay import replay
from tests.faults.test_backup import guardian
from tests.support.old_stream import add_old_stream
from tests.support.service import Service, run_service, settings_for

MANY = 20


@pytest_asyncio.fixture
async def settings(database_url: str, nats_url: str, stream_name: str) -> Settings:
    """Of a service with such a stream."""
    client = await nats.connect(nats_url.split(","))
    await add_old_stream(client.jetstream(), stream_name)
    await client.close()
    return settings_for(database_url, nats_url, stream_name)


async def write_many(service: Service, name: str) -> tuple[str, list[int]]:
    """A project with configs that were set all at once, and their positions in order."""
    admin = await service.anonymous.sign_in()
    project, _ = await service.project(admin, name)
    puts = [
        admin("PUT", f"{project}/configs/k.{n}", json={"content": n, "version": 0})
        for n in range(MANY)
    ]
    answers = await asyncio.gather(*puts)
    assert {answer.status for answer in answers} == {201}
    return project, sorted(int(answer.headers["Guardian-Position"]) for answer in answers)


async def test_it_goes_on_with_its_numbers_and_can_be_replayed(
    settings: Settings, empty_database_url: str
) -> None:
    async with run_service(settings) as service:
        project, positions = await write_many(service, "shop")
    assert positions == list(range(positions[0], positions[0] + MANY))

    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        path = f"{project}/configs/k.0"
        taken = await admin("PUT", path, json={"content": "x", "version": 0})
        assert taken.status == 409
        changed = await admin("PUT", path, json={"content": "x", "version": 1})
        assert changed.status == 200
        assert positions[-1] < int(changed.headers["Guardian-Position"]) < positions[-1] + 5
        read = await admin("GET", f"{path}?consistency=linearizable")
        assert (read.status, read.json["content"], read.json["version"]) == (200, "x", 2)
        await create_database(empty_database_url)
        await up(empty_database_url)
        report = await replay(service.log, empty_database_url, settings.require_database_url())
    assert report.revisions == MANY + 1
    assert report.differences == []


async def test_begun_anew_it_takes_groups_behind_all_that_was(settings: Settings) -> None:
    async with run_service(settings) as service:
        project, before = await write_many(service, "shop")
    begin = ("log", "begin-anew", "--reason", "group commit", "--replace")
    code, _, errors = await guardian(settings, *begin)
    assert code == 0, errors

    async with run_service(settings) as service:
        _, after = await write_many(service, "shop 2")
        admin = await service.anonymous.sign_in()
        old = await admin("GET", f"{project}/configs/k.1")
        assert (old.status, old.json["content"]) == (200, 1)
    assert before[-1] < after[0]
    messages = {-(-position // GROUP_ROOM) for position in after}
    assert len(messages) < MANY, "none came together in one message"
