"""Goal: a web process that stood still (SIGSTOP, a paused machine) goes on with nothing that it
only believes: what it knew when it was stopped is not told as new, and it gives up no connection.

Method: the event loop is held up, which is the same for all that runs in it.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from app.services import SERVICES
from projections.checkpoint import Checkpoint, read_checkpoint
from projections.revisions import Connection
from tests.app.api.test_consistency import until
from tests.app.api.test_watch import put
from tests.projections.test_silent_database import proxied
from tests.support.service import Service, run_service, settings_for


async def test_what_it_knew_before_is_not_told_as_new(
    database_url: str, nats_url: str, stream_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that was asked of a process while it was stopped for 4 s missed 62 versions of its
    config, with a plain 200."""
    async with (
        proxied(database_url) as (proxy, url),
        run_service(settings_for(url, nats_url, stream_name)) as service,
    ):
        admin = await service.anonymous.sign_in()
        project, key = await service.project(admin)
        await put(admin, f"{project}/configs", "a", 1)
        reader = service.anonymous.with_headers(**{"X-API-Key": key})
        path = f"{project}/configs/a"
        assert (await until(200, lambda: reader("GET", path), 10)).json["content"] == 1
        monkeypatch.setattr("projections.read_model.LIVE_FOR_S", 0.5, raising=False)
        monkeypatch.setattr("projections.follower.ANSWER_TIMEOUT_S", 0.5)
        service.app[SERVICES].model.live = True
        # Whatever the database says from now on, it does not hear yet.
        proxy.swallow()
        time.sleep(0.6)  # noqa: ASYNC251 - it is stopped
        refused = await reader("GET", path)
        assert (refused.status, refused.json["type"]) == (503, "/problems/unavailable")
        assert (await reader("GET", f"{path}?consistency=stale")).json["content"] == 1


async def test_an_answer_that_came_while_it_was_stopped_is_read_before_a_silence_is_told(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time for an answer was over before the answer that lay ready was read; then every
    connection to PostgreSQL was given up, with what others waited for."""
    monkeypatch.setattr("projections.follower.CHECK_INTERVAL_S", 0.1)
    monkeypatch.setattr("projections.follower.ANSWER_TIMEOUT_S", 0.6)
    await service.app[SERVICES].follower.warmed.wait()  # else it asks, too
    asked: list[Connection] = []
    again = asyncio.Event()

    async def stopped_once(connection: Connection) -> Checkpoint:
        asked.append(connection)
        question = asyncio.ensure_future(read_checkpoint(connection))
        await asyncio.sleep(0)
        if len(asked) == 1:
            time.sleep(0.7)  # noqa: ASYNC251 - it is stopped, with the question on its way
        else:
            again.set()
        return await question

    monkeypatch.setattr("projections.follower.read_checkpoint", stopped_once)
    async with asyncio.timeout(10):
        await again.wait()
    assert asked[1] is asked[0], "it gave its connection up"
