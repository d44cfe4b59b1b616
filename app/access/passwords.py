"""Passwords: argon2id hashes (RFC 9106), made and checked off the event loop.

A hash costs 64 MiB and tens of milliseconds on purpose. So the number that run at once is
bounded, and so is the number that wait: a flood of sign-ins must neither fill the memory
nor stop the loop. The text of a password never appears in an exception.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

T = TypeVar("T")

MIN_PASSWORD_CHARACTERS: Final = 12
MAX_PASSWORD_CHARACTERS: Final = 1024

DEFAULT_PARAMETERS: Final = argon2.profiles.RFC_9106_LOW_MEMORY
"""RFC 9106 section 4, second recommended option: 64 MiB, 3 passes, 4 lanes."""

CHEAP_PARAMETERS: Final = argon2.Parameters(
    type=argon2.low_level.Type.ID,
    version=argon2.low_level.ARGON2_VERSION,
    salt_len=16,
    hash_len=32,
    time_cost=1,
    memory_cost=8,
    parallelism=1,
)
"""For tests that sign in a lot. Never for a service that others can reach."""


class PasswordRefused(ValueError):
    """The password breaks the rules. `str()` is fit to be shown to the caller."""


class PasswordsBusy(Exception):
    """Too many hashes wait already: the caller should come back in a few seconds."""


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """What a sign-in learned about a password."""

    ok: bool
    needs_rehash: bool
    """True where the password was right but its hash was made with other parameters."""


def check_password_rules(password: str) -> None:
    """Raise PasswordRefused unless `password` has 12 to 1024 characters.

    No rule about kinds of characters: NIST SP 800-63B section 3.1.1.2 advises against them.
    """
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise PasswordRefused(f"a password has at least {MIN_PASSWORD_CHARACTERS} characters")
    if len(password) > MAX_PASSWORD_CHARACTERS:
        raise PasswordRefused(f"a password has at most {MAX_PASSWORD_CHARACTERS} characters")
    if len(set(password)) == 1:
        raise PasswordRefused("a password is more than one character repeated")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise PasswordRefused("a password is valid Unicode text") from None


def _prepared(password: str) -> bytes:
    """The bytes that are hashed: NFC (RFC 8265 section 4.2), so that every keyboard agrees."""
    return unicodedata.normalize("NFC", password).encode()


class PasswordHashing:
    """Makes and checks hashes with one set of parameters. Blocking: see PasswordPool."""

    def __init__(self, parameters: argon2.Parameters = DEFAULT_PARAMETERS) -> None:
        self._parameters = parameters
        self._hasher = argon2.PasswordHasher.from_parameters(parameters)
        self._dummy_hash = _unmatchable_hash(parameters)

    def hash_password(self, password: str) -> str:
        """An encoded argon2id hash (`$argon2id$…`). Raises PasswordRefused."""
        check_password_rules(password)
        return self._hasher.hash(_prepared(password))

    def verify_password(self, stored: str | None, password: str) -> PasswordCheck:
        """Whether `password` belongs to the hash `stored`; None for an unknown account.

        An unknown account and a password that could never have been set cost the same
        work as a wrong password, so the time of the answer tells nothing. Raises
        argon2's InvalidHashError if `stored` is no argon2 hash: the row is broken.
        """
        known = stored is not None
        hash_to_check = stored if stored is not None else self._dummy_hash
        try:
            check_password_rules(password)
            prepared, plausible = _prepared(password), True
        except PasswordRefused:
            prepared, plausible = b"", False
        matches = False
        try:
            matches = self._hasher.verify(hash_to_check, prepared)
        except VerifyMismatchError:
            pass
        except VerificationError as error:
            raise InvalidHashError("the stored password hash cannot be read") from error
        ok = matches and known and plausible
        return PasswordCheck(ok, ok and self._hasher.check_needs_rehash(hash_to_check))


def _unmatchable_hash(parameters: argon2.Parameters) -> str:
    """A well-formed hash that costs as much to check as a real one, made without the work."""

    def encoded(length: int) -> str:
        return base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()

    return (
        f"$argon2id$v={parameters.version}"
        f"$m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
        f"${encoded(parameters.salt_len)}${encoded(parameters.hash_len)}"
    )


class PasswordPool:
    """PasswordHashing on a few threads of its own (argon2 releases the GIL).

    `async with PasswordPool() as passwords:` At most `threads` hashes run and at most
    `max_waiting` more wait; further ones raise PasswordsBusy at once. The memory is
    therefore at most `threads` times the parameters' memory cost.
    """

    def __init__(
        self,
        hashing: PasswordHashing | None = None,
        *,
        threads: int = 2,
        max_waiting: int = 64,
    ) -> None:
        self._hashing = hashing or PasswordHashing()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._places = threading.BoundedSemaphore(threads + max_waiting)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def hash_password(self, password: str) -> str:
        """As PasswordHashing.hash_password. Raises PasswordRefused, PasswordsBusy."""
        check_password_rules(password)
        return await self._run(lambda: self._hashing.hash_password(password))

    async def verify_password(self, stored: str | None, password: str) -> PasswordCheck:
        """As PasswordHashing.verify_password. Raises PasswordsBusy too."""
        return await self._run(lambda: self._hashing.verify_password(stored, password))

    async def close(self) -> None:
        """Wait for the hashes that run; those that wait are cancelled. Idempotent."""
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise PasswordsBusy("too many password checks are waiting")
        future = self._executor.submit(work)
        # Released when the work ends, not when the caller stops waiting: a caller that
        # hangs up must not make room for one more hash than the memory was planned for.
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)
