"""Goal: a project goes at once, and however long its rows take to follow, nobody waits for them.

Method: a row that the deletion must take is locked, so that it is under way for as long as we like.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
import pytest

from app import project_deletions
from app.services import SERVICES
from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from projections.projector import Projector
from projections.rebuild import rebuild_configs
from tests.app.api.test_history import put
from tests.app.api.test_projects import make_key
from tests.consensus.contract import eventually
from tests.projections.projector_world import write as written
from tests.support.service import Answer, Client, Service, run_web

WAITS = """SELECT count(*) > 0 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND query ~ 'DELETE FROM (projects|users)'"""
HAS_ROWS = "SELECT EXISTS (SELECT FROM projects WHERE id = $1)"


def id_of(project: str) -> str:
    return project.rsplit("/", 1)[1]


async def append(
    service: Service, project: str, key: str, version: int = 1, **written_as: object
) -> int:
    """What a write leaves in the log whose caller was let in before the deletion."""
    event = written(key, version, project, **written_as)
    change = ChangeSet(uuid.uuid4().hex, project, (encode_event(event),))
    return await service.log.append(change.id, encode_change_set(change), timeout=10)


@asynccontextmanager
async def held(
    service: Service, admin: Client, project: str, path: str | None = None
) -> AsyncIterator[asyncio.Task[Answer]]:
    """The deletion of `path`, which takes the project along, under way until the end of the block;
    of the project itself where no path is given."""
    await make_key(admin, project, "held")
    async with under_way(service, admin, project, path or project) as deletion:
        yield deletion
    assert not await service.app[SERVICES].pool.fetchval(HAS_ROWS, id_of(project))


@asynccontextmanager
async def under_way(
    service: Service, admin: Client, project: str, path: str
) -> AsyncIterator[asyncio.Task[Answer]]:
    """The deletion of `path`, under way until the end of the block: at the keys of `project`."""
    connection = await asyncpg.connect(service.settings.require_database_url())
    try:
        async with connection.transaction():
            await connection.execute(
                "SELECT FROM api_keys WHERE project_id = $1 FOR UPDATE", id_of(project)
            )
            deletion = asyncio.create_task(admin("DELETE", path))
            # Of a pool: within a transaction the activity is what it was at the first look.
            pool = service.app[SERVICES].pool
            await eventually(partial(pool.fetchval, WAITS))
            yield deletion
        answer = await deletion
        assert (answer.status, answer.json["deleted"]) == (200, True)
    finally:
        await connection.close()


async def test_others_write_while_a_project_goes_that_is_written_to(
    service: Service, admin: Client
) -> None:
    # The projector waited for the deletion at the entry of this project, and everybody behind it.
    project, _ = await service.project(admin, "large")
    other, _ = await service.project(admin, "other")
    await put(admin, f"{project}/configs/a", 1)
    async with held(service, admin, project) as deletion:
        await append(service, id_of(project), "b")
        await put(admin, f"{other}/configs/a", 1)
        assert not deletion.done()


async def test_a_project_is_gone_for_everybody_before_its_rows_are(
    service: Service, admin: Client
) -> None:
    project, key = await service.project(admin)
    await put(admin, f"{project}/configs/a", 1)
    body = {"name": "numbers", "schema": {"type": "integer"}, "project_id": id_of(project)}
    assert (await admin("POST", "/v1/schemas", json=body)).status == 201
    replaced = await admin("POST", f"{project}/api-key", json={"grace_seconds": 3600})
    applications = [
        service.anonymous.with_headers(**{"X-API-Key": each})
        for each in (key, replaced.json["api_key"])
    ]
    applications.append(await make_key(admin, project, "named", role_level="editor"))
    async with held(service, admin, project):
        change = {"content": 2, "version": 1}
        for client, status in ((admin, 404), *((each, 401) for each in applications)):
            assert (await client("GET", f"{project}/configs/a")).status == status
            assert (await client("PUT", f"{project}/configs/a", json=change)).status == status
        for method in ("GET", "DELETE"):
            assert (await admin(method, project)).status == 404
        assert (await admin("PATCH", project, json={"name": "again"})).status == 404
        for path in ("/v1/projects", "/v1/schemas"):
            assert (await admin("GET", path)).json["items"] == []


async def test_a_change_that_its_projects_end_overtook_finds_no_project(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    log = service.app[SERVICES].log
    append = log.append

    async def overtaken(message_id: str, data: bytes, *, timeout: float) -> int:
        assert (await admin("DELETE", project)).status == 200
        return await append(message_id, data, timeout=timeout)

    log.append = overtaken  # type: ignore[method-assign]
    answer = await admin("PUT", f"{project}/configs/a", json={"content": 1, "version": 0})
    assert (answer.status, answer.json["type"]) == (404, "/problems/not-found")


async def test_a_rebuild_does_not_wait_for_a_project_that_goes(
    service: Service, admin: Client
) -> None:
    # It keeps the projector waiting while it does.
    project, _ = await service.project(admin)
    await put(admin, f"{project}/configs/a", 1)
    async with held(service, admin, project), asyncio.timeout(20):
        report = await rebuild_configs(service.settings.require_database_url())
        assert report.differences == 0


async def test_a_deletion_that_could_not_be_finished_is_finished_by_the_next_process(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Method: without a projector nobody knows what it has begun.
    monkeypatch.setattr(project_deletions, "BARRIER_TIMEOUT_S", 0.2)
    project, _ = await service.project(admin)
    await put(admin, f"{project}/configs/a", 1)
    service.projector_task.cancel()
    await asyncio.gather(service.projector_task, return_exceptions=True)
    answer = await admin("DELETE", project)
    assert (answer.status, answer.json["deleted"]) == (200, True)
    assert (await admin("GET", project)).status == 404
    connection = await asyncpg.connect(service.settings.require_database_url())
    assert await connection.fetchval(HAS_ROWS, id_of(project))

    monkeypatch.undo()
    projector = Projector(service.log, service.settings.require_database_url())
    service.projector_task = asyncio.create_task(projector.run())

    async def is_gone() -> bool:
        return not await connection.fetchval(HAS_ROWS, id_of(project))

    async with run_web(service.settings):
        await eventually(is_gone)
    await connection.close()
    service.projector_task.cancel()
