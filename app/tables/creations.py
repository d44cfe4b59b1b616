"""Queries of `creation_keys`: what was made under an Idempotency-Key. Static SQL only.

Each in the transaction that makes the thing: both are there, or neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg
import orjson

from app.errors import NotSignedIn
from app.tables import idempotency
from projections.revisions import Connection

_CLAIM = """
INSERT INTO creation_keys (user_id, key, request_digest) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
"""
_FIND = """
SELECT request_digest, status, headers, body FROM creation_keys WHERE user_id = $1 AND key = $2
"""
_ANSWER = """
UPDATE creation_keys SET status = $3, headers = $4, body = $5 WHERE user_id = $1 AND key = $2
"""
_FORGET = idempotency.forgetting("creation_keys")


@dataclass(frozen=True, slots=True)
class Made:
    """What was answered to who made the thing first."""

    request_digest: str
    status: int
    headers: dict[str, str]
    body: bytes | None
    """None where the answer showed a secret."""


async def claim(connection: Connection, user_id: str, key: str, digest: str) -> Made | None:
    """Note the request; what was made under its key before. Waits for one that is under way.

    Raises NotSignedIn when the user was deleted meanwhile.
    """
    try:
        status = await connection.execute(_CLAIM, user_id, key, digest)
    except asyncpg.ForeignKeyViolationError as error:
        raise NotSignedIn("the user is not there any more") from error
    if status == "INSERT 0 1":
        return None
    row = await connection.fetchrow(_FIND, user_id, key)
    if row is None:  # forgotten in this very moment: as good as never sent
        return None
    headers = orjson.loads(row["headers"])
    return Made(row["request_digest"], row["status"], headers, row["body"])


async def remember(connection: Connection, user_id: str, key: str, made: Made) -> None:
    """Keep an answer under a key that was claimed in this transaction."""
    headers = orjson.dumps(made.headers).decode()
    await connection.execute(_ANSWER, user_id, key, made.status, headers, made.body)


async def forget_old(pool: asyncpg.Pool) -> None:
    """Delete what is old, as `idempotency.forget_old` does."""
    await idempotency.forget_old(pool, _FORGET)
