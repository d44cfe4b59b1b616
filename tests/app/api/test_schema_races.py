"""Goal: no live config ever breaks its schema's current version, and none is bound to nothing.

Method: two web processes on one database and one log. Where an order matters it is forced:
an append is held back, the projector is stopped, and who waits is read from pg_locks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg
import pytest
import pytest_asyncio

from app.metrics import MeteredLog
from app.schema_leases import LOCK_CLASS
from app.services import SERVICES, Services
from app.tables.schemas import Schema, find_schema
from consensus import jetstream_publisher
from consensus.jetstream import JetStreamLog
from tests.app.api.test_schemas import id_of, new_schema
from tests.support.service import Answer, Client, Service, run_web
from tests.support.waiting import until as wait_until

WAITING = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
ENOUGH_RACES = 500
UP_TO = {n: {"type": "object", "properties": {"n": {"maximum": n}}} for n in range(11)}


@dataclass
class Two:
    """Two web processes of one installation, and a signed-in caller of each."""

    first: Client
    second: Client
    services: Services
    """Of the first."""
    configs: str
    database: asyncpg.Connection
    held: asyncio.Event = field(default_factory=asyncio.Event)
    proposing: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, client: Client, key: str, n: int, **members: Any) -> Answer:
        """Set a config to {"n": n}, whatever is there; without a binding, create it."""
        body = {"content": {"n": n}, **members}
        headers = {"If-None-Match": "*"} if members else {"If-Match": "*"}
        return await client("PUT", f"{self.configs}/{key}", json=body, headers=headers)

    def hold_appends(self) -> None:
        """Let the first process's appends wait for `held`."""
        append = self.services.log.append

        async def held(*args: Any, **kwargs: Any) -> int:
            self.proposing.set()
            await self.held.wait()
            return await append(*args, **kwargs)

        self.services.log.append = held  # type: ignore[method-assign]

    async def somebody_waits(self) -> None:
        """Return when a session waits for a schema's lock."""
        await until(lambda: self.database.fetchval(WAITING, LOCK_CLASS))


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Wait for what another session of the server does."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - what it waits for is another process
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def two(service: Service, admin: Client, configs: str) -> AsyncIterator[Two]:
    """Two web processes."""
    database = await asyncpg.connect(service.settings.require_database_url())
    async with run_web(service.settings) as (_, base_url):
        second = Client(admin.session, base_url, admin.headers)
        yield Two(admin, second, service.app[SERVICES], configs, database)
    await database.close()


async def test_a_change_of_a_schema_waits_for_the_write_under_way_and_sees_it(two: Two) -> None:
    path = await new_schema(two.first, UP_TO[10])
    two.hold_appends()
    write = asyncio.create_task(two.put(two.first, "a", 9, schema_id=id_of(path)))
    await two.proposing.wait()
    change = asyncio.create_task(two.second("PUT", path, json={"schema": UP_TO[5]}))
    await two.somebody_waits()
    two.held.set()
    assert (await write).status == 201
    refused = await change
    assert (refused.status, refused.json["type"]) == (409, "/problems/schema-would-break")
    assert [config["key"] for config in refused.json["configs"]] == ["a"]


async def test_a_deletion_waits_for_the_binding_under_way_and_sees_it(two: Two) -> None:
    path = await new_schema(two.first, UP_TO[10])
    two.hold_appends()
    write = asyncio.create_task(two.put(two.first, "a", 9, schema_id=id_of(path)))
    await two.proposing.wait()
    deletion = asyncio.create_task(two.second("DELETE", path))
    await two.somebody_waits()
    two.held.set()
    assert (await write).status == 201
    assert (await deletion).json["type"] == "/problems/schema-in-use"


async def test_a_write_waits_for_the_change_under_way_and_is_held_to_it(two: Two) -> None:
    """The second process knows the old version well; the lock tells it that there is a newer."""
    path = await new_schema(two.first, UP_TO[10])
    assert (await two.put(two.second, "warm", 1, schema_id=id_of(path))).status == 201
    barrier, go = two.services.log.barrier, asyncio.Event()

    async def held(*, timeout: float) -> int:
        two.proposing.set()
        await go.wait()
        return await barrier(timeout=timeout)

    two.services.log.barrier = held  # type: ignore[method-assign]
    change = asyncio.create_task(two.first("PUT", path, json={"schema": UP_TO[5]}))
    await two.proposing.wait()
    writes = [
        asyncio.create_task(two.put(two.second, f"k{n}", n, schema_id=id_of(path))) for n in (5, 6)
    ]
    await asyncio.wait(writes, timeout=0.3)
    assert not any(write.done() for write in writes)
    go.set()
    assert (await change).status == 200
    good, bad = await asyncio.gather(*writes)
    assert (good.status, good.json["schema_version"]) == (201, 2)
    assert (bad.status, bad.json["type"]) == (422, "/problems/schema-violation")


