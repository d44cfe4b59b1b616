"""When the guard asks again whether a watcher may go on, whom it ends, and what it remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from unittest.mock import Mock

import pytest

from app.watch_guard import AccessGuard
from app.watch_hub import End, Watcher


class Directory:
    """Tells of changes when the test says so."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None

    def on_change(self, listener: Callable[[], None]) -> None:
        self.changed = listener


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def interval_s() -> float:
    return 1000


@pytest.fixture
async def guard(
    directory: Directory, interval_s: float, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AccessGuard]:
    monkeypatch.setattr("app.watch_guard.CHECK_INTERVAL_S", interval_s)
    guard = AccessGuard(directory)  # type: ignore[arg-type]
    running = asyncio.create_task(guard.run())
    yield guard
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Caller:
    """May watch until revoked."""

    def __init__(self) -> None:
        self.allowed = True
        self.asked = 0

    async def may(self) -> bool:
        self.asked += 1
        return self.allowed


def watcher() -> Watcher:
    return Watcher(Mock(spec=asyncio.Transport), chunked=False)


async def ended(*watchers: Watcher) -> None:
    async with asyncio.timeout(30):
        for each in watchers:
            await each.left()


async def test_all_of_a_caller_who_lost_their_right_are_ended_when_that_is_told(
    guard: AccessGuard, directory: Directory
) -> None:
    revoked, kept = Caller(), Caller()
    first, second, other = watcher(), watcher(), watcher()
    for name, caller, each in (("a", revoked, first), ("a", revoked, second), ("b", kept, other)):
        guard.enter(name, each, caller.may)
    await asyncio.sleep(0)
    revoked.allowed = False
    directory.changed()
    await ended(first, second)
    assert (first.ended, second.ended, other.ended) == (End.REVOKED, End.REVOKED, None)
    # Once for both, and not again before there is a reason.
    for _ in range(20):
        await asyncio.sleep(0)
    assert (revoked.asked, kept.asked) == (1, 1)
    for name, each in (("a", first), ("a", second), ("b", other), ("b", other)):
        guard.leave(name, each)
    assert not guard._groups


@pytest.mark.parametrize("interval_s", [0])
async def test_a_right_that_ends_without_a_word_is_noticed(guard: AccessGuard) -> None:
    """A key or a token that expires."""
    caller, watching = Caller(), watcher()
    guard.enter("a", watching, caller.may)
    async with asyncio.timeout(30):
        while caller.asked < 3:  # noqa: ASYNC110 - it is asked at each turn of the loop
            await asyncio.sleep(0)
    assert watching.ended is None
    caller.allowed = False
    await ended(watching)
    assert watching.ended is End.REVOKED
