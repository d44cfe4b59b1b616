"""Who waits for a read model: woken when it is there and not before, and never left behind."""

from __future__ import annotations

import asyncio

import pytest

from projections.read_model import Applied, ReadModel, Rejected
from tests.support.recorded import recorded


async def test_whoever_waits_is_woken_at_their_position_and_not_before() -> None:
    model = ReadModel(100_000)
    model.start(3, 0)
    await model.wait_for(3, timeout=0)
    woken: list[int] = []

    async def wait(position: int) -> None:
        await model.wait_for(position)
        woken.append(position)

    waiting = [asyncio.create_task(wait(position)) for position in (9, 5, 7, 6)]
    await asyncio.sleep(0)
    for reached, expected in ((4, []), (5, [5]), (2, [5]), (7, [5, 6, 7]), (9, [5, 6, 7, 9])):
        model.advance((), (), reached)
        for _ in waiting:
            await asyncio.sleep(0)
        assert woken == expected
        assert model.position == max(4, reached, *woken)


async def test_those_who_left_are_forgotten_and_the_others_are_woken_all_the_same() -> None:
    """While nothing is applied, requests come, wait until their time is over, and leave."""
    model = ReadModel(100_000)
    stay = [asyncio.create_task(model.wait_for(position)) for position in (8, 6, 9, 7)]
    for number in range(100):
        with pytest.raises(TimeoutError):
            await model.wait_for(1 + number % 5, timeout=0)
        assert len(model._waiters) <= 2 * len(stay) + 1
    for position in (6, 7, 8, 9):
        model.advance((), (), position)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sum(task.done() for task in stay) == position - 5


async def test_whoever_comes_next_is_woken_when_those_before_have_left() -> None:
    model = ReadModel(100_000)
    # In this order the heap holds 8 and 9 in front of 5.
    waiting = {p: asyncio.create_task(model.wait_for(p)) for p in (1, 8, 2, 9, 10, 5, 3)}
    await asyncio.sleep(0)
    for position in (1, 2, 3, 10):
        waiting[position].cancel()
    await asyncio.sleep(0)
    model.advance((), (), 5)
    async with asyncio.timeout(10):
        await waiting[5]
    model.advance((), (), 9)
    await asyncio.gather(waiting[8], waiting[9])


async def test_all_who_wait_for_a_change_set_learn_of_it_once_and_whole() -> None:
    model = ReadModel(100_000)
    first, again = model.expect("c"), model.expect("c")
    assert first is again
    model.forget("c", first)  # one of the two
    refused = model.expect("r")
    parts = [
        recorded(1, change_id="c"),
        recorded(2, change_id="other"),
        recorded(3, change_id="c", change_index=1, key="l"),
    ]
    rejected = Rejected(3, ())
    model.advance(parts, [("r", rejected)], 3)
    assert first.result() == Applied((parts[0], parts[2]))
    assert refused.result() == rejected


async def test_an_outcome_that_nobody_waits_for_any_more_is_not_kept() -> None:
    model = ReadModel(100_000)
    left = model.expect("c")
    model.expect("c")
    model.forget("c", left)
    model.forget("c", left)
    late = model.expect("c")
    assert late is not left
    model.forget("c", left)  # of one who was told already: not the later one's
    model.advance([recorded(1, change_id="c")], (), 1)
    assert not left.done()
    assert late.done()


async def test_a_listener_hears_of_each_batch_until_it_ends_that() -> None:
    model = ReadModel(100_000)
    heard: list[int] = []
    end = model.listen(lambda revisions: heard.extend(r.sequence for r in revisions))
    model.advance([recorded(1, change_id="a"), recorded(2, change_id="b")], (), 2)
    end()
    model.advance([recorded(3, change_id="c")], (), 3)
    assert heard == [1, 2]
    assert model.sequence == 3
