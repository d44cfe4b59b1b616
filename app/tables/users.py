"""Queries of `users` and `refresh_tokens`. Static SQL only; driver errors are named here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from app.errors import Duplicate
from projections.revisions import Connection

Source = asyncpg.Pool | Connection

_INSERT = """
INSERT INTO users (id, email, password_hash, is_superuser) VALUES ($1, $2, $3, $4)
RETURNING id, email, is_superuser, disabled, created_at
"""
_BY_EMAIL = """
SELECT id, email, password_hash, is_superuser, disabled, password_generation
FROM users WHERE email = $1
"""
_ADD_REFRESH = """
INSERT INTO refresh_tokens (id, family_id, user_id, token_hash, expires_at)
VALUES ($1, $2, $3, $4, $5)
"""


def normalise_email(email: str) -> str:
    """Addresses are compared without regard to case or surrounding white space."""
    return email.strip().lower()


async def insert_user(
    source: Source, user_id: str, email: str, password_hash: str, is_superuser: bool
) -> Any:
    """Add a user; the row. Raises Duplicate for an address that is there."""
    try:
        return await source.fetchrow(_INSERT, user_id, email, password_hash, is_superuser)
    except asyncpg.UniqueViolationError as error:
        raise Duplicate(f"there is a user {email} already") from error


async def find_by_email(source: Source, email: str) -> Any:
    """The user of this (normalised) address, with the password's hash; None if there is none."""
    return await source.fetchrow(_BY_EMAIL, email)


async def set_password_hash(source: Source, user_id: str, password_hash: str) -> None:
    """Store the same password under newer parameters: no session ends."""
    await source.execute(
        "UPDATE users SET password_hash = $2, updated_at = now() WHERE id = $1",
        user_id,
        password_hash,
    )


async def add_refresh_token(
    source: Source,
    token_id: str,
    family_id: str,
    user_id: str,
    token_hash: str,
    expires_at: datetime,
) -> None:
    """Add a refresh token to its family (a family is one sign-in)."""
    await source.execute(_ADD_REFRESH, token_id, family_id, user_id, token_hash, expires_at)


async def count_superusers(source: Source) -> int:
    """How many superusers there are."""
    count: int = await source.fetchval("SELECT count(*) FROM users WHERE is_superuser")
    return count
