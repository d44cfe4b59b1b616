"""Every Raft server is lost with its disk; PostgreSQL holds a second copy of all that counts."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from app.embedded.postgres import Postgres
from app.embedded.raft import RaftGroup
from app.migrations import up
from projections.projector import ProjectorHalted
from tests.faults.test_backup import Load, guardian, revisions
from tests.support.service import run_service, settings_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]


async def test_the_log_is_begun_anew_behind_the_database(short_path: Path) -> None:
    group, postgres = RaftGroup(short_path / "raft"), Postgres(short_path / "postgres")
    group.start()
    postgres.start()
    settings = settings_for(postgres.url(), group.url, "guardian")
    try:
        await up(postgres.url())
        async with run_service(settings) as service:
            admin = await service.anonymous.sign_in()
            project, _ = await service.project(admin)
            load = Load(admin, project)
            await load.reach(30)
            await load.stop()
        before = await revisions(postgres.url(), 2**62)
        assert len(before) == len(load.acknowledged)
        last = before[-1][3]
        group.stop()
        shutil.rmtree(short_path / "raft")
        group = RaftGroup(short_path / "raft2")
        group.start()
        settings = replace(settings, nats_url=group.url)

        # Whoever starts now makes an empty stream, and halts.
        async with run_service(settings) as service:
            with pytest.raises(ProjectorHalted, match="log-behind-checkpoint"):
                await asyncio.wait_for(service.projector_task, 60)
            ready = await service.anonymous("GET", "/readyz")
            assert "log-behind-checkpoint" in ready.json["checks"]["projector"]["reason"]
            admin = await service.anonymous.sign_in()
            assert (await admin("GET", f"{project}/configs/k0")).status == 200  # reads go on
        code, output, _ = await guardian(settings, "log", "status", "--json")
        assert code == 1
        assert "log-behind-checkpoint" in orjson.loads(output)["problem"]

        begin = ("log", "begin-anew", "--reason", "the room burnt down", "--by", "ada", "--json")
        code, _, errors = await guardian(settings, *begin)
        assert (code, "there is a stream" in errors) == (2, True), errors
        code, output, errors = await guardian(settings, *begin, "--replace")
        assert code == 0, errors
        first = orjson.loads(output)["first_position"]
        assert first > last

        async with run_service(settings) as service:
            admin = await service.anonymous.sign_in()
            found = (await admin("GET", f"{project}/configs/k0?consistency=linearizable")).json
            answer = await admin(
                "PUT",
                f"{project}/configs/k0",
                json={"content": 1, "version": found["version"]},
            )
            assert answer.status == 200, answer.body
            assert int(answer.headers["Guardian-Position"]) >= first
            assert (await service.anonymous("GET", "/readyz")).status == 200
            code, _, errors = await guardian(settings, *begin, "--replace")
            assert (code, "still connected to the database" in errors) == (2, True), errors
        async with run_service(settings) as service:  # and after a restart
            admin = await service.anonymous.sign_in()
            answer = await admin("GET", f"{project}/configs/k0?consistency=linearizable")
            assert answer.json["content"] == 1
        assert (await revisions(postgres.url(), last)) == before
        for command in (("audit", "verify"), ("projections", "verify"), ("log", "status")):
            code, output, errors = await guardian(settings, *command)
            assert code == 0, output + errors
        code, _, errors = await guardian(settings, "log", "replay", "--into", postgres.url("again"))
        assert (code, "was begun anew" in errors) == (1, True), errors
    finally:
        group.stop()
        postgres.stop()
