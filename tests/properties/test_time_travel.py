"""Time travel to every position of a random history equals a fold of the events up to it.

Goal: whatever was accepted, rejected, deleted and set again, whatever the clocks of the log's
leaders said, the project and each config are read as they stood at each position and each time.
Method: a seeded history of 1,000 changes goes through the projector's own `apply_batch` into a
real PostgreSQL; the oracle is a dict that knows nothing of SQL.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from app.tables import history
from app.tables.history import Moment
from consensus.log import Entry, EntryKind
from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import config_id, content_event, deleted_event
from domain.json_document import decode_json
from projections.apply import apply_batch
from projections.batch import decode_entry
from projections.checkpoint import create_checkpoint, read_checkpoint
from tests.support.rows import insert_project, insert_user

PROJECT, OTHER = "p", "other"
KEYS = [f"{area}.{n}" for area in ("a", "B", "b-c", "_", "z") for n in range(6)]
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
EARLY = START - timedelta(days=1)

State = dict[str, tuple[int, Any]]
"""Live configs: version and content by key."""


@dataclass
class History:
    """Entries of a log, and the project's state behind each position where it changed."""

    entries: list[Entry]
    states: list[tuple[int, datetime, State]]
    lines: list[tuple[int, str, int]]
    """Position, key and version of each accepted event of the project, in order."""


def make_history(seed: int, size: int) -> History:
    """`size` change sets of one project, among barriers and changes of another one."""
    random = Random(seed)
    entries: list[Entry] = []
    heads: dict[str, tuple[int, bool]] = {}
    live: State = {}
    states: list[tuple[int, datetime, State]] = []
    lines: list[tuple[int, str, int]] = []
    position, clock, latest = 0, START, EARLY
    for number in range(size):
        position += random.choice([1, 1, 1, 1, 1, 1, 2, 5])
        clock += timedelta(microseconds=random.choice([0, 1, 1000, -70_000, 50_000]))
        keys = random.sample(KEYS, random.choice([1, 1, 2, 3]))
        changes = [(key, _guess(random, heads.get(key, (0, False)))) for key in keys]
        data = _encode(f"change-{number}", PROJECT, heads, changes)
        entries.append(Entry(position, EntryKind.CHANGE, data, clock))
        latest = max(latest, clock)
        if all(base == heads.get(key, (0, False))[0] for key, (base, _) in changes):
            for key, (base, content) in changes:
                heads[key] = (base + 1, content is _GONE)
                live.pop(key, None)
                if content is not _GONE:
                    live[key] = (base + 1, content)
                lines.append((position, key, base + 1))
            states.append((position, latest, dict(live)))
        if random.random() < 0.1:
            position += 1
            other = [(f"k{number}", (0, number))]
            data = _encode(f"other-{number}", OTHER, {}, other)
            entries.append(Entry(position, EntryKind.CHANGE, data, clock))
        if random.random() < 0.05:
            position += 1
            entries.append(Entry(position, EntryKind.BARRIER, b"", clock))
    return History(entries, states, lines)


_GONE = object()


def _guess(random: Random, head: tuple[int, bool]) -> tuple[int, Any]:
    """The version that a change is made for (now and then a wrong one), and its content."""
    version, deleted = head
    if version > 0 and not deleted and random.random() < 0.3:
        return version, _GONE
    if random.random() < 0.05:
        version = max(0, version - 1)
    return version, {"n": random.randrange(1000), "é": [None, True, 0.5]}


def _encode(
    change_id: str,
    project: str,
    heads: dict[str, tuple[int, bool]],
    changes: list[tuple[str, tuple[int, Any]]],
) -> bytes:
    common: dict[str, Any] = {"timestamp": START, "actor": {"user_id": "u"}, "comment": None}
    events = [
        deleted_event(config_id(project, key), base, **common)
        if content is _GONE
        else content_event(
            config_id(project, key),
            base,
            heads.get(key, (0, False))[1],
            content=content,
            schema_id=None,
            schema_version=None,
            **common,
        )
        for key, (base, content) in changes
    ]
    return encode_change_set(ChangeSet(change_id, project, tuple(map(encode_event, events))))


async def _record(url: str, log: History, random: Random) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DELETE FROM checkpoints; DELETE FROM users")
        await insert_user(connection, "u")
        for project in (PROJECT, OTHER):
            await insert_project(connection, project, "u")
        await create_checkpoint(connection)
        checkpoint = await read_checkpoint(connection)
        rest = list(map(decode_entry, log.entries))
        while rest:
            size = random.randint(1, 200)
            checkpoint = await apply_batch(connection, checkpoint, rest[:size])
            rest = rest[size:]
    finally:
        await connection.close()


async def _project(pool: asyncpg.Pool, moment: Moment, limit: int, prefix: str = "") -> State:
    found: State = {}
    order: list[str] = []
    after: str | None = ""
    while after is not None:
        part = await history.project_at(pool, PROJECT, moment, prefix, after, limit)
        for revision in part.revisions:
            assert revision.position <= moment.position
            assert revision.content is not None
            found[revision.key] = (revision.version, decode_json(revision.content))
            order.append(revision.key)
        after = part.next_key
    assert order == sorted(order)
    return found


async def _travel(url: str, seed: int, size: int) -> None:
    random = Random(seed)
    log = make_history(seed, size)
    await _record(url, log, random)
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        states = [(0, EARLY, State()), *log.states]
        place = 0
        for position in range(log.entries[-1].position + 2):
            while place + 1 < len(states) and states[place + 1][0] <= position:
                place += 1
            state = states[place][2]
            moment = await history.moment_at_position(pool, position)
            assert await _project(pool, moment, limit=random.choice([7, 100, 100, 100])) == state
            key = random.choice(KEYS)
            one = await history.config_at(pool, PROJECT, key, moment)
            seen = None
            if one is not None and one.content is not None:
                seen = (one.version, decode_json(one.content))
            assert seen == state.get(key)
        await _travel_in_time(pool, random, log)
        await _read_feed(pool, log)


async def _travel_in_time(pool: asyncpg.Pool, random: Random, log: History) -> None:
    """A time means the last position that has it or an earlier one."""
    step = timedelta(microseconds=1)
    times = {time + shift for _, time, _ in log.states for shift in (-step, 0 * step, step)}
    for at in random.sample(sorted(times), min(len(times), 200)):
        upto = [(position, state) for position, time, state in log.states if time <= at]
        position, state = upto[-1] if upto else (0, State())
        moment = await history.moment_at_time(pool, PROJECT, at)
        assert moment.position == position
        narrowed = {key: value for key, value in state.items() if key.startswith("b")}
        assert await _project(pool, moment, 100, "b") == narrowed


async def _read_feed(pool: asyncpg.Pool, log: History) -> None:
    lines: list[tuple[int, str, int]] = []
    behind = 0
    while part := await history.feed(pool, PROJECT, behind, 37, newest_first=False):
        lines += [(r.position, r.key, r.version) for r in part]
        behind = part[-1].sequence
    assert lines == log.lines


@pytest.mark.timeout(300)
@settings(
    max_examples=4,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.integers(0, 2**32), st.integers(1, 60))
@example(20260101, 650)  # 1,000 changes and more, in 650 change sets
def test_the_past_is_read_as_it_stood(database_url: str, seed: int, size: int) -> None:
    asyncio.run(_travel(database_url, seed, size))
