"""Goal: no byte of history can change, and no revision go missing, without being found.

Method: random histories are recorded by the projector's own rule in a real database; one thing is
tampered with under `session_replication_role = replica`, where no trigger protects the table;
the walk must name the first revision that is not as it was.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.log import Entry, EntryKind
from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import ConfigEvent, config_id, content_event, deleted_event
from projections.apply import apply_batch
from projections.audit_verify import Verdict, verify_project
from projections.batch import decode_entry
from projections.checkpoint import create_checkpoint, read_checkpoint

START = datetime(2026, 1, 1, tzinfo=UTC)
USERS = ("user-a", "user-b")


@asynccontextmanager
async def database(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with two users and room for projects."""
    connection = await asyncpg.connect(url)
    try:
        for user in USERS:
            await connection.execute(
                "INSERT INTO users (id, email, password_hash) VALUES ($1, $1, 'x')"
                " ON CONFLICT DO NOTHING",
                user,
            )
        await create_checkpoint(connection)
        yield connection
    finally:
        await connection.close()


class Writer:
    """Makes change sets of one project that the rule will accept, from a seed."""

    def __init__(self, project_id: str, seed: int, position: int) -> None:
        self.project_id = project_id
        self.rng = random.Random(seed)
        self.position = position
        self._heads: dict[str, tuple[int, bool]] = {}

    def entry(self) -> Entry:
        """The next entry: one to five configs set, deleted or rolled back."""
        self.position += self.rng.randrange(1, 3)
        keys = self.rng.sample(["a", "b.c", "x", "y", "z"], self.rng.randrange(1, 6))
        events = tuple(encode_event(self._event(key)) for key in keys)
        change_set = ChangeSet(f"{self.project_id}-{self.position}", self.project_id, events)
        return Entry(
            self.position,
            EntryKind.CHANGE,
            encode_change_set(change_set),
            START + timedelta(seconds=self.rng.randrange(1000)),
        )

    def _event(self, key: str) -> ConfigEvent:
        version, deleted = self._heads.get(key, (0, False))
        originator = config_id(self.project_id, key)
        actor: dict[str, Any] = self.rng.choice(
            [{"user_id": u, "email": f"{u}@example.org"} for u in (*USERS, "gone")]
            + [{"key_id": "k", "key_name": "pipeline"}]
        )
        common: dict[str, Any] = {
            "timestamp": START,
            "actor": actor,
            "comment": self.rng.choice([None, "why"]),
        }
        delete = version > 0 and not deleted and self.rng.random() < 0.2
        self._heads[key] = (version + 1, delete)
        if delete:
            return deleted_event(originator, version, **common)
        return content_event(
            originator,
            version,
            deleted,
            content=self._content(),
            schema_id=self.rng.choice([None, "s"]),
            schema_version=None,
            to_version=1 if version > 1 and self.rng.random() < 0.2 else None,
            **common,
        )

    def _content(self) -> Any:
        return self.rng.choice(
            [
                None,
                True,
                1,
                0,
                -0.0,
                1.0,
                1e300,
                5e-324,
                2**63 - 1,
                "ü\u2028\n\\",
                {"limit": self.rng.randrange(100), "on": True, "list": [1, 2.5, None, "x"]},
            ]
        )


async def record(connection: asyncpg.Connection, project_id: str, seed: int, entries: int) -> None:
    """A project with a random history, written as the projector writes it."""
    await connection.execute(
        "INSERT INTO projects (id, name, owner_user_id, api_key) VALUES ($1, $1, $2, $1)",
        project_id,
        USERS[0],
    )
    checkpoint = await read_checkpoint(connection)
    writer = Writer(project_id, seed, checkpoint.position)
    decoded = [decode_entry(writer.entry()) for _ in range(entries)]
    await apply_batch(connection, checkpoint, decoded)


@dataclass(frozen=True)
class Tampering:
    """One thing done to a recorded history, and the number of the first revision it shows at."""

    what: str
    first_bad: int


async def tamper(
    connection: asyncpg.Connection, project_id: str, what: str, rng: random.Random
) -> Tampering:
    """Do `what` to a random revision (or to the chain's end)."""
    rows = await connection.fetch(
        "SELECT *, content::text AS text FROM config_revisions WHERE project_id = $1"
        " ORDER BY sequence",
        project_id,
    )
    index = rng.randrange(len(rows))
    row = rows[index]
    await connection.execute("SET session_replication_role = replica")
    try:
        if what in ("state", "hash"):
            await _set(connection, row["id"], what, _flip(row[what], rng))
        elif what == "content":
            index = rng.choice([n for n, r in enumerate(rows) if r["content"] is not None])
            await _tamper_content(connection, rows[index], rng)
        elif what == "tombstone":
            value = None if row["content"] is not None else "null"
            await _set(connection, row["id"], "content", value, cast="text::jsonb")
        elif what == "version":
            taken = {r["version"] for r in rows} | {0}
            others = {row["version"] ^ (1 << bit) for bit in range(62)} - taken
            await _set(connection, row["id"], what, rng.choice(sorted(others)))
        elif what == "created_by_user_id":
            by_users = [n for n, r in enumerate(rows) if r[what] is not None]
            index = rng.choice(by_users or [0])
            text = rows[index][what] or "nobody"
            flipped = _flip(text.encode(), rng).decode("ascii")
            other = rng.choice([None, flipped]) if by_users else text
            await _set(connection, rows[index]["id"], what, other)
        elif what == "created_at":
            await connection.execute(
                "UPDATE config_revisions SET created_at = created_at + $2::bigint * interval"
                " '1 microsecond' WHERE id = $1",
                row["id"],
                rng.choice((-1, 1)) << rng.randrange(52),
            )
        elif what == "remove":
            await connection.execute("DELETE FROM config_revisions WHERE id = $1", row["id"])
        elif what == "remove the tail":
            await connection.execute(
                "DELETE FROM config_revisions WHERE project_id = $1 AND sequence >= $2",
                project_id,
                row["sequence"],
            )
        elif what == "remove all":
            index = 0
            await connection.execute(
                "DELETE FROM config_revisions WHERE project_id = $1", project_id
            )
        elif what == "swap":
            index, other_index = sorted(rng.sample(range(len(rows)), 2))
            await _swap(connection, rows[index], rows[other_index])
        else:
            await _set(connection, row["id"], what, f"forged in {project_id}")
    finally:
        await connection.execute("SET session_replication_role = origin")
    return Tampering(what, index + 1)


