"""Queries of `refresh_tokens`: a family is one sign-in. Static SQL only.

Whoever adds, takes or ends tokens locks their user first, in a statement of its own: what comes
after that sees all that came before. Without it the end of a family could miss the token that its
renewal is just adding, and a thief would keep what was taken from them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from projections.revisions import Connection

Source = asyncpg.Pool | Connection

_ADD = """
INSERT INTO refresh_tokens (id, family_id, user_id, token_hash, expires_at, cookie)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_LOCK_USER = """
SELECT disabled, password_generation FROM users WHERE id = $1 FOR NO KEY UPDATE
"""
_USER_OF = "SELECT user_id FROM refresh_tokens WHERE token_hash = $1"
_TAKE = """
SELECT t.id, t.family_id, t.user_id, t.token_hash, t.expires_at, t.used_at, t.revoked_at, t.cookie,
    u.disabled, u.password_generation
FROM refresh_tokens t JOIN users u ON u.id = t.user_id
WHERE t.token_hash = $1
"""
_END_FAMILY = """
UPDATE refresh_tokens SET revoked_at = now() WHERE family_id = $1 AND revoked_at IS NULL
"""
_END_USER = "UPDATE refresh_tokens SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL"
_IS_COOKIE = "SELECT cookie FROM refresh_tokens WHERE family_id = $1 LIMIT 1"
_FORGET = "DELETE FROM refresh_tokens WHERE expires_at < now() - interval '7 days'"
_FORGETTABLE = """
SELECT EXISTS (SELECT FROM refresh_tokens WHERE expires_at < now() - interval '7 days')
"""


async def lock_user(connection: Connection, user_id: str) -> Any:
    """Hold everybody else off a user's sign-ins until the transaction ends; what the user is now.
    None if there is no such user."""
    return await connection.fetchrow(_LOCK_USER, user_id)


async def add_token(
    connection: Connection,
    token_id: str,
    family_id: str,
    user_id: str,
    token_hash: str,
    expires_at: datetime,
    cookie: bool,
) -> None:
    """Add a refresh token to its family, under its user's lock."""
    await connection.execute(_ADD, token_id, family_id, user_id, token_hash, expires_at, cookie)


async def take_token(connection: Connection, token_hash: str) -> Any:
    """The token with its user, who is locked: of two who bring it at once, one comes second."""
    user_id = await connection.fetchval(_USER_OF, token_hash)
    if user_id is None or await lock_user(connection, user_id) is None:
        return None
    return await connection.fetchrow(_TAKE, token_hash)


async def mark_used(connection: Connection, token_id: str) -> None:
    """The token was exchanged; whoever brings it again is not its holder, or not the only one."""
    await connection.execute("UPDATE refresh_tokens SET used_at = now() WHERE id = $1", token_id)


async def end_family(connection: Connection, family_id: str) -> None:
    """End one sign-in, under its user's lock: its refresh tokens, and its access tokens within a
    moment."""
    await connection.execute(_END_FAMILY, family_id)


async def end_user(connection: Connection, user_id: str) -> None:
    """End every sign-in of a user, under their lock."""
    await connection.execute(_END_USER, user_id)


async def is_cookie(source: Source, family_id: str) -> bool:
    """Whether this sign-in gets its refresh tokens as cookies."""
    return bool(await source.fetchval(_IS_COOKIE, family_id))


async def forget_expired(source: Source) -> None:
    """Delete tokens that ended long ago. Asks first: a DELETE makes every process look up anew."""
    if await source.fetchval(_FORGETTABLE):
        await source.execute(_FORGET)
