"""Goal: who asks for much waits for themselves; nothing that waits or leaves is lost count of.

Method: slots are held by work that waits for an event; order is asserted by what has begun.
"""

from __future__ import annotations

import asyncio

import pytest

from app.errors import TooManyRequests
from app.tenant_slots import TenantSlots


class Work:
    """A piece of work that is done when it is told to."""

    def __init__(self, slots: TenantSlots, tenant: str) -> None:
        self.began = asyncio.Event()
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._run(slots, tenant))

    async def _run(self, slots: TenantSlots, tenant: str) -> None:
        async with slots.hold(tenant):
            self.began.set()
            await self.end.wait()

    async def finish(self) -> None:
        self.end.set()
        await self.task


def slots_for(*, slots: int = 1, mine: int = 10, every: int = 100) -> TenantSlots:
    return TenantSlots("things", slots=slots, tenant_waiting=mine, all_waiting=every)


async def test_a_newcomer_does_not_wait_behind_the_backlog_of_another() -> None:
    slots = slots_for()
    backlog = [Work(slots, "evil") for _ in range(5)]
    await backlog[0].began.wait()
    good = Work(slots, "good")
    await asyncio.sleep(0)  # now it waits
    assert slots.waiting == 5
    await backlog[0].finish()
    await good.began.wait()
    assert not any(work.began.is_set() for work in backlog[1:])
    await good.finish()
    for work in backlog[1:]:
        await work.began.wait()
        await work.finish()


async def test_a_tenant_has_one_slot_whatever_is_free() -> None:
    slots = slots_for(slots=2)
    first, second = Work(slots, "a"), Work(slots, "a")
    await first.began.wait()
    other = Work(slots, "b")
    await other.began.wait()
    assert not second.began.is_set()
    await other.finish()
    assert not second.began.is_set()
    await first.finish()
    await second.began.wait()
    await second.finish()


async def test_who_waits_is_bounded() -> None:
    slots = slots_for(mine=1, every=2)
    works = [Work(slots, "a"), Work(slots, "a")]
    await works[0].began.wait()
    with pytest.raises(TooManyRequests):
        await Work(slots, "a").task
    works.append(Work(slots, "b"))
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests):
        await Work(slots, "c").task
    for work in works:
        work.end.set()
    await asyncio.gather(*(work.task for work in works))
    assert slots.waiting == 0


async def test_who_leaves_gives_the_slot_back() -> None:
    """While waiting, while running, and just when it was given the slot."""
    slots = slots_for()
    running, waiting = Work(slots, "a"), Work(slots, "a")
    await running.began.wait()
    waiting.task.cancel()
    await asyncio.gather(waiting.task, return_exceptions=True)
    assert slots.waiting == 0
    running.task.cancel()
    await asyncio.gather(running.task, return_exceptions=True)
    async with slots.hold("a"):
        granted = Work(slots, "a")
        await asyncio.sleep(0)
        assert slots.waiting == 1
    # It has the slot, and has not run since.
    assert slots.waiting == 0
    granted.task.cancel()
    await asyncio.gather(granted.task, return_exceptions=True)
    assert not granted.began.is_set()
    last = Work(slots, "b")
    await last.began.wait()
    await last.finish()


async def test_work_that_fails_gives_the_slot_back() -> None:
    slots = slots_for()
    for _ in range(2):
        with pytest.raises(KeyError):
            async with slots.hold("a"):
                raise KeyError
