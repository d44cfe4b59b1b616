"""Which answer is kept under an Idempotency-Key when several of one request end at once."""

from __future__ import annotations

import asyncpg

from app.tables.idempotency import Answered, Name, claim, remember
from tests.support.rows import insert_project, insert_user

EARLY, LATER = Answered(409, {"ETag": '"2"'}, b"early"), Answered(404, {}, b"later")
DECIDED = Answered(201, {"ETag": '"1"'}, b"decided")
NAME = Name("p", "user:u", "k")


async def test_what_the_log_decided_is_the_answer_and_else_the_first(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u")
    for project in ("p", "q"):
        await insert_project(connection, project, "u")
    await connection.close()
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        assert await claim(pool, NAME, "digest", "change") == ("digest", None)
        assert await claim(pool, NAME, "another", "change") == ("digest", None)
        for answer, decided, kept in (
            (EARLY, False, EARLY),
            (LATER, False, EARLY),
            (DECIDED, True, DECIDED),
            (EARLY, False, DECIDED),
        ):
            await remember(pool, NAME, answer, decided=decided)
            assert await claim(pool, NAME, "digest", "change") == ("digest", kept)
        # Of another project, caller or key it says nothing.
        for other in (Name("q", "user:u", "k"), Name("p", "key:u", "k"), Name("p", "user:u", "l")):
            assert await claim(pool, other, "other", "change") == ("other", None)
            assert await claim(pool, other, "again", "change") == ("other", None)
        assert await claim(pool, NAME, "again", "change") == ("digest", DECIDED)
