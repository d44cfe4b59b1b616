"""The first superuser of a fresh installation."""

from __future__ import annotations

import secrets

import asyncpg
import uuid6

from app.access.passwords import PasswordHashing
from app.settings import Settings
from app.tables import users

DEFAULT_EMAIL = "admin@guardian.local"


async def ensure_first_superuser(database_url: str, settings: Settings) -> tuple[str, str] | None:
    """Make a superuser if there is none; (e-mail, password), or None if one was there.

    Takes GUARDIAN_ADMIN_EMAIL and GUARDIAN_ADMIN_PASSWORD, else makes a password up: it is
    stored nowhere, so whoever calls this must show it.
    """
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            # Two processes that start at once must not make two.
            await connection.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
            if await users.count_superusers(connection):
                return None
            email = users.normalise_email(settings.admin_email or DEFAULT_EMAIL)
            password = settings.admin_password or secrets.token_urlsafe(18)
            password_hash = PasswordHashing().hash_password(password)
            await users.insert_user(connection, str(uuid6.uuid7()), email, password_hash, True)
            return email, password
    finally:
        await connection.close()
