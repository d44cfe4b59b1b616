"""The first superuser of a fresh installation."""

from __future__ import annotations

import secrets

import asyncpg
import uuid_utils

from app.access.passwords import PasswordHashing, PasswordRefused, check_password_rules
from app.errors import Duplicate
from app.settings import Settings, SettingsError
from app.tables import users

DEFAULT_EMAIL = "admin@guardian.local"


def check_first_sign_in(settings: Settings) -> None:
    """Raise SettingsError for an address or a password that no user may have.

    Here and not where settings are loaded: the rules come with the libraries that hash and store.
    Call it before anything is changed.
    """
    email, password = settings.admin_email, settings.admin_password
    if email is not None and not users.is_email(users.normalise_email(email)):
        raise SettingsError("GUARDIAN_ADMIN_EMAIL", "must be an e-mail address")
    if password is not None:
        try:
            check_password_rules(password)
        except PasswordRefused as error:
            raise SettingsError("GUARDIAN_ADMIN_PASSWORD", str(error)) from error


async def ensure_first_superuser(database_url: str, settings: Settings) -> tuple[str, str] | None:
    """Make a superuser if there is none; (e-mail, password), or None if one was there.

    Takes GUARDIAN_ADMIN_EMAIL and GUARDIAN_ADMIN_PASSWORD, else makes a password up: it is
    stored nowhere, so whoever calls this must show it. Raises SettingsError for the address of
    a user who is no superuser: a password in the environment must not take somebody's place.
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
            await users.insert_user(connection, str(uuid_utils.uuid7()), email, password_hash, True)
            return email, password
    except Duplicate as error:
        raise SettingsError(
            "GUARDIAN_ADMIN_EMAIL", f"{error}, who is no superuser; name another address"
        ) from error
    finally:
        await connection.close()
