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


def room_for(count: int) -> ReadModel:
    """A model that has room for so many revisions as `recorded` makes them."""
    return ReadModel(count * recorded(1).bytes)


def test_what_was_read_lately_stays_and_the_others_fall_out() -> None:
    model = room_for(3)
    for number in range(1, 4):
        model.advance([recorded(number, key=f"k{number}")], (), number)
    for number in range(4, 9):
        assert model.get("p", "k1") is not None
        model.advance([recorded(number, key=f"k{number}")], (), number)
        assert model.project("p").keys() == {"k1", f"k{number - 1}", f"k{number}"}
    for number in range(9, 14):  # it is passed over once more, and then not
        model.advance([recorded(number, key=f"k{number}")], (), number)
    assert "k1" not in model.project("p")


def test_what_a_new_version_replaces_makes_no_room_and_does_not_pile_up() -> None:
    model = room_for(2)
    model.advance([recorded(1, key="kept")], (), 1)
    for number in range(2, 50):
        model.advance([recorded(number)], (), number)
        assert model.bytes == 2 * recorded(1).bytes
        assert len(model._clock) <= 4
    assert model.project("p").keys() == {"kept", "k"}
    model.advance([recorded(50, key="new")], (), 50)
    assert len(model.project("p")) == 2


def test_what_was_read_from_the_table_is_not_taken_in_where_something_newer_is_or_was() -> None:
    model = room_for(2)
    model.advance([recorded(3, key="a")], (), 3)
    # Found of `a`, at 2; meanwhile it has moved on.
    assert model.keep([recorded(1, key="a"), recorded(2, key="b")], 2)
    assert {key: r.sequence for key, r in model.project("p").items()} == {"a": 3, "b": 2}
    # What is read is taken in as far as there is room.
    assert model.keep([recorded(1, key="c")], 3)
    assert len(model.project("p")) == 2
    assert model.bytes == 2 * recorded(1).bytes
    # A newer version fell out behind where the question was asked: what was found may be older.
    model.advance([recorded(n, key=f"n{n}") for n in (4, 5, 6, 7)], (), 7)
    assert not model.keep([recorded(1, key="d")], 3)
    assert "d" not in model.project("p")
    # So it stays when something older falls out later.
    model = room_for(2)
    model.advance([recorded(1, key="a"), recorded(2, key="b")], (), 2)
    model.get("p", "a")
    model.advance([recorded(3, key="c"), recorded(4, key="d")], (), 4)
    for number in (5, 6):
        model.advance([recorded(number, key=f"n{number}")], (), number)
    assert model.project("p").keys() == {"n5", "n6"}
    assert not model.keep([recorded(1, key="e")], 3)


def test_what_was_asked_where_the_newest_itself_fell_out_is_taken_in() -> None:
    """Else who reads it would ask again and again, until something changes."""
    model = room_for(0)
    model.advance([recorded(1)], (), 1)
    assert not model.project("p")
    assert model.keep([recorded(1)], 1)


def test_a_model_that_dropped_something_is_never_called_complete() -> None:
    """Or what fell out would be taken for what never was."""
    whole = room_for(3)
    whole.start(1, 1)
    whole.advance([recorded(2, key="a", version=2)], (), 2)
    # Older than what came since the start; not ahead of where the model stands.
    assert whole.warm([recorded(1, key="a"), recorded(1, key="b"), recorded(3, key="c")])
    whole.warmed()
    complete = whole.complete
    assert complete
    assert {key: r.sequence for key, r in whole.project("p").items()} == {"a": 2, "b": 1}
    whole.advance([recorded(3, key="c"), recorded(4, key="d")], (), 4)
    assert not whole.complete

    full = room_for(2)
    full.start(2, 2)
    assert not full.warm(recorded(n, key=f"k{n}") for n in (1, 2, 2))
    assert (len(full.project("p")), full.bytes) == (2, 2 * recorded(1).bytes)

    dropped = room_for(1)
    dropped.start(1, 1)
    dropped.advance([recorded(2, key="a"), recorded(3, key="b")], (), 3)
    assert not dropped.warm([recorded(1, key="c")])
    dropped.warmed()  # the table was read to its end before
    assert not dropped.complete
    # Even where there is room again.
    roomy = room_for(2)
    roomy.advance(
        [recorded(1, key="a"), recorded(2, key="b"), recorded(3, content=b"1" * 999)], (), 3
    )
    roomy.advance([recorded(4)], (), 4)
    assert roomy.bytes < 2 * recorded(1).bytes
    assert not roomy.warm([recorded(1, key="a")])
