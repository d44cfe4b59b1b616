"""How log and database stand to each other, as `guardian log status` tells it; and what may be
skipped, which is only the entry that the projector halted at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from projections.halts import ProjectorHalted, record_halt
from projections.log_status import NotHaltedThere, log_status, skip_entry
from tests.projections.projector_world import UNDECODABLE, World, write


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


async def test_the_report_tells_of_what_was_skipped_of_a_halt_and_of_a_log_that_is_another(
    world: World,
) -> None:
    await world.append(write("a", 1))
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    halted = await log_status(world.log, world.url)
    assert halted.halt is not None
    assert (halted.halt.reason, halted.problem, halted.skipped) == ("undecodable-entry", None, 0)
    # The entry that it halted at; each look at the log is a barrier behind what it reports.
    assert (halted.checkpoint, halted.behind) == (bad - 1, halted.last_position - bad + 1)
    await skip_entry(world.log, world.url, bad, "a test", "me")
    await world.project_all()
    going_on = await log_status(world.log, world.url)
    assert (going_on.halt, going_on.problem, going_on.skipped) == (None, None, 1)

    world.log.replace(bad, UNDECODABLE + b" ")
    another = await log_status(world.log, world.url)
    assert "log-diverged" in (another.problem or "")
    await world.connection.execute(
        "INSERT INTO log_beginnings (first_position, reason, decided_by) VALUES (2, 'test', 'me')"
    )
    of_before = await log_status(world.log, world.url)
    assert "was begun anew at 2: it is another one" in (of_before.problem or "")


async def test_only_the_change_set_that_it_halted_at_is_skipped_and_only_once(world: World) -> None:
    async def refused(position: int, why: str) -> None:
        with pytest.raises(NotHaltedThere, match=why):
            await skip_entry(world.log, world.url, position, "a test", "me")

    await world.append(write("a", 1))
    barrier = await world.log.barrier(timeout=1)
    bad = await world.append_raw(UNDECODABLE)
    await refused(bad, "the projector runs")
    await world.halted()
    for near in (bad - 1, bad + 1):
        await refused(near, f"the projector halted at {bad}, not at {near}")
    digest = await skip_entry(world.log, world.url, bad, "a test", "me")
    assert digest == hashlib.sha256(UNDECODABLE).hexdigest()
    await refused(bad, f"position {bad} was decided before")
    for position in (barrier, bad + 99):
        halt = ProjectorHalted("broken-invariant", "as the test asked for", position)
        await record_halt(world.connection, halt)
        await refused(position, f"the log holds no change set at {position}")
    # It is the right entry of another log, or a right one behind damage: never passed over.
    await record_halt(world.connection, ProjectorHalted("log-diverged", "so it is", 1))
    await refused(1, "halted for another reason: log-diverged")
    skipped = await world.connection.fetch("SELECT position FROM skipped_entries")
    assert [row["position"] for row in skipped] == [bad]
