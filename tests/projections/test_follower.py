"""Goal: a follower outlives every fault of its database that may pass.

Method: PostgreSQL itself raises the fault while the follower reads its checkpoint.
"""

from __future__ import annotations

import asyncio
from functools import partial

import asyncpg
import pytest

from projections.follower import Follower
from projections.read_model import ReadModel
from projections.revisions import APPLICATION
from tests.consensus.contract import eventually

BROKEN = """
ALTER TABLE checkpoints RENAME TO checkpoints_whole;
CREATE SEQUENCE tried;  -- stays moved when what moved it is undone
CREATE FUNCTION fault() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('tried'); RAISE 'the fault of the test' USING ERRCODE = '{code}'; END $$;
CREATE VIEW checkpoints AS SELECT * FROM checkpoints_whole WHERE fault();
"""
WHOLE = "DROP VIEW checkpoints; ALTER TABLE checkpoints_whole RENAME TO checkpoints"


@pytest.mark.parametrize("code", ["58030", "25006", "53100", "57P01"])
async def test_a_fault_that_may_pass_is_waited_out(database_url: str, code: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO checkpoints (application_name, notification_id) VALUES ($1, 0)", APPLICATION
    )
    await connection.execute(BROKEN.format(code=code))
    follower = Follower(database_url, ReadModel(10_000))
    running = asyncio.create_task(follower.run())
    warming = asyncio.create_task(follower.warm())
    try:
        await eventually(partial(connection.fetchval, "SELECT is_called FROM tried"))
        await connection.execute(WHOLE)
        async with asyncio.timeout(30):
            await follower.warmed.wait()
        assert not running.done()
    finally:
        running.cancel()
        warming.cancel()
        await connection.close()
