"""What a running projector remembers of its last batches, and that it never believes it blindly."""

from __future__ import annotations

import asyncio

import pytest

from domain.change_set import ChangeSet, Head, encode_change_set
from domain.codec import encode_event
from projections import batch, recent
from projections.apply import GATHER, apply_batch
from projections.batch import Chain, Touched, decode_entry
from projections.batch_write import WRITE
from projections.checkpoint import Checkpoint, create_checkpoint
from tests.projections.projector_world import World, write
from tests.support.rows import insert_project, insert_user


async def test_a_batch_that_touches_what_the_last_one_left_asks_for_nothing(world: World) -> None:
    await create_checkpoint(world.connection)
    asked: list[str] = []
    # The driver asks for types of its own.
    world.connection.add_query_logger(
        lambda query: asked.append(query.query) if query.query in (GATHER, WRITE) else None
    )
    checkpoint, memory = Checkpoint(), recent.Recent()
    for version, questions in ((1, [GATHER, WRITE]), (2, [WRITE]), (3, [WRITE])):
        asked.clear()
        position = await world.append(write("a", version))
        entry = await world.log.entry_at(position)
        assert entry is not None
        checkpoint = await apply_batch(world.connection, checkpoint, [decode_entry(entry)], memory)
        await asyncio.sleep(0)  # the driver tells of a question in the next turn of the loop
        assert asked == questions
    assert [version for _, version, _ in await world.versions()] == [1, 2, 3]


async def test_an_entry_that_comes_again_to_a_running_projector_is_skipped(world: World) -> None:
    """Also one that was rejected and would be accepted by now."""
    first = encode_change_set(ChangeSet("first", "p", (encode_event(write("a", 1)),)))
    early = encode_change_set(ChangeSet("early", "p", (encode_event(write("a", 3)),)))
    async with world.projector():
        await world.reach(await world.append_raw(first))
        await world.reach(await world.append_raw(early))
        await world.reach(await world.append_raw(first))
        await world.reach(await world.append(write("a", 2)))
        await world.reach(await world.append_raw(early))
        assert [version for _, version, _ in await world.versions()] == [1, 2]
        assert await world.skipped() == 2
        await world.reach(await world.append(write("a", 3)))
    assert [version for _, version, _ in await world.versions()] == [1, 2, 3]


async def test_a_user_who_goes_under_a_running_projector_is_not_referred_to(world: World) -> None:
    await insert_user(world.connection, "v")
    async with world.projector():
        for version in (1, 2):
            await world.reach(await world.append(write("a", version, actor={"user_id": "v"})))
        await world.connection.execute("DELETE FROM users WHERE id = 'v'")
        await world.reach(await world.append(write("a", 3, actor={"user_id": "v"})))
    users = await world.connection.fetch("SELECT created_by_user_id FROM config_revisions")
    assert [user for (user,) in users] == [None, None, None]


async def test_a_project_that_goes_under_a_running_projector_is_skipped(world: World) -> None:
    await insert_project(world.connection, "q", "u")
    async with world.projector():
        for version in (1, 2):
            await world.reach(await world.append(write("a", version, "q"), project="q"))
        await world.connection.execute("DELETE FROM projects WHERE id = 'q'")
        await world.reach(await world.append(write("a", 3, "q"), project="q"))
        assert await world.skipped() == 1
        # And if it came back under its old id, its configs would begin anew.
        await insert_project(world.connection, "q", "u")
        await world.reach(await world.append(write("a", 1, "q"), project="q"))
    assert [(key, version) for key, version, _ in await world.versions()] == [("a", 1)]


async def test_a_project_that_came_back_under_a_running_projector_begins_anew(
    world: World,
) -> None:
    """By what is remembered its first change would be rejected; nothing of that may be written."""
    await insert_project(world.connection, "q", "u")
    async with world.projector():
        for version in (1, 2):
            await world.reach(await world.append(write("a", version, "q"), project="q"))
        await world.connection.execute("DELETE FROM projects WHERE id = 'q'")
        await insert_project(world.connection, "q", "u")
        await world.reach(await world.append(write("a", 1, "q"), project="q"))
    assert [(key, version) for key, version, _ in await world.versions()] == [("a", 1)]
    assert await world.connection.fetchval("SELECT count(*) FROM rejected_changes") == 0


async def test_more_configs_than_a_projector_remembers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "MAX_REMEMBERED", 3)
    async with world.projector():
        for version in (1, 2, 3):
            for key in "abcde":
                await world.reach(await world.append(write(key, version)))
    assert len(await world.versions()) == 15


@pytest.mark.parametrize("what", ["configs", "projects", "users"])
def test_what_a_projector_remembers_has_a_bound(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(recent, "MAX_REMEMBERED", 3)
    memory = recent.Recent()
    one = Touched(projects={"p"}, users=set(), configs=set(), changes=set())
    for number in range(3):
        name = str(number)
        memory.keep(
            batch.World(
                users={name} if what == "users" else set(),
                heads={f"p/{name}": Head(1, False)} if what == "configs" else {},
                chains={"p": Chain()} | ({name: Chain()} if what == "projects" else {}),
            )
        )
        assert (memory.world(one, None) is None) is (number == 2 and what != "configs")
    memory.keep(batch.World(heads={"p/3": Head(1, False)}))
    assert memory.world(one, None) is None
