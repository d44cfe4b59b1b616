"""Each contradiction between log and database halts the projector, with the evidence."""

from __future__ import annotations

import asyncio
import hashlib

import orjson
import pytest

from consensus.log import Entry, LogUnavailable
from consensus.memory import MemoryLog
from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import ConfigEvent
from projections import projector
from projections.checkpoint import Checkpoint, read_checkpoint
from projections.halts import ProjectorHalted, clear_halt, read_halt
from projections.log_check import compare_with_log
from projections.revisions import Connection
from projections.skips import add_skip
from tests.projections.projector_world import TIMEOUT_S, UNDECODABLE, World, write

DELETED: dict[str, object] = {"timestamp": "2026-01-01T12:00:00Z", "actor": {}, "comment": None}

# Halts


async def test_an_undecodable_entry_halts_behind_what_came_before_it(world: World) -> None:
    before = await world.append(write("a", 1))
    bad = await world.append_raw(UNDECODABLE)
    await world.append(write("a", 2))
    for _ in range(2):  # and again after a restart
        halted = await world.halted()
        assert (halted.reason, halted.position) == ("undecodable-entry", bad)
        assert "entry format 99; this software knows 1" in halted.detail
        assert await world.versions() == [("a", 1, before)]
        halt = await read_halt(world.connection)
        assert halt is not None
        assert (halt.reason, halt.position) == ("undecodable-entry", bad)


@pytest.mark.parametrize(
    ("header", "state"),
    [
        (b'["k",1,"config:created"]', b'{"timestamp":"2026-01-01T12:00:00Z"}'),
        (b'["k","1","config:deleted"]', orjson.dumps(DELETED)),
        (b'["k",1,"config:deleted"]', orjson.dumps(DELETED | {"actor": None})),
    ],
)
async def test_an_entry_of_which_only_a_part_can_be_read_halts_too(
    world: World, header: bytes, state: bytes
) -> None:
    """Another error would end the projector without a halt, and nobody could skip the entry."""
    bad = await world.append_raw(
        b'{"format":1,"id":"c","project_id":"p","events":[%s]}\n%s' % (header, state)
    )
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("undecodable-entry", bad)


async def test_a_halt_stays_on_record_until_its_place_is_passed(world: World) -> None:
    """A standby that takes over must not hide the reason while it fails as well."""
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    world.log.set_available(False)
    async with world.projector():
        await world.asked_in_vain()
        assert await read_halt(world.connection) is not None
    world.log.set_available(True)
    world.log.replace(bad, b"")  # as an upgrade that can read it
    world.log.replace(bad, encode_change_set(ChangeSet("c", "p", (encode_event(write("a", 1)),))))
    await world.project_all()
    assert await read_halt(world.connection) is None


