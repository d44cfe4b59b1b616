"""Goal: a leader that lost a part of the log is measured by what the database has read of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from projections.log_status import log_status
from tests.projections.projector_world import World, write


@pytest.mark.parametrize(("step", "messages"), [(1, 3), (2, 2)])
async def test_the_log_is_told_how_many_of_its_messages_were_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch, step: int, messages: int
) -> None:
    """Each once, with what was rejected, without barriers, and without those of a log before."""
    await world.append(write("a", 1), write("b", 1))
    await world.append(write("a", 2))
    await world.append(write("a", 2))  # rejected
    await world.log.barrier(timeout=1)
    await world.project_all()
    told: list[int] = []

    async def lacking(recorded: int = 0) -> Mapping[str, int]:
        told.append(recorded)
        return {"n1": 1}

    monkeypatch.setattr(world.log, "lacking", lacking)
    world.log.position_step = step
    assert (await log_status(world.log, world.url)).lacking == {"n1": 1}
    await world.connection.execute(
        "INSERT INTO log_beginnings (first_position, reason, decided_by) VALUES (3, 'test', 'me')"
    )
    await log_status(world.log, world.url)
    assert told == [messages, 1]
