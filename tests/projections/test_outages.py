"""Goal: who waits for a database says for which one, and does not fill a disk with it.

Method: a server that hangs up on whoever connects, counted, until each has tried many times.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.testing

from app.metrics import Metrics
from app.pool import connect_pool
from consensus.memory import MemoryLog
from projections.database import Reminder, Silence, place_of
from projections.follower import Follower
from projections.projector import Projector
from projections.read_model import ReadModel
from tests.consensus.contract import eventually

WAITING: dict[str, tuple[str, Callable[[str], Coroutine[Any, Any, Any]]]] = {
    "web": ("database_awaited", lambda url: connect_pool(url, Metrics(), Silence(), timeout_s=60)),
    "follower": ("follower_interrupted", lambda url: Follower(url, ReadModel(1000)).run()),
    "projector": ("projector_interrupted", lambda url: Projector(MemoryLog(), url).run()),
}


@asynccontextmanager
async def hanging_up() -> AsyncIterator[tuple[int, list[None]]]:
    """A port, and one element for each connection that was made to it."""
    met: list[None] = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(None)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], met


@pytest.mark.parametrize("who", WAITING)
async def test_who_waits_for_a_database_says_for_which_and_not_at_each_attempt(
    who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was four lines a second, none of which named a host that does not answer."""
    monkeypatch.setattr("projections.database.FIRST_PAUSE_S", 1000.0, raising=False)
    for module in ("app.pool.START_RETRY_S", "projections.projector.RETRY_DELAYS_S"):
        monkeypatch.setattr(module, (0.01,) if module.endswith("DELAYS_S") else 0.01)
    monkeypatch.setattr("projections.follower.RETRY_DELAYS_S", (0.01,))
    event, work = WAITING[who]
    async with hanging_up() as (port, met):
        with structlog.testing.capture_logs() as logs:
            running = asyncio.create_task(work(f"postgresql://u:hush@127.0.0.1:{port}/db"))

            async def tried_often() -> bool:
                return len(met) >= 10

            await eventually(tried_often)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    told = [line for line in logs if line["event"] == event]
    assert [line["database"] for line in told] == [f"127.0.0.1:{port}/db"]
    assert "hush" not in repr(logs)


def test_what_goes_on_is_told_again_after_pauses_that_grow() -> None:
    reminder = Reminder()
    told = [second for second in range(400) if reminder.is_due(second)]
    assert told == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]
    assert not reminder.is_due(400)
    reminder.over()
    assert reminder.is_due(400)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "postgresql://u:hush@db.internal:6432/guardian?sslmode=require",
            "db.internal:6432/guardian",
        ),
        ("postgresql://u:hush@db/guardian", "db:5432/guardian"),
        ("postgresql://u:hush@a:1,b/guardian", "a:1,b:5432/guardian"),
        ("postgresql://u:hush@[::1]/guardian", "[::1]:5432/guardian"),
        ("postgresql://hush@/guardian?host=/run/pg&port=6432", "/run/pg:6432/guardian"),
        ("postgresql://%2Frun%2Fpg/guardian?user=u&password=hush", "/run/pg:5432/guardian"),
        ("postgresql://u:hu@sh@db/guardian", "db:5432/guardian"),
        ("postgresql://u:1/hush@db/guardian", "the URL's"),
        ("postgresql://u:1?hush@db/guardian", "the URL's"),
        ("postgresql://u:1#hush@db/guardian", "the URL's"),
    ],
)
def test_a_place_names_no_user_and_no_password(url: str, place: str) -> None:
    assert place_of(url) == place
