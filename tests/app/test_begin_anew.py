"""Goal: nobody begins the log anew under a service that still runs.

A web process that went on would know the old log's positions only, and answer 404 for changes that
were committed; a projector would apply nothing.
"""

from __future__ import annotations

import os

import asyncpg

from app.settings import Settings
from tests.faults.test_backup import guardian
from tests.support.service import run_service, run_web, settings_for

BEGIN = ("log", "begin-anew", "--reason", "all disks lost", "--replace")


async def beginnings(settings: Settings) -> int:
    connection = await asyncpg.connect(settings.require_database_url())
    found = await connection.fetchval("SELECT count(*) FROM log_beginnings")
    await connection.close()
    return int(found)


async def test_it_is_refused_while_anybody_is_connected_and_says_who(
    database_url: str, nats_url: str, stream_name: str
) -> None:
    settings = settings_for(database_url, nats_url, stream_name)
    this = os.getpid()
    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        path = f"{project}/configs/a"
        assert (await admin("PUT", path, json={"content": 1, "version": 0})).status == 201
        code, _, errors = await guardian(settings, *BEGIN)
        assert (code, f"guardian-projector {this} on " in errors) == (2, True), errors
    async with run_web(settings):
        code, _, errors = await guardian(settings, *BEGIN)
        assert (code, f"guardian-web {this} on " in errors) == (2, True), errors
        assert errors.startswith("error: still connected to the database: ")
    assert await beginnings(settings) == 0
    async with run_service(settings) as service:  # its log is the one of before
        admin = await service.anonymous.sign_in()
        changed = await admin("PUT", path, json={"content": 2, "version": 1})
        assert changed.status == 200, changed.body
    code, _, errors = await guardian(settings, *BEGIN)
    assert code == 0, errors
    assert await beginnings(settings) == 1
