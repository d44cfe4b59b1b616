"""Goal: a follower outlives every fault of its database that may pass.

Method: PostgreSQL itself raises the fault while the follower reads its checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import asyncpg
import pytest

from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.errors import BrokenInvariant, Conflict
from projections.checkpoint import CHANNEL, Checkpoint, read_checkpoint
from projections.follower import Follower, _Told
from projections.read_model import ReadModel, RecordedRevision, Rejected
from projections.revisions import APPLICATION, Connection
from tests.consensus.contract import eventually
from tests.projections.projector_world import World, write
from tests.support.recorded import recorded

BROKEN = """
ALTER TABLE checkpoints RENAME TO checkpoints_whole;
CREATE SEQUENCE tried;  -- stays moved when what moved it is undone
CREATE FUNCTION fault() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('tried'); RAISE 'the fault of the test' USING ERRCODE = '{code}'; END $$;
CREATE VIEW checkpoints AS SELECT * FROM checkpoints_whole WHERE fault();
"""
WHOLE = "DROP VIEW checkpoints; ALTER TABLE checkpoints_whole RENAME TO checkpoints"

SESSIONS = """
FROM pg_stat_activity
WHERE application_name LIKE 'guardian-follower %' AND datname = current_database()
"""


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


async def test_between_two_pages_the_position_is_that_of_what_is_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a watch that begins there would never be sent what came with the first page."""
    monkeypatch.setattr("projections.follower.PAGE", 3)
    model, heard, batches = ReadModel(100_000), [0], list[list[str]]()

    def hear(revisions: Sequence[RecordedRevision]) -> None:
        heard.extend(r.position for r in revisions)
        batches.append([r.key for r in revisions])

    model.listen(hear)
    page, seen = Follower._page, []

    async def looked_at(self: Follower, connection: Any, last: int) -> list[Any]:
        seen.append((model.position, heard[-1]))
        return await page(self, connection, last)

    running = asyncio.create_task(Follower(world.url, model).run())
    try:
        await eventually(lambda: _is_live(model))
        monkeypatch.setattr(Follower, "_page", looked_at)
        refused = model.expect("late")
        for number in range(6):
            await world.append(write(f"a{number}", 1), write(f"b{number}", 1))
            if number == 1:
                late = ChangeSet("late", "p", (encode_event(write("a0", 1)),))
                await world.append_raw(encode_change_set(late))
        await world.project_all()
        await eventually(lambda: _holds(model, 12))
        assert isinstance(refused.result(), Rejected)
        # Of what was taken in already nothing is heard again, nor is it missed.
        await world.connection.execute("SELECT pg_notify($1, '1:1:0')", CHANNEL)
        await world.append(write("a0", 2))
        await world.project_all()
        await eventually(lambda: _holds(model, 13))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    # A change set is never heard in two parts.
    pairs = [[f"a{number}", f"b{number}"] for number in range(6)]
    assert [batch for batch in batches if batch] == [*pairs, ["a0"]]
    assert len(seen) > 1
    assert all(position == last for position, last in seen), seen


async def test_a_model_is_not_called_complete_before_it_stands_where_the_table_was_read(
    world: World,
) -> None:
    """What is ahead of it was left out, and would be taken for what never was."""
    await world.append(write("a", 1))
    await world.project_all()
    model = ReadModel(100_000)
    model.start(1, 1)
    await world.append(write("b", 1))
    await world.project_all()
    warming = asyncio.create_task(_warm(world, model))
    try:
        await eventually(lambda: _waits_or_ended(model, warming))
        assert not model.complete
        assert model.project("p").keys() == {"a"}
        model.advance([recorded(2, key="b")], (), world.applied.position)
        async with asyncio.timeout(20):
            await warming
        assert model.complete
    finally:
        warming.cancel()


async def test_a_model_that_has_not_room_for_all_that_is_in_the_table_is_not_complete(
    world: World,
) -> None:
    await world.append(write("a", 1), write("b", 1))
    await world.project_all()
    model = ReadModel(recorded(1).bytes)
    model.start(world.applied.position, 2)
    await _warm(world, model)
    assert len(model.project("p")) == 1
    assert not model.complete


