"""A database made from the log alone is the live one, hash for hash; and what is not, is found.

Method: the whole service with races, deletions and projects that went; the real command.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from app.migrations import create_database, up
from app.services import SERVICES
from consensus.jetstream import JetStreamLog
from consensus.log import Entry, LogUnavailable
from consensus.memory import MemoryLog
from projections.checkpoint import create_checkpoint
from projections.fingerprint import Difference, Fingerprint, differences
from projections.log_beginning import keep_projectors_off
from projections.replay import LogNotWhole, TargetNotFresh, replay
from tests.consensus.contract import eventually
from tests.projections.projector_world import World, write
from tests.support.servers import own_database
from tests.support.service import Client, Service, run_service, settings_for


async def guardian(service: Service, *arguments: str) -> tuple[int, str, str]:
    """Run the real command line beside the service: exit code, output, errors."""
    settings = service.settings
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "DATABASE_URL": settings.require_database_url(),
            "NATS_URL": settings.require_nats_url(),
            "GUARDIAN_STREAM": settings.stream,
        },
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def fill(service: Service, admin: Client) -> tuple[str, str]:
    """Two projects with some history, and one that is deleted again; the first two's paths."""
    paths = [(await service.project(admin, name))[0] for name in ("one", "two", "three")]
    for path in paths:
        await asyncio.gather(
            *(
                admin("PUT", f"{path}/configs/k{n % 4}", json={"content": n, "version": n // 8})
                for n in range(16)
            )
        )
        await admin("DELETE", f"{path}/configs/k1", headers={"If-Match": "*"})
        await admin("PUT", f"{path}/configs/k1", json={"content": {"again": -0.0}, "version": 0})
    connection = await asyncpg.connect(service.settings.database_url)
    await connection.execute("DELETE FROM projects WHERE id = $1", paths[2].rsplit("/", 1)[1])
    await connection.close()
    answer = await admin("PUT", f"{paths[0]}/configs/last", json={"content": 1, "version": 0})
    assert answer.status == 201
    return paths[0], paths[1]


@pytest.fixture
async def filled(database_url: str, nats_url: str, stream_name: str) -> Any:
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        await fill(service, admin)
        yield service, admin


@pytest.fixture
def into() -> Iterator[str]:
    """A fresh database beside the live one."""
    with own_database() as url:
        yield url


async def test_the_command_replays_the_log_into_an_equal_database(
    filled: tuple[Service, Client], empty_database_url: str
) -> None:
    service, admin = filled
    # How a server writes times and bytes is its operator's; the new one does as PostgreSQL does.
    await service.app[SERVICES].pool.execute(WRITTEN_OTHERWISE)
    # A read barrier behind the last change: the checkpoint stands at an entry that expires.
    await admin("GET", "/v1/projects")
    code, output, errors = await guardian(
        service, "log", "replay", "--into", empty_database_url, "--json"
    )
    assert code == 0, errors
    report = json.loads(output)
    assert report["differences"] == []
    assert report["fingerprints"] >= 6
    assert report["skipped"] > 0  # of the project that is gone
    assert report["tables"]["users"] == 1
    assert report["tables"]["projects"] == 2

    await service.hears()
    code, output, _ = await guardian(service, "log", "status", "--json")
    status = json.loads(output)
    assert code == 0
    assert status["problem"] is None
    assert status["behind"] == 0  # its own barrier is not counted
    assert status["first_position"] == 1
    assert status["last_position"] >= status["checkpoint"] > 0

    code, output, errors = await guardian(service, "log", "replay", "--into", empty_database_url)
    assert code == 2
    assert "it has rows in users" in errors


WRITTEN_OTHERWISE = """
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET TimeZone = %L', current_database(), 'America/New_York');
    EXECUTE format('ALTER DATABASE %I SET DateStyle = SQL, DMY', current_database());
    EXECUTE format('ALTER DATABASE %I SET bytea_output = escape', current_database());
END $$
"""

DAMAGES = {
    "configs": "UPDATE configs SET content = '7' WHERE key = 'k2'",
    "config_revisions": "UPDATE config_revisions SET comment = 'x' WHERE config_key = 'k3'",
    "rejected_changes": "DELETE FROM rejected_changes",
    "audit_heads": "UPDATE audit_heads SET revisions = revisions + 1",
}


async def test_a_live_database_that_somebody_changed_is_found(
    filled: tuple[Service, Client], empty_database_url: str
) -> None:
    service, _ = filled
    connection = await asyncpg.connect(service.settings.database_url)
    await connection.execute("SET session_replication_role = replica")
    for damage in DAMAGES.values():
        await connection.execute(damage)
    await connection.close()
    code, output, errors = await guardian(service, "log", "replay", "--into", empty_database_url)
    assert code == 1, errors
    for table in DAMAGES:
        assert f"DIFFERS: {table} of project" in output


async def test_the_live_database_goes_on_while_it_is_replayed(
    filled: tuple[Service, Client], empty_database_url: str
) -> None:
    service, admin = filled
    project, _ = await service.project(admin, "busy")
    stop = asyncio.Event()

    async def write() -> int:
        version = 0
        while not stop.is_set():
            answer = await admin(
                "PUT", f"{project}/configs/k", json={"content": version, "version": version}
            )
            assert answer.status in (200, 201)
            version += 1
        return version

    writing = asyncio.create_task(write())
    await create_database(empty_database_url)
    await up(empty_database_url)
    report = await replay(service.log, empty_database_url, service.settings.require_database_url())
    stop.set()
    assert await writing > 0
    assert report.differences == []
    assert report.position >= report.compared_position > 0
    with pytest.raises(TargetNotFresh):
        await replay(service.log, empty_database_url, service.settings.require_database_url())


async def test_a_project_whose_rows_are_still_to_go_is_no_difference(
    filled: tuple[Service, Client], empty_database_url: str
) -> None:
    # What was recorded of it before is still in the live database; the replay skips all of it.
    service, admin = filled
    path, _ = await service.project(admin, "going")
    for version in range(2):
        put = {"content": 1, "version": version}
        assert (await admin("PUT", f"{path}/configs/k", json=put)).status in (200, 201)
    connection = await asyncpg.connect(service.settings.database_url)
    await connection.execute(
        "UPDATE projects SET deleted_at = now() WHERE id = $1", path.rsplit("/", 1)[1]
    )
    await connection.close()
    await create_database(empty_database_url)
    await up(empty_database_url)
    dsn = service.settings.require_database_url()
    report = await replay(service.log, empty_database_url, dsn)
    assert (report.differences, report.tables["projects"]) == ([], 3)


async def _is_gone(log: JetStreamLog, position: int) -> bool:
    return await log.entry_at(position) is None


async def test_a_replay_that_outlives_its_barrier_finds_the_end_all_the_same(
    filled: tuple[Service, Client], empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: the last position that was committed may be a barrier, which expires within a minute;
    a million entries take longer. Method: a barrier that has expired before the replay begins.
    """
    service, _ = filled
    settings = service.settings
    log = await JetStreamLog.connect(settings.nats_servers, settings.stream, barrier_ttl_s=1)
    try:
        barrier, expired = log.barrier, await log.barrier(timeout=5)
        anew: list[int] = []

        async def stale(*, timeout: float) -> int:
            return expired

        monkeypatch.setattr(log, "barrier", stale)  # or the look below would append another
        await eventually(lambda: _is_gone(log, expired))

        async def stale_once(*, timeout: float) -> int:
            monkeypatch.setattr(log, "barrier", fresh)
            return expired

        async def fresh(*, timeout: float) -> int:
            anew.append(await barrier(timeout=timeout))
            return anew[-1]

        monkeypatch.setattr(log, "barrier", stale_once)
        await create_database(empty_database_url)
        await up(empty_database_url)
        report = await replay(log, empty_database_url, settings.require_database_url())
        assert report.differences == []
        assert len(anew) == 1
    finally:
        await log.close()


async def test_an_entry_that_cannot_be_decoded_is_skipped_by_a_recorded_decision(
    filled: tuple[Service, Client], empty_database_url: str
) -> None:
    """The whole way: halt, readiness says why, reads go on, decision, all goes on; replayed."""
    service, admin = filled
    project, _ = await service.project(admin, "p")
    path = f"{project}/configs/k"
    assert (await admin("PUT", path, json={"content": 1, "version": 0})).status == 201
    position = await service.log.append("bad", b'{"format": 2}\n{}', timeout=10)
    await asyncio.wait((service.projector_task,))

    ready = await service.anonymous("GET", "/readyz")
    assert ready.status == 503
    reason = ready.json["checks"]["projector"]["reason"]
    assert "undecodable-entry" in reason
    assert f"position {position}" in reason
    assert (await admin("GET", path)).json["content"] == 1

    code, _, errors = await guardian(service, "log", "skip", "1", "--reason", "x")
    assert code == 2
    assert f"the projector halted at {position}, not at 1" in errors
    code, output, _ = await guardian(service, "log", "status", "--json")
    assert (code, json.loads(output)["halt"]["position"]) == (1, position)
    code, _, errors = await guardian(
        service, "log", "skip", str(position), "--reason", "a test", "--by", "ada"
    )
    assert code == 0, errors

    task = asyncio.create_task(service.projector.run())
    try:
        assert (await admin("PUT", path, json={"content": 2, "version": 1})).status == 200
        assert (await service.anonymous("GET", "/readyz")).status == 200
        code, _, errors = await guardian(service, "log", "skip", str(position), "--reason", "x")
        assert code == 2
        assert "the projector runs" in errors
        code, output, errors = await guardian(
            service, "log", "replay", "--into", empty_database_url, "--json"
        )
        assert code == 0, output + errors
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    connection = await asyncpg.connect(empty_database_url)
    row = await connection.fetchrow("SELECT position, reason, decided_by FROM skipped_entries")
    await connection.close()
    assert row is not None
    assert tuple(row) == (position, "a test", "ada")


async def test_the_log_is_replayed_to_its_end_though_the_live_database_is_behind(
    world: World, into: str
) -> None:
    await world.append(write("a", 1))
    await world.project_all()
    at = world.applied.position
    await world.append(write("a", 2))
    told: list[tuple[int, int]] = []
    report = await replay(world.log, into, world.url, lambda *done: told.append(done))
    end = (await world.log.status()).last_position
    assert (report.compared_position, report.position, report.revisions) == (at, end, 2)
    assert told[-1] == (end, end)
    assert report.differences == []
    assert not world.log._readers


async def test_a_replay_into_what_is_not_fresh_or_of_a_log_that_is_not_whole_is_refused(
    world: World, into: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.append(write("a", 1))
    await world.project_all()
    target = await asyncpg.connect(into)
    await keep_projectors_off(target)
    with pytest.raises(TargetNotFresh, match="a projector works in it"):
        await replay(world.log, into, world.url)
    await target.fetchval("SELECT pg_advisory_unlock_all()")

    class DeliversNothing(MemoryLog):
        def entries_after(self, position: int, max_entries: int) -> list[Entry]:
            return []

    for name in ("SILENT_S", "READ_TIMEOUT_S"):
        monkeypatch.setattr(f"projections.replay.{name}", 0.01)
    with pytest.raises(LogUnavailable, match="was not delivered up to position"):
        await replay(DeliversNothing(), into, world.url)
    for table in ("projects", "config_schema_versions", "config_schemas", "users"):
        await target.execute(f"DELETE FROM {table}")
    await world.connection.execute(
        "INSERT INTO log_beginnings (first_position, reason, decided_by) VALUES (2, 'test', 'me')"
    )
    with pytest.raises(LogNotWhole, match="begun anew at position 2"):
        await replay(world.log, into, world.url)
    await create_checkpoint(target)
    await target.execute("UPDATE checkpoints SET notification_id = 1")
    with pytest.raises(TargetNotFresh, match="it has a checkpoint"):
        await replay(world.log, into, world.url)
    await target.close()


def test_what_only_one_of_two_databases_has_is_a_difference() -> None:
    one, other = Fingerprint(1, "1"), Fingerprint(1, "2")
    left = {("configs", "p"): one, ("configs", "q"): one, ("configs", "r"): one}
    right = {("configs", "p"): one, ("configs", "q"): other, ("configs", "s"): one}
    assert differences(left, right) == [
        Difference("configs", "q", one, other),
        Difference("configs", "r", one, None),
        Difference("configs", "s", None, one),
    ]
