"""Who is held for a change, beside others who are held for the same: each is told, once, and no
trace is left of who is not held any more."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import Unavailable
from app.long_poll import LongPolls
from projections.read_model import ReadModel
from tests.support.recorded import recorded


@pytest.fixture
def model() -> ReadModel:
    return ReadModel(10**6)


@pytest.fixture
def polls(model: ReadModel) -> LongPolls:
    return LongPolls(model)


def connection() -> asyncio.Future[None]:
    """One whose client stays."""
    return asyncio.get_running_loop().create_future()


async def held(polls: LongPolls, left: asyncio.Future[None] | None = None) -> asyncio.Task[None]:
    """A request that is held for a change of `k`."""
    task = asyncio.create_task(polls.change("p", "k", 1000, left=left or connection()))
    await asyncio.sleep(0)
    return task


def publish(model: ReadModel, position: int) -> None:
    model.advance([recorded(position)], [], position)


async def told(*tasks: asyncio.Task[None]) -> None:
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks)


async def test_who_comes_while_others_are_told_is_told_of_the_next_change(
    model: ReadModel, polls: LongPolls
) -> None:
    first = await held(polls)
    second = asyncio.create_task(polls.change("p", "k", 1000, left=connection()))
    publish(model, 1)  # the second begins to wait before the first goes on
    await told(first)
    assert not second.done()
    publish(model, 2)
    await told(second)
    assert not polls._waiting


async def test_one_who_leaves_takes_nobodys_change_along(
    model: ReadModel, polls: LongPolls
) -> None:
    kept = connection()
    gone = connection()
    leaving, staying = await held(polls, gone), await held(polls, kept)
    gone.set_result(None)
    await told(leaving)
    assert not staying.done()
    publish(model, 1)
    await told(staying)
    # Of a connection with many requests each leaves nothing behind.
    assert not kept._callbacks
    gone = connection()
    last = await held(polls, gone)
    gone.set_result(None)
    await told(last)
    assert not polls._waiting


async def test_a_change_and_an_end_at_the_same_moment(model: ReadModel, polls: LongPolls) -> None:
    gone = connection()
    leaving = await held(polls, gone)
    gone.set_result(None)
    await asyncio.sleep(0)
    publish(model, 1)
    await told(leaving)


async def test_no_more_are_held_than_may_be_and_none_at_the_end(
    model: ReadModel, polls: LongPolls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.long_poll.MAX_WAITING", 2)
    for position in (1, 2):  # whoever was told leaves a place
        tasks = [await held(polls), await held(polls)]
        with pytest.raises(Unavailable, match="holds no more requests"):
            await told(await held(polls))
        publish(model, position)
        await told(*tasks)
    last = await held(polls)
    polls.close()
    await told(last, await held(polls))
