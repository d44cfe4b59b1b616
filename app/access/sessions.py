"""Sign-ins: their start, their renewal, their end.

A sign-in is a family of refresh tokens, of which one is good at a time. A refresh token that is
brought a second time was copied: its whole family ends, and this process knows it at once. Must
never keep or log a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import uuid_utils

from app.access.directory import CredentialsRefused, Directory
from app.access.tokens import (
    KeyRing,
    hash_refresh_token,
    issue_access_token,
    new_refresh_token,
    same_hash,
)
from app.tables import sessions
from projections.revisions import Connection

REFRESH_LIFETIME = timedelta(days=30)
"""How long a sign-in lasts that is not renewed."""


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """What a client gets; shown once, stored nowhere."""

    access: str
    refresh: str
    cookie: bool
    """The refresh token goes into a cookie and nowhere else."""

    def __repr__(self) -> str:
        return "Tokens(…)"


async def start(
    connection: Connection, ring: KeyRing, user_id: str, password_generation: int, *, cookie: bool
) -> Tokens:
    """Begin a sign-in of this user, whose password of that generation was right a moment ago.

    To be called in a transaction. Raises CredentialsRefused if it is not right any more.
    """
    user = await sessions.lock_user(connection, user_id)
    if user is None or user["disabled"] or user["password_generation"] != password_generation:
        raise CredentialsRefused("the user or the password was changed meanwhile")
    return await _issue(
        connection, ring, str(uuid_utils.uuid7()), user_id, password_generation, cookie
    )


async def renew(
    pool: asyncpg.Pool, ring: KeyRing, directory: Directory, plain: str, *, from_cookie: bool
) -> Tokens:
    """Exchange a refresh token. Raises CredentialsRefused; a reused one ends its family."""
    token_hash = hash_refresh_token(plain)
    async with pool.acquire() as connection, connection.transaction():
        row = await sessions.take_token(connection, token_hash)
        if row is None or not same_hash(row["token_hash"], token_hash):
            raise CredentialsRefused("no such refresh token")
        if row["cookie"] and not from_cookie:
            # Only a thief reads an HttpOnly cookie; what it buys must not reach a script.
            raise CredentialsRefused("a cookie's token outside of its cookie")
        if row["revoked_at"] is not None or row["expires_at"] <= datetime.now(UTC):
            raise CredentialsRefused("the session has ended")
        if row["disabled"]:
            raise CredentialsRefused("the user is disabled")
        if row["used_at"] is None:
            await sessions.mark_used(connection, row["id"])
            return await _issue(
                connection,
                ring,
                row["family_id"],
                row["user_id"],
                row["password_generation"],
                row["cookie"],
            )
        await sessions.end_family(connection, row["family_id"])
    # Behind the transaction: the end of the family must be committed.
    directory.invalidate()
    raise CredentialsRefused("a refresh token came twice")


async def end(pool: asyncpg.Pool, directory: Directory, plain: str) -> bool:
    """End the sign-in of a refresh token, used or not; whether there was one."""
    async with pool.acquire() as connection, connection.transaction():
        row = await sessions.take_token(connection, hash_refresh_token(plain))
        if row is None:
            return False
        if row["revoked_at"] is not None:
            # To end it again would make every process look up every caller, as often as anybody
            # likes who has an old token.
            return True
        await sessions.end_family(connection, row["family_id"])
    directory.invalidate()
    return True


async def end_session(
    pool: asyncpg.Pool, directory: Directory, user_id: str, session_id: str
) -> None:
    """End the sign-in that an access token names."""
    async with pool.acquire() as connection, connection.transaction():
        await sessions.lock_user(connection, user_id)
        await sessions.end_family(connection, session_id)
    directory.invalidate()


async def _issue(
    connection: Connection,
    ring: KeyRing,
    family_id: str,
    user_id: str,
    password_generation: int,
    cookie: bool,
) -> Tokens:
    now = datetime.now(UTC)
    refresh = new_refresh_token()
    await sessions.add_token(
        connection,
        str(uuid_utils.uuid7()),
        family_id,
        user_id,
        refresh.hash,
        now + REFRESH_LIFETIME,
        cookie,
    )
    access = issue_access_token(
        ring,
        user_id=user_id,
        session_id=family_id,
        password_generation=password_generation,
        now=now,
    )
    return Tokens(access, refresh.plain, cookie)