@pytest.mark.parametrize("expected", ['"1"', "*"])
async def test_a_binding_that_was_kept_from_an_older_version_is_no_unknown_schema(
    two: Two, monkeypatch: pytest.MonkeyPatch, expected: str
) -> None:
    """It was 422, though the caller named no schema.
    Method: the config is unbound and the schema deleted when the write has just met the config."""
    path = await new_schema(two.second, UP_TO[10])
    config = f"{two.configs}/a"
    assert (await two.put(two.second, "a", 1, schema_id=id_of(path))).status == 201

    async def gone(pool: asyncpg.Pool, schema_id: str) -> Schema | None:
        monkeypatch.undo()
        unbound = {"content": {"n": 2}, "schema_id": None, "version": 1}
        assert (await two.second("PUT", config, json=unbound)).status == 200
        assert (await two.second("DELETE", path)).status == 200
        return await find_schema(pool, schema_id)

    monkeypatch.setattr("app.schema_gate.find_schema", gone)
    answer = await two.first(
        "PUT", config, json={"content": {"n": 3}}, headers={"If-Match": expected}
    )
    if expected == "*":
        assert (answer.status, answer.json["version"]) == (200, 3)
        assert answer.json["schema_id"] is None
    else:
        assert (answer.status, answer.json["type"]) == (409, "/problems/version-conflict")
        assert answer.json["current_version"] == 2


async def test_what_a_new_version_allows_is_not_refused_by_the_old_one(two: Two) -> None:
    path = await new_schema(two.first, UP_TO[5])
    assert (await two.put(two.second, "warm", 1, schema_id=id_of(path))).status == 201
    assert (await two.first("PUT", path, json={"schema": UP_TO[10]})).status == 200
    wider = await two.put(two.second, "a", 9, schema_id=id_of(path))
    assert (wider.status, wider.json["schema_version"]) == (201, 2)


async def test_a_write_whose_outcome_nobody_learned_counts_too(service: Service, two: Two) -> None:
    """It is committed, and not applied yet: the table does not show it, the barrier does."""
    path = await new_schema(two.first, UP_TO[10])
    service.projector_task.cancel()
    await asyncio.gather(service.projector_task, return_exceptions=True)
    two.services.writer._timeout_s = 1.0
    write = await two.put(two.first, "a", 9, schema_id=id_of(path))
    assert write.status == 202
    change = asyncio.create_task(two.second("PUT", path, json={"schema": UP_TO[5]}))
    deletion = asyncio.create_task(two.second("DELETE", path))
    assert {(await change).status, (await deletion).status} == {503}
    projector = asyncio.create_task(service.projector.run())
    try:
        refused = await two.second("PUT", path, json={"schema": UP_TO[5]})
        assert (refused.status, refused.json["type"]) == (409, "/problems/schema-would-break")
        assert (await two.second("DELETE", path)).json["type"] == "/problems/schema-in-use"
    finally:
        projector.cancel()
        await asyncio.gather(projector, return_exceptions=True)