async def _set(
    connection: asyncpg.Connection, id_: str, column: str, value: Any, cast: str = ""
) -> None:
    parameter = f"$2::{cast}" if cast else "$2"
    await connection.execute(
        f"UPDATE config_revisions SET {column} = {parameter} WHERE id = $1", id_, value
    )


def _flip(value: bytes, rng: random.Random) -> bytes:
    """One bit of one byte, the other way round; never a zero byte, which text cannot hold."""
    place = rng.randrange(len(value))
    bits = [bit for bit in range(7) if value[place] ^ (1 << bit) != 0]
    changed = value[place] ^ (1 << rng.choice(bits))
    return value[:place] + bytes([changed]) + value[place + 1 :]


async def _tamper_content(
    connection: asyncpg.Connection, row: asyncpg.Record, rng: random.Random
) -> None:
    """Flip bits of the JSONB's text until it is another JSONB value; `null` has no such bit."""
    flips = [_flip(row["text"].encode(), rng).decode("utf-8", "ignore") for _ in range(50)]
    for text in [*flips, '"forged"']:
        try:
            changed = await connection.fetchval(
                "UPDATE config_revisions SET content = $2::text::jsonb"
                " WHERE id = $1 AND content <> $2::text::jsonb RETURNING true",
                row["id"],
                text,
            )
        except asyncpg.DataError:
            continue
        if changed:
            return


async def _swap(connection: asyncpg.Connection, a: asyncpg.Record, b: asyncpg.Record) -> None:
    """Give two revisions each other's place."""
    async with connection.transaction():
        for id_, sequence in ((a["id"], -1), (b["id"], a["sequence"]), (a["id"], b["sequence"])):
            await connection.execute(
                "UPDATE config_revisions SET sequence = $2 WHERE id = $1", id_, sequence
            )


KINDS = (
    "state",
    "hash",
    "content",
    "tombstone",
    "version",
    "created_by_user_id",
    "created_at",
    "remove",
    "remove the tail",
    "remove all",
    "swap",
    "config_key",
    "event",
    "change_id",
    "comment",
    "schema_id",
    "created_by_email",
    "id",
)


async def check(url: str, project_id: str, seed: int, entries: int, what: str) -> None:
    async with database(url) as connection:
        await record(connection, project_id, seed, entries)
        before = await verify_project(connection, project_id)
        assert before.intact, before
        done = await tamper(connection, project_id, what, random.Random(seed))
        verdict = await verify_project(connection, project_id)
    assert not verdict.intact, done
    assert verdict.first_bad is not None
    assert verdict.first_bad.number == done.first_bad, (done, verdict)
    assert verdict.revisions == done.first_bad - 1


@pytest.mark.parametrize("what", KINDS)
def test_tampering_is_found_and_the_first_bad_revision_named(database_url: str, what: str) -> None:
    numbers = iter(range(10_000))

    @settings(max_examples=8, deadline=None, database=None)
    @given(seed=st.integers(0, 2**32), entries=st.integers(2, 12))
    def property_(seed: int, entries: int) -> None:
        asyncio.run(check(database_url, f"p{next(numbers)}", seed, entries, what))

    property_()


async def verdict_of(url: str, *, entries: int = 30, before: str = "") -> Verdict:
    async with database(url) as connection:
        await record(connection, "p", 1, entries)
        if before:
            await connection.execute(before)
        return await verify_project(connection, "p")


async def test_a_deleted_author_leaves_the_chain_intact(database_url: str) -> None:
    verdict = await verdict_of(database_url, before="DELETE FROM users WHERE id = 'user-b'")
    assert verdict.intact
    assert verdict.revisions > 30


async def test_a_forged_end_of_the_chain_is_found(database_url: str) -> None:
    verdict = await verdict_of(
        database_url, before="UPDATE audit_heads SET revisions = revisions - 1"
    )
    assert not verdict.intact


async def test_a_removed_end_of_the_chain_is_found(database_url: str) -> None:
    assert not (await verdict_of(database_url, before="DELETE FROM audit_heads")).intact


async def test_a_project_without_revisions_is_intact(database_url: str) -> None:
    async with database(database_url) as connection:
        verdict = await verify_project(connection, "none")
    assert (verdict.intact, verdict.revisions, verdict.head_position) == (True, 0, 0)


async def test_two_projects_with_interleaved_histories_have_a_chain_each(database_url: str) -> None:
    async with database(database_url) as connection:
        for seed, project in enumerate(("p", "q")):
            await record(connection, project, seed, 1)
        for seed, project in enumerate(("p2", "q2")):
            await record(connection, project, seed, 150)
        for project in ("p", "q", "p2", "q2"):
            steps: list[int] = []
            verdict = await verify_project(connection, project, steps.append)
            assert verdict.intact
            assert not steps or steps[-1] == verdict.revisions
