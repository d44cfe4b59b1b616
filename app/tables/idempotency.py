"""Queries of `idempotency_keys`. Static SQL only."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg
import orjson

from app.errors import NotFound

KEPT_FOR = "7 days"
FORGOTTEN_AT_ONCE = 1000

_CLAIM = """
INSERT INTO idempotency_keys (project_id, caller, key, request_digest, change_id)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
"""
_FIND = """
SELECT request_digest, status, headers, body FROM idempotency_keys
WHERE project_id = $1 AND caller = $2 AND key = $3
"""
# What the log decided is the truth; an early refusal is the answer only until then.
_ANSWER = """
UPDATE idempotency_keys SET status = $4, headers = $5, body = $6
WHERE project_id = $1 AND caller = $2 AND key = $3 AND (status IS NULL OR $7)
"""


def forgetting(table: str) -> str:
    """The statement that deletes a part ($1) of what is older than KEPT_FOR: of two processes that
    forget at the same time, each takes its own."""
    return f"""
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE created_at < now() - interval '{KEPT_FOR}'
    ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED))
"""  # noqa: S608


_FORGET = forgetting("idempotency_keys")

_HEADERS_OF_BEFORE = '{"Content-Type": "application/json"}'
"""Of an answer that was kept before there was a place for its headers (migration 017)."""


@dataclass(frozen=True, slots=True)
class Name:
    """What identifies a request that may be sent again."""

    project_id: str
    caller: str
    key: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A finished answer."""

    status: int
    headers: dict[str, str]
    body: bytes


async def claim(
    pool: asyncpg.Pool, name: Name, digest: str, change_id: str
) -> tuple[str, Answered | None]:
    """Note the request unless it is; the digest of whoever came first, and their answer if any.

    Raises NotFound when the project was deleted meanwhile.
    """
    where = (name.project_id, name.caller, name.key)
    try:
        status = await pool.execute(_CLAIM, *where, digest, change_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("the project is not there any more") from error
    if status == "INSERT 0 1":
        return digest, None
    row = await pool.fetchrow(_FIND, *where)
    if row is None:  # forgotten in this very moment: as good as never sent
        return digest, None
    if row["status"] is None:
        return row["request_digest"], None
    headers = orjson.loads(row["headers"] or _HEADERS_OF_BEFORE)
    return row["request_digest"], Answered(row["status"], headers, row["body"])


async def remember(pool: asyncpg.Pool, name: Name, answer: Answered, *, decided: bool) -> None:
    """Keep an answer; `decided`: it is the log's, and replaces what was kept."""
    await pool.execute(
        _ANSWER,
        name.project_id,
        name.caller,
        name.key,
        answer.status,
        orjson.dumps(answer.headers).decode(),
        answer.body,
        decided,
    )


async def forget_old(pool: asyncpg.Pool, statement: str = _FORGET) -> None:
    """Delete the answers that are older than KEPT_FOR, a part at a time; or what another statement
    of `forgetting` does."""
    while await pool.execute(statement, FORGOTTEN_AT_ONCE) == f"DELETE {FORGOTTEN_AT_ONCE}":
        pass