async def test_a_write_that_waited_behind_another_is_not_sent_once_its_locks_are_gone(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Method: the log hears nothing of the first process; then it does, when the schema is another.
    Behind what it waits for, a write with little time left meets one that has more. That time
    begins when all of them are about to be appended, however long they took until then."""
    path = await new_schema(two.first, UP_TO[10])
    assert (await two.put(two.first, "bound", 1, schema_id=id_of(path))).status == 201
    for key in ("other", "later"):
        assert (await two.put(two.first, key, 1, schema_id=None)).status == 201
    log = cast(JetStreamLog, cast(MeteredLog, two.services.log)._log)
    send, hears = log._publisher._send, False

    async def lost(pending: Any, token: str, subject: str, *what: Any) -> None:
        if hears or subject.endswith("barrier"):
            await send(pending, token, subject, *what)
        else:
            pending.sent += 1

    append, appending = log.append, list[str]()

    async def noticed(change_id: str, *args: Any, **kwargs: Any) -> int:
        appending.append(change_id)
        return await append(change_id, *args, **kwargs)

    monkeypatch.setattr(log, "append", noticed)
    monkeypatch.setattr(log._publisher, "_send", lost)
    monkeypatch.setattr(jetstream_publisher, "_ANSWER_TIMEOUT_S", 0.2)
    writer = two.services.writer
    propose, go, proposing = writer._propose, [asyncio.Event() for _ in range(3)], list[float]()

    async def timed(change_set: Any, entry: bytes, _: float) -> Any:
        number, left_s = len(proposing), (3.0, 4.0, 60.0)[len(proposing)]
        proposing.append(left_s)
        await go[number].wait()
        return await propose(change_set, entry, asyncio.get_running_loop().time() + left_s)

    monkeypatch.setattr(writer, "_propose", timed)
    monkeypatch.setattr(writer, "_timeout_s", 60.0)
    writes = []
    for key, n in (("other", 2), ("bound", 9), ("later", 2)):
        writes.append(asyncio.create_task(two.put(two.first, key, n)))
        await wait_until(lambda: len(proposing) == len(writes))
    for number in range(3):
        go[number].set()
        await wait_until(lambda: len(appending) > number)  # noqa: B023 - it is over in this turn
    other, bound, later = writes
    assert (await bound).status == 202
    assert (await two.second("PUT", path, json={"schema": UP_TO[5]})).status == 200
    hears = True
    assert [(await each).status for each in (other, later)] == [202, 200]
    answer = await two.second("GET", f"{two.configs}/bound?consistency=linearizable")
    assert answer.json["content"] == {"n": 1}


async def test_writers_racing_with_changes_of_the_schema_never_break_it(two: Two) -> None:
    path = await new_schema(two.first, UP_TO[10])
    keys = [f"k{n}" for n in range(4)]
    for key in keys:
        assert (await two.put(two.first, key, 0, schema_id=id_of(path))).status == 201
    dice, stop, seen = random.Random(7), asyncio.Event(), set[int]()

    async def write(key: str) -> None:
        while not stop.is_set():
            answer = await two.put(dice.choice((two.first, two.second)), key, dice.randrange(11))
            assert answer.status in (200, 422), answer.body
            seen.add(answer.status)

    writers = [asyncio.create_task(write(key)) for key in keys]
    outcomes: list[int] = []
    # Sixty times, and on until both sides have won and lost: dice and time decide who does.
    while len(outcomes) < 60 or set(outcomes) != {200, 409} or seen != {200, 422}:
        body = {"schema": UP_TO[dice.randrange(3, 11)]}
        answer = await dice.choice((two.first, two.second))("PUT", path, json=body)
        outcomes.append(answer.status)
    stop.set()
    await asyncio.gather(*writers)
    assert set(outcomes) == {200, 409}
    assert seen == {200, 422}
    await assert_nothing_ever_broke(two, path)


async def assert_nothing_ever_broke(two: Two, path: str) -> None:
    """Every revision held to the version that it names; and when a version was made, every
    config that was live at that time held to it. Known from what was recorded."""
    versions = await two.database.fetch(
        "SELECT version, (schema_content::json #>> '{properties,n,maximum}')::int AS maximum"
        " FROM config_schema_versions WHERE schema_id = $1",
        id_of(path),
    )
    maxima = {row["version"]: row["maximum"] for row in versions}
    rows = await two.database.fetch(
        "SELECT config_key, schema_version, (content ->> 'n')::int AS n FROM config_revisions"
        " WHERE schema_id = $1 ORDER BY sequence",
        id_of(path),
    )
    live: dict[str, int] = {}
    version = 1
    for row in rows:
        # The versions in the order of the log never go back: the locks put both in one order.
        assert row["schema_version"] >= version
        version = row["schema_version"]
        live[row["config_key"]] = row["n"]
        assert max(live.values()) <= maxima[version], (row, live)
    assert max(live.values()) <= maxima[max(maxima)]


async def _until_locked_or_done(two: Two, change: asyncio.Task[Answer]) -> None:
    """Return when somebody holds an exclusive lock on a schema, or `change` has ended."""
    held = """
        SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND classid = $1 AND mode = 'ExclusiveLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
    """
    while not change.done() and not await two.database.fetchval(held, LOCK_CLASS):
        pass  # each look lets the others go on


async def test_a_deletion_racing_with_bindings_leaves_no_config_bound_to_nothing(two: Two) -> None:
    outcomes: set[tuple[int, int]] = set()
    for attempt in range(ENOUGH_RACES):
        # At least 25, and on until the deletion has won as well as lost; in each fourth it holds
        # its lock before the bindings come, or a busy machine may never let it win.
        if attempt >= 25 and {deleted for _, deleted in outcomes} == {200, 409}:
            break
        path = await new_schema(two.first, True)
        requests = [
            two.put(two.first, f"a{attempt}", 1, schema_id=id_of(path)),
            two.put(two.second, f"b{attempt}", 1, schema_id=id_of(path)),
            two.second("DELETE", path),
        ]
        if attempt % 4 == 2:
            deletion = asyncio.create_task(requests.pop())
            await _until_locked_or_done(two, deletion)
            answers = [*await asyncio.gather(*requests), await deletion]
        elif attempt % 2:
            answers = (await asyncio.gather(*reversed(requests)))[::-1]
        else:
            answers = await asyncio.gather(*requests)
        statuses = [answer.status for answer in answers]
        bound = statuses[:2].count(201)
        outcomes.add((bound, statuses[2]))
        there = (await two.first("GET", path)).status == 200
        assert there is (statuses[2] == 409)
        assert there or not bound
    dangling = await two.database.fetch(
        "SELECT r.config_key FROM config_revisions r WHERE r.schema_id IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM config_schemas s WHERE s.id = r.schema_id)"
    )
    assert dangling == []
    assert {deleted for _, deleted in outcomes} == {200, 409}
