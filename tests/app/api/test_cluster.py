"""What is not well is named, and nothing beside it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from app.api import cluster
from app.services import SERVICES
from consensus.log import LogStatus
from projections.projector import LOCK_CLASS, LOCK_OBJECT
from projections.read_model import ReadModel
from projections.revisions import APPLICATION
from tests.app.api.test_watch import put
from tests.support.servers import PostgresAddress
from tests.support.service import Client, Service
from tests.support.waiting import until


async def trouble(service: Service) -> dict[str, str]:
    """The reasons by what is not well."""
    answer = await service.anonymous("GET", "/readyz")
    checks = answer.json["checks"]
    found = {name: check["reason"] for name, check in checks.items() if not check["ok"]}
    assert answer.json["ready"] is (not found)
    assert answer.status == (503 if found else 200)
    return found


async def test_each_part_that_is_not_well_is_named(
    service: Service,
    admin: Client,
    configs: str,
    postgres_server: PostgresAddress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = service.app[SERVICES]

    async def projector() -> Any:
        return (await admin("GET", "/v1/cluster")).json["projector"]

    position = await put(admin, configs, "a", 1)
    assert await trouble(service) == {}
    assert await projector() == {
        "active": True,
        "applied_position": position,
        "skipped": 0,
        "halted": None,
        "lag": 0,
    }

    with monkeypatch.context() as patched:
        cut_off = property(lambda _: False, lambda *_: None)
        patched.setattr(ReadModel, "live", cut_off)
        assert await trouble(service) == {"read_model": "not following the database"}

    await services.pool.execute(
        "INSERT INTO projector_halts (application_name, reason, detail, position, halted_at)"
        " VALUES ($1, 'undecodable-entry', 'why', 7, now())",
        APPLICATION,
    )
    assert await trouble(service) == {"projector": "halted: undecodable-entry: why"}
    halted = await projector()
    assert (halted["active"], halted["halted"]["position"]) == (False, 7)
    await services.pool.execute("DELETE FROM projector_halts")

    service.projector_task.cancel()
    await asyncio.gather(service.projector_task, return_exceptions=True)
    await services.pool.execute("UPDATE checkpoints SET skipped = 3")
    await services.log.append("x", b"nobody applies it", timeout=10)
    # Another service's, in a database of its own.
    elsewhere = await asyncpg.connect(postgres_server.admin_url)
    await elsewhere.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, {LOCK_OBJECT})")
    assert await trouble(service) == {"projector": "no projector is active"}
    stopped = await projector()
    assert (stopped["active"], stopped["skipped"], stopped["lag"]) == (False, 3, 1)
    await elsewhere.close()

    async def silent() -> LogStatus:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(services.log, "status", silent)
    monkeypatch.setattr("app.api.cluster.CHECK_TIMEOUT_S", 0.05)
    assert (await trouble(service))["log"] == "no answer within 0.05 s"
    told = (await admin("GET", "/v1/cluster")).json
    assert told["raft"]["reason"] == "no answer within 0.05 s"
    assert told["projector"]["lag"] is None
    # Who asks every second leaves nothing behind, answered or not.
    await until(lambda: not cluster._asked)
