"""How much the product's own statements read, over rows made by SQL.

PostgreSQL says how many rows it fetched, counting those that did not match. In three states of the
plan: made when the tables were empty and kept, made for the average arguments, and made for the
very ones. A session may have any of them, and keeps the first two until an ANALYZE or for minutes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

ON_EMPTY = "planned on empty tables"
PLANS = (ON_EMPTY, "force_generic_plan", "force_custom_plan")
Statements = dict[str, tuple[str, list[Any]]]
"""By a name: the text and its arguments."""

_ROWS_READ = """
SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint
FROM pg_stat_xact_user_tables
"""


@asynccontextmanager
async def planned(
    database_url: str,
    plans: str,
    statements: Statements,
    fill: Callable[[asyncpg.Connection], Awaitable[None]],
) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database that was filled, with one of PLANS for these statements."""
    connection: asyncpg.Connection = await asyncpg.connect(
        database_url,
        statement_cache_size=1000,
        server_settings={"session_replication_role": "replica"},
    )
    try:
        mode = "force_generic_plan" if plans == ON_EMPTY else plans
        await connection.execute(f"SET plan_cache_mode = {mode}")
        if plans == ON_EMPTY:
            for text, arguments in statements.values():
                await connection.fetch(text, *arguments)
        await fill(connection)
        if plans != ON_EMPTY:
            await connection.execute("VACUUM ANALYZE")
        yield connection
    finally:
        await connection.close()


async def rows_read(connection: asyncpg.Connection, text: str, arguments: list[Any]) -> int:
    """How many rows of tables are fetched for a statement; inside a transaction."""
    return await rows_read_by(connection, connection.fetch(text, *arguments))


async def rows_read_by(connection: asyncpg.Connection, work: Awaitable[Any]) -> int:
    """As `rows_read`, for whatever is asked on this connection."""
    before: int = await connection.fetchval(_ROWS_READ)
    await work
    after: int = await connection.fetchval(_ROWS_READ)
    return after - before


async def reading_more(
    connection: asyncpg.Connection, statements: Statements, most: int
) -> dict[str, int]:
    """Which of the statements read more than `most` rows, and how many."""
    async with connection.transaction(readonly=True):
        read = {
            name: await rows_read(connection, text, arguments)
            for name, (text, arguments) in statements.items()
        }
    return {name: rows for name, rows in read.items() if rows > most}
