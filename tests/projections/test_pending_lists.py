"""Goal: the projector, whom every writer waits for, never sorts a list of pending entries into a
GIN index; the session beside it does, soon after each change.
"""

from __future__ import annotations

import asyncio
from functools import partial

import asyncpg
import pytest

from projections import pending_lists
from tests.consensus.contract import eventually
from tests.projections.projector_world import World, write

INDEXES = ("configs_content_idx", "config_revisions_content_idx")
CLEANED = """SELECT count(*) > 0 FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'guardian-pending lists%'
        AND state = 'idle' AND query = 'SELECT clean_pending_lists()'"""


@pytest.mark.parametrize("index", INDEXES)
async def test_what_a_change_left_to_be_indexed_is_taken_in_beside_the_projector(
    world: World, index: str
) -> None:
    async with world.projector():
        await world.reach(await world.append(write("a", 1)))
        await eventually(partial(world.connection.fetchval, CLEANED))
        left = await world.connection.fetchval("SELECT gin_clean_pending_list($1)", index)
        assert left == 0


@pytest.mark.parametrize("index", INDEXES)
async def test_the_projector_leaves_more_than_comes_meanwhile(world: World, index: str) -> None:
    """By default whoever goes beyond 4 MB does all that there is: for seconds."""
    options = await world.connection.fetchval(
        "SELECT reloptions FROM pg_class WHERE relname = $1", index
    )
    assert options == ["gin_pending_list_limit=32768"]


async def test_cleaning_goes_on_when_its_session_was_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_lists, "INTERVAL_S", 0.01)
    monkeypatch.setattr(pending_lists, "RETRY_S", 0.01)
    end = CLEANED.replace("count(*) > 0", "pg_terminate_backend(pid)")
    async with world.projector():
        for version in (1, 2):
            await world.reach(await world.append(write("a", version)))
            await eventually(partial(world.connection.fetchval, CLEANED))
            await world.connection.fetchval(end)


async def test_a_projector_that_nobody_cleans_for_ends_and_says_why(world: World) -> None:
    await world.connection.execute("DROP FUNCTION clean_pending_lists")
    async with world.projector() as (_, task):
        await world.append(write("a", 1))
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await asyncio.wait_for(task, 30)
