"""Goal: the fixtures give each test what they promise. Method: use them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import IO

import asyncpg
import nats
import pytest

from tests.support import broker


@pytest.mark.parametrize("round_", [1, 2])
async def test_each_test_gets_a_fresh_migrated_database(database_url: str, round_: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO users (id, email, password_hash) VALUES ('u', 'a@example.com', 'x')"
        )
        assert await connection.fetchval("SELECT count(*) FROM users") == 1
    finally:
        await connection.close()


@pytest.mark.parametrize("round_", [1, 2])
async def test_the_raft_group_replicates_a_stream(
    nats_url: str, stream_name: str, round_: int
) -> None:
    client = await nats.connect(nats_url.split(","))
    try:
        engine = client.jetstream()
        info = await engine.add_stream(
            name=stream_name, subjects=[f"{stream_name}.>"], num_replicas=3
        )
        assert info.cluster is not None
        assert len(info.cluster.replicas or []) == 2
    finally:
        await client.close()


def test_a_run_that_starts_leaves_alone_another_that_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold = broker._hold

    def hold_behind_a_sweep(folder: Path) -> IO[str]:
        if not (folder / "lock").exists():  # as a run that starts has made its own
            monkeypatch.setattr(broker, "_hold", hold)
            broker._sweep()
        return hold(folder)

    monkeypatch.setattr(broker, "_hold", hold_behind_a_sweep)
    run = broker.Broker()
    try:
        assert run.folder.is_dir()
        broker._sweep()
        assert run.folder.is_dir()
    finally:
        shutil.rmtree(run.folder, ignore_errors=True)
        run._lock.close()