async def test_a_halt_goes_with_the_batch_that_passes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Race: a change behind a halt was acknowledged, and /readyz still told of the halt."""
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    world.log.replace(bad, encode_change_set(ChangeSet("c", "p", (encode_event(write("a", 1)),))))
    seen = []

    async def clear(connection: Connection, passed: int) -> None:
        if passed >= bad:
            seen.append((await read_checkpoint(world.connection)).position)
        await clear_halt(connection, passed)

    monkeypatch.setattr(projector, "clear_halt", clear)
    await world.project_all()
    assert seen == [bad - 1], "others saw the batch before the halt was gone"
    assert await read_halt(world.connection) is None


async def test_an_entry_that_an_operator_skipped_is_passed_over_and_counted(world: World) -> None:
    await world.append(write("a", 1))
    bad = await world.append_raw(UNDECODABLE)
    after = await world.append(write("a", 2))
    await world.halted()
    entry = await world.log.entry_at(bad)
    assert entry is not None
    assert await add_skip(world.connection, entry, "made by a broken script", "ops")
    assert not await add_skip(world.connection, entry, "again", "ops")
    await world.project_all()
    assert [v for _, v, _ in await world.versions()] == [1, 2]
    assert await world.skipped() == 1
    assert await read_halt(world.connection) is None
    assert world.applied.change_position == after


async def test_a_skipped_last_entry_is_no_divergence(world: World) -> None:
    await world.append(write("a", 1))
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    await world.skip(bad, "why")
    await world.project_all()
    assert world.applied.change_position == bad
    assert world.applied.change_digest == hashlib.sha256(UNDECODABLE).digest()
    async with world.projector():
        await world.reach(await world.append(write("a", 2)))


async def test_a_skip_of_other_bytes_halts(world: World) -> None:
    bad = await world.append_raw(UNDECODABLE)
    await world.halted()
    await world.skip(bad, "why")
    world.log.replace(bad, UNDECODABLE + b" ")
    halted = await world.halted()
    assert halted.reason == "broken-invariant"
    assert "not the one that an operator decided to skip" in halted.detail
    # The evidence is that of the last halt. One at no single entry goes as soon as all goes on.
    stands = await read_halt(world.connection)
    assert stands is not None
    assert (stands.reason, stands.detail, stands.position) == (halted.reason, halted.detail, None)
    world.log.replace(bad, UNDECODABLE)
    await world.project_all()
    assert await read_halt(world.connection) is None


async def test_a_log_behind_the_checkpoint_halts(world: World) -> None:
    await world.append(write("a", 1))
    kept = await world.append(write("a", 2))
    await world.append(write("a", 3))
    await world.project_all()
    world.log.truncate(kept - 1)
    halted = await world.halted()
    assert halted.reason == "log-behind-checkpoint"
    assert halted.position == 3
    assert [v for _, v, _ in await world.versions()] == [1, 2, 3]


async def test_a_log_that_lost_its_end_and_grew_past_the_checkpoint_halts(world: World) -> None:
    """Positions alone would not tell: every barrier moves them on."""
    for version in (1, 2, 3):
        await world.append(write("a", version))
    await world.project_all()
    world.log.truncate(1)
    for version in (2, 3, 4):
        await world.append(write("a", version, content="another"))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("log-diverged", 3)
    assert [v for _, v, _ in await world.versions()] == [1, 2, 3]


class DeliversOneByOne(MemoryLog):
    """As a log does whose entries are large."""

    def entries_after(self, position: int, max_entries: int) -> list[Entry]:
        return super().entries_after(position, 1)


async def test_a_log_that_lost_barriers_and_put_a_change_in_their_place_halts(
    world: World,
) -> None:
    world.log = DeliversOneByOne()
    await world.append(write("a", 1))
    for _ in range(3):
        await world.log.barrier(timeout=TIMEOUT_S)
    await world.project_all()
    assert world.applied.position == 4
    world.log.truncate(1)
    for version in range(2, 7):
        await world.append(write("a", version))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("log-diverged", 2)
    assert "was not applied" in halted.detail


async def test_a_log_with_barriers_in_the_place_of_what_was_applied_last_halts(
    world: World,
) -> None:
    await world.append(write("a", 1))
    await world.project_all()
    world.log.truncate(0)
    for _ in range(3):
        await world.log.barrier(timeout=TIMEOUT_S)
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("log-diverged", 1)
    assert "has no entry at 1 any more" in halted.detail
    assert not world.log._readers


async def test_a_log_that_delivers_nothing_is_away_and_no_divergence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class DeliversNothing(MemoryLog):
        def entries_after(self, position: int, max_entries: int) -> list[Entry]:
            return []

    monkeypatch.setattr("projections.log_check.READ_TIMEOUT_S", 0.01)
    with pytest.raises(LogUnavailable, match="was not delivered up to its barrier at 4"):
        async with asyncio.timeout(TIMEOUT_S):
            await compare_with_log(DeliversNothing(begins_at=4), Checkpoint(position=3))


async def test_other_bytes_at_the_checkpoint_halt(world: World) -> None:
    position = await world.append(write("a", 1))
    await world.project_all()
    entry = await world.log.entry_at(position)
    assert entry is not None
    world.log.replace(position, entry.data.replace(b'"content":1', b'"content":2'))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("log-diverged", position)
    assert hashlib.sha256(entry.data).hexdigest() in halted.detail


async def test_a_log_that_lost_the_message_in_the_middle_of_which_a_batch_ended_halts() -> None:
    """A barrier in its place stands behind the checkpoint, though the log ends before it."""

    class Grouped(MemoryLog):
        async def barrier(self, *, timeout: float) -> int:
            return 300

    log = Grouped()
    log.position_step = 100
    with pytest.raises(ProjectorHalted, match="the log ends at 200, but 297 was applied") as halted:
        await compare_with_log(log, Checkpoint(position=297, change_position=297))
    assert halted.value.reason == "log-behind-checkpoint"


async def test_another_empty_log_halts(world: World) -> None:
    await world.append(write("a", 1))
    await world.project_all()
    world.log = MemoryLog()
    assert (await world.halted()).reason == "log-behind-checkpoint"


@pytest.mark.parametrize("barriers", [0, 5])
async def test_a_log_that_was_begun_behind_what_was_never_applied_here_halts(
    world: World, barriers: int
) -> None:
    """An old dump, of before the first change, beside a log that was begun anew since: there is no
    entry to compare, and what came between was passed over without a word."""
    for _ in range(barriers):
        await world.log.barrier(timeout=TIMEOUT_S)
    await world.project_all()
    world.log = MemoryLog(begins_at=barriers + 2)
    await world.append(write("a", 3))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("log-diverged", barriers)
    assert f"the log begins at {barriers + 2}, but {barriers} was applied" in halted.detail
    # Nothing was decided: neither refused nor recorded.
    for table in ("config_revisions", "rejected_changes"):
        assert await world.connection.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_log_that_was_begun_right_behind_the_checkpoint_goes_on(world: World) -> None:
    await world.log.barrier(timeout=TIMEOUT_S)
    await world.project_all()
    world.log = MemoryLog(begins_at=2)
    await world.append(write("a", 1))
    await world.project_all()
    assert await world.versions() == [("a", 1, 2)]


async def test_another_log_halts_where_the_right_one_was_begun_anew_and_holds_nothing_yet(
    world: World,
) -> None:
    """Each start of a projector is a barrier, so an empty group that has nothing to do with this
    database passed for its log after some of them."""
    for _ in range(5):
        await world.log.barrier(timeout=TIMEOUT_S)
    await world.project_all()
    await world.connection.execute(
        "INSERT INTO log_beginnings (first_position, reason, decided_by)"
        " VALUES (1, 'before', 'ops'), (6, 'why', 'ops')"
    )
    world.log = MemoryLog(begins_at=5)
    for _ in range(9):
        await world.log.barrier(timeout=TIMEOUT_S)
    await world.append(write("a", 1))
    halted = await world.halted()
    assert halted.reason == "log-diverged"
    assert "the log begins at 5, but that of this database was begun anew at 6" in halted.detail
    assert await world.versions() == []


async def test_expired_barriers_are_no_divergence(world: World) -> None:
    await world.log.barrier(timeout=TIMEOUT_S)
    await world.project_all()
    world.log.expire_barriers()
    async with world.projector():
        await world.reach(await world.append(write("a", 1)))
        await world.reach(await world.log.barrier(timeout=TIMEOUT_S))
    world.log.expire_barriers()
    async with world.projector():
        await world.reach(await world.append(write("a", 2)))


@pytest.mark.parametrize(
    "poison",
    [
        write("bad", 1, comment="nul \x00 byte"),
        write("bad", 1, schema_id="s", schema_version=2**40),
    ],
)
async def test_an_entry_that_postgresql_refuses_halts_at_it_and_not_before(
    world: World, poison: ConfigEvent
) -> None:
    """The web processes let none of these through; whoever writes to the log directly might."""
    await world.append(write("a", 1))
    bad = await world.append(poison)
    await world.append(write("a", 2))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("broken-invariant", bad)
    assert [v for _, v, _ in await world.versions()] == [1]
    await world.skip(bad, "poison")
    await world.project_all()
    assert [v for _, v, _ in await world.versions()] == [1, 2]


async def test_a_constraint_that_the_rows_violate_halts_at_the_entry(world: World) -> None:
    await world.append(write("a", 1))
    await world.project_all()
    # Somebody renumbered history with a superuser's rights: the next revision collides.
    await world.connection.execute(
        "SET session_replication_role = replica;"
        "UPDATE config_revisions SET sequence = sequence + 1;"
        "UPDATE audit_heads SET head_sequence = head_sequence + 1;"
        "SET session_replication_role = origin"
    )
    bad = await world.append(write("a", 2))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("broken-invariant", bad)
    assert "config_revisions_sequence_key" in halted.detail


async def damage_chain(world: World, sql: str) -> None:
    await world.connection.execute(
        f"SET session_replication_role = replica; {sql}; SET session_replication_role = origin"
    )


CHAIN_DAMAGES = {
    "last hash changed": "UPDATE config_revisions SET hash = 'x' WHERE config_key = 'a'",
    "last revision gone": "DELETE FROM config_revisions WHERE config_key = 'a'",
    "head changed": "UPDATE audit_heads SET head_hash = 'x'",
    "head gone": "DELETE FROM audit_heads",
}


@pytest.mark.parametrize("damage", CHAIN_DAMAGES)
async def test_a_chain_that_breaks_under_a_running_projector_halts_it(
    world: World, damage: str
) -> None:
    """What it remembers of its own last batch does not hide the damage from it."""
    async with world.projector() as (_, task), asyncio.timeout(TIMEOUT_S):
        await world.append(write("b", 1))
        await world.reach(await world.append(write("a", 1)))
        await world.reach(await world.append(write("b", 2), write("a", 2)))
        await damage_chain(world, CHAIN_DAMAGES[damage])
        bad = await world.append(write("b", 3))
        with pytest.raises(projector.ProjectorHalted) as halted:
            await task
    assert (halted.value.reason, halted.value.position) == ("broken-chain", bad)


@pytest.mark.parametrize("damage", CHAIN_DAMAGES)
async def test_a_broken_hash_chain_halts_before_anything_is_put_on_top(
    world: World, damage: str
) -> None:
    await world.append(write("b", 1))
    await world.append(write("a", 1))
    await world.project_all()
    await damage_chain(world, CHAIN_DAMAGES[damage])
    bad = await world.append(write("b", 2))
    await world.append(write("b", 3))
    halted = await world.halted()
    assert (halted.reason, halted.position) == ("broken-chain", bad)
    assert "project p" in halted.detail
    assert ("b", 2, bad) not in await world.versions()