async def test_a_damaged_projection_is_never_taken_for_what_stands(world: World) -> None:
    """A process that started while rows of `configs` were gone answered 404 and 409 of theirs until
    it was started again, though they were put right meanwhile."""
    await world.append(write("a", 1), write("b", 1), write("c", 1))
    await world.append(write("b", 2))
    await world.project_all()
    await world.connection.execute("SET session_replication_role = replica")
    await world.connection.execute("DELETE FROM configs WHERE key = 'a'")
    await world.connection.execute("UPDATE configs SET version = 1 WHERE key = 'b'")
    await world.connection.execute("UPDATE configs SET version = 9 WHERE key = 'c'")
    model = ReadModel(100_000)
    model.start(world.applied.position, 4)
    await _warm(world, model)
    assert model.complete
    assert {key: r.version for key, r in model.project("p").items()} == {"a": 1, "b": 2, "c": 1}


async def test_what_changes_while_the_table_is_read_is_held_as_it_was_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the model has moved on, its newest version is the one that is here."""
    await world.append(write("a", 1))
    await world.project_all()
    model = ReadModel(100_000)
    model.start(world.applied.position, 1)

    async def changed_behind(connection: Connection) -> Checkpoint:
        checkpoint = await read_checkpoint(connection)
        await world.append(write("a", 2))
        await world.project_all()
        return checkpoint

    monkeypatch.setattr("projections.follower.read_checkpoint", changed_behind)
    await _warm(world, model)
    assert model.complete
    assert model.head("p", "a").version == 1


async def _warm(world: World, model: ReadModel) -> None:
    follower = Follower(world.url, model)
    follower.ready.set()
    async with asyncio.timeout(20):
        await follower.warm()


async def _waits_or_ended(model: ReadModel, warming: asyncio.Task[None]) -> bool:
    return bool(model._waiters) or warming.done()


async def _is_live(model: ReadModel) -> bool:
    return model.live


async def _holds(model: ReadModel, sequence: int) -> bool:
    return model.sequence == sequence


@pytest.mark.parametrize("caught_up", [False, True])
async def test_a_database_that_went_back_ends_the_follower(world: World, caught_up: bool) -> None:
    """A standby without the last commits was promoted; what this process knows is not there."""
    for number in range(3):
        await world.append(write(f"k{number}", 1))
    await world.project_all()
    model = ReadModel(100_000)
    running = asyncio.create_task(Follower(world.url, model).run())
    await eventually(lambda: _is_live(model))
    await world.connection.execute(
        "UPDATE checkpoints SET last_sequence = 1, notification_id = notification_id + $1",
        10 if caught_up else -1,
    )
    await world.connection.execute(f"SELECT pg_terminate_backend(pid) {SESSIONS}")
    with pytest.raises(BrokenInvariant, match="went back"):
        async with asyncio.timeout(20):
            await running


async def test_what_was_said_while_nobody_listened_is_taken_for_said(world: World) -> None:
    """Else who lost a right in that moment kept it. And no connection is left behind."""
    model, told = ReadModel(100_000), list[None]()
    running = asyncio.create_task(
        Follower(world.url, model, {"other": lambda: told.append(None)}).run()
    )
    try:
        await eventually(lambda: _is_live(model))
        before = len(told)
        ended = await world.connection.fetch(f"SELECT pg_terminate_backend(pid) {SESSIONS}")
        assert len(ended) == 1
        await eventually(lambda: _is_longer(told, before))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await eventually(lambda: _none_is_left(world))


async def _is_longer(told: list[None], before: int) -> bool:
    return len(told) > before


async def _none_is_left(world: World) -> bool:
    return await world.connection.fetch(f"SELECT pid {SESSIONS}") == []


async def test_a_rejection_by_the_log_is_told_to_whoever_waits(world: World) -> None:
    model = ReadModel(100_000)
    running = asyncio.create_task(Follower(world.url, model).run())
    try:
        await eventually(lambda: _is_live(model))
        async with world.projector():
            await world.reach(await world.append(write("a", 1)))
            for change_id in ("first", "second"):
                future = model.expect(change_id)
                late = ChangeSet(change_id, "p", (encode_event(write("a", 1)),))
                await world.append_raw(encode_change_set(late))
                async with asyncio.timeout(20):
                    outcome = await future
                assert isinstance(outcome, Rejected)
                assert outcome.conflicts == (Conflict("a", 0, 1),)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_what_was_told_of_several_batches_is_added_up() -> None:
    told = _Told()
    for payload in ("4:2:1", "5:3:0"):
        told.add(payload)
    assert told.take() == (5, 3, True)
    assert told.take() == (0, 0, False)
