"""Slows the guessing of passwords down, across all processes: failed attempts by account and
address, by account, and by address.

An attempt is counted before the password is looked at and given back when it was right, so
guesses that run at the same time count too. An account that does not exist is counted alike.
Must never store an e-mail address or a password: whatever was typed is hashed.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from app.access.throttle import (
    SIGN_IN_PER_ACCOUNT,
    SIGN_IN_PER_ACCOUNT_AND_ADDRESS,
    SIGN_IN_PER_ADDRESS,
    Rate,
)
from app.errors import TooManyRequests
from app.tables import throttle


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted."""

    pair: str
    account: str
    address: str

    @property
    def subjects(self) -> tuple[tuple[str, Rate], ...]:
        """In the order in which all lock their rows, so that no two wait for each other."""
        return (
            (self.pair, SIGN_IN_PER_ACCOUNT_AND_ADDRESS),
            (self.account, SIGN_IN_PER_ACCOUNT),
            (self.address, SIGN_IN_PER_ADDRESS),
        )


class SignInThrottle:
    """Counts attempts in `login_attempts`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def count(self, account: str, address: str) -> Attempt:
        """Count an attempt at `account` from `address`. Raises TooManyRequests: do nothing then."""
        attempt = Attempt(
            _subject("pair", account, address),
            _subject("account", account),
            _subject("address", address),
        )
        async with self._pool.acquire() as connection, connection.transaction():
            for subject, rate in attempt.subjects:
                wait = await throttle.count_attempt(
                    connection,
                    subject,
                    timedelta(seconds=rate.interval_s),
                    timedelta(seconds=rate.tolerance_s),
                )
                if wait is not None:
                    # Rolls back what the others counted: a refused attempt is none.
                    raise TooManyRequests(
                        "too many failed sign-ins; wait, or ask a superuser for a new password",
                        max(1, math.ceil(wait.total_seconds())),
                    )
        return attempt

    async def succeeded(self, attempt: Attempt) -> None:
        """The password was right: it was no failed attempt."""
        async with self._pool.acquire() as connection, connection.transaction():
            await throttle.forget(connection, attempt.pair)
            for subject, rate in attempt.subjects[1:]:
                await throttle.give_back(connection, subject, timedelta(seconds=rate.interval_s))


def _subject(kind: str, *parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}:{digest}"
