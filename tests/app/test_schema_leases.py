"""Goal: a write holds its schema still, and nobody holds it for ever.

Method: real advisory locks; who holds and who waits is read from pg_locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
import pytest_asyncio

from app.errors import Unavailable
from app.schema_leases import LEASE_OPEN_S, LOCK_CLASS, SchemaLeases, lock_object
from projections.database import Silence
from tests.support.rows import insert_schema, insert_user

EXCLUSIVE = "SELECT pg_advisory_xact_lock($1, $2)"
LOCKS = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mode = $2 AND granted = $3
"""


@pytest_asyncio.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection, with schemas a, b and c in the database."""
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u")
    for schema in ("a", "b", "c"):
        await insert_schema(connection, schema, "u")
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def leases(database_url: str) -> AsyncIterator[SchemaLeases]:
    """One process's leases."""
    leases = SchemaLeases(database_url)
    yield leases
    await leases.close()


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def count(
    connection: asyncpg.Connection, mode: str = "ShareLock", granted: bool = True
) -> int:
    found: int = await connection.fetchval(LOCKS, LOCK_CLASS, mode, granted)
    return found


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another session of the server does."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - what it waits for is another process
            await asyncio.sleep(0.005)


async def test_writers_share_a_lease_and_the_last_one_ends_it(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    async with leases.hold({"a"}, soon()) as first:
        async with leases.hold({"a", "b"}, soon()) as second:
            assert first["a"] is second["a"]
            assert (first["a"].version, second["b"].version) == (1, 1)
            assert await count(connection) == 2
        async with leases.hold({"b"}, soon()):
            # Asked for behind all that was given back.
            assert await count(connection) == 2
    await until(lambda: _is(count(connection), 0))


async def test_who_comes_when_the_last_has_just_left_has_a_lock_of_their_own(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    """The one before is given back, whoever would still share it."""
    async with leases.hold({"a"}, soon()) as before:
        pass
    async with leases.hold({"a"}, soon()) as held:
        assert held["a"] is not before["a"]
        assert await count(connection) == 1


async def test_while_the_database_says_nothing_it_is_not_asked(database_url: str) -> None:
    silence = Silence()
    leases = SchemaLeases(database_url, silence)
    silence.noticed()
    with pytest.raises(Unavailable, match="database is away; nothing was changed"):
        async with leases.hold({"a"}, soon()):
            raise AssertionError("held")
    silence.over()
    async with leases.hold({"a"}, soon()) as held:
        assert held["a"].version is None
    await leases.close()


async def _is(value: Awaitable[int], expected: int) -> bool:
    return await value == expected


async def test_who_waits_for_a_lock_holds_none_that_comes_later_in_the_order(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    first, second = sorted("bc", key=lock_object)
    assert first > second  # of the locks, not of the ids: who changes schemas knows only those

    async def write() -> set[str]:
        async with leases.hold([second, first], soon()) as held:
            return set(held)

    async with connection.transaction():
        await connection.execute(EXCLUSIVE, LOCK_CLASS, lock_object(first))
        writer = asyncio.create_task(write())
        async with leases.hold({second}, soon()):
            assert await count(connection) == 1
        await until(lambda: _is(count(connection), 0))
    assert await writer == {"b", "c"}


async def test_a_lock_that_was_perhaps_granted_goes_with_its_session(
    leases: SchemaLeases, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = asyncpg.Connection.fetchval

    async def unanswered(self: asyncpg.Connection, statement: str, *values: object) -> object:
        answer = await ask(self, statement, *values)
        if "try_advisory" not in statement:
            return answer
        monkeypatch.undo()
        raise TimeoutError

    monkeypatch.setattr(asyncpg.Connection, "fetchval", unanswered)
    with pytest.raises(Unavailable, match="database is away"):
        async with leases.hold({"a"}, soon()):
            raise AssertionError("held")
    await until(lambda: _is(count(connection), 0))


async def test_leases_that_are_closed_under_a_writer_hold_nothing_any_more(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    async with leases.hold({"a"}, soon()) as held, asyncio.timeout(10):
        await leases.close()
        await until(lambda: _is(count(connection), 0))
        assert held["a"].lost


async def test_the_version_is_read_under_the_lock(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    async def write() -> int | None:
        async with leases.hold({"a", "gone"}, soon()) as held:
            assert held["gone"].version is None
            return held["a"].version

    async with connection.transaction():
        await connection.execute(EXCLUSIVE, LOCK_CLASS, lock_object("a"))
        writer = asyncio.create_task(write())
        await connection.execute("UPDATE config_schemas SET version = 7 WHERE id = 'a'")
        await asyncio.wait([writer], timeout=0.1)
        assert not writer.done()
    assert await writer == 7


async def test_a_lock_that_is_not_to_be_had_in_time_is_told(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    async with connection.transaction():
        await connection.execute(EXCLUSIVE, LOCK_CLASS, lock_object("a"))
        with pytest.raises(Unavailable, match="being changed"):
            async with leases.hold({"a"}, soon(0.1)):
                raise AssertionError("held")
    async with leases.hold({"a"}, soon()) as held:
        assert held["a"].version == 1


async def test_steady_writers_do_not_keep_the_exclusive_side_out(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    """Found by thought: PostgreSQL grants a session what it holds already, past the queue."""
    stop, written = asyncio.Event(), 0

    async def write_steadily() -> None:
        nonlocal written
        while not stop.is_set():
            async with leases.hold({"a"}, soon()) as held:
                held["a"].check()
                await asyncio.sleep(LEASE_OPEN_S / 10)  # The proposal.
                written += 1

    writers = []
    for _ in range(8):
        writers.append(asyncio.create_task(write_steadily()))
        await asyncio.sleep(LEASE_OPEN_S / 80)  # Never all gone at one moment.
    for _ in range(5):
        async with asyncio.timeout(5), connection.transaction():
            await connection.execute(EXCLUSIVE, LOCK_CLASS, lock_object("a"))
            assert await count(connection) == 0
        before = written
        async with asyncio.timeout(5):
            while written == before:
                await asyncio.wait(writers, timeout=0.005)
    stop.set()
    await asyncio.gather(*writers)


async def test_a_lease_is_lost_with_its_connection_and_the_next_starts_anew(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    async with leases.hold({"a"}, soon()) as held:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'guardian-schema-leases'"
            " AND datname = current_database()"
        )
        await until(lambda: _true(held["a"].lost))
        with pytest.raises(Unavailable, match="lost"):
            held["a"].check()
        async with leases.hold({"a"}, soon()) as anew:
            anew["a"].check()
            assert anew["a"] is not held["a"]
    await until(lambda: _is(count(connection), 0))


async def _true(value: bool) -> bool:
    return value


async def test_a_lock_lost_while_a_second_one_is_waited_for_is_noticed(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    first, second = sorted("ab", key=lock_object)
    async with connection.transaction():
        await connection.execute(EXCLUSIVE, LOCK_CLASS, lock_object(second))

        async def write() -> bool:
            try:
                async with leases.hold({"a", "b"}, soon()) as held:
                    return held[first].lost
            except Unavailable:
                return True  # It was asking for the second one at that very moment.

        writer = asyncio.create_task(write())
        await until(lambda: _is(count(connection), 1))
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'guardian-schema-leases'"
            " AND datname = current_database()"
        )
        await until(lambda: _is(count(connection), 0))
    assert await writer


async def test_writers_that_give_up_leave_nothing_behind(
    leases: SchemaLeases, connection: asyncpg.Connection
) -> None:
    async def write() -> None:
        async with leases.hold({"a"}, soon()):
            await asyncio.Event().wait()

    for pause_s in (0, 0.001, 0.01, 0.05):
        writers = [asyncio.create_task(write()) for _ in range(3)]
        await asyncio.sleep(pause_s)
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
    await until(lambda: _is(count(connection), 0))
    async with leases.hold({"a"}, soon()) as held:
        held["a"].check()
