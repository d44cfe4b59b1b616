"""Finds who is calling and what they are in a project, from memory where it can.

What was looked up is kept until the database says that something changed (the triggers of
migration 015 NOTIFY `guardian_access`, `projections.follower` hears it), so a change works in every
process within a second, in the one that made it at once (`Directory.invalidate`); and reads go on
while the database is away. Must never keep a plain key or token.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from app.access.api_keys import hash_api_key, looks_like_api_key, matches_hash
from app.access.principal import ROLE_LEVELS, Application, Principal, Role, User
from app.access.tokens import AccessClaims, KeyRing, TokenRefused, verify_access_token
from app.tables import access
from projections.database import DATABASE_AWAY

CHANNEL = "guardian_access"
MAX_ENTRIES = 50_000
UNHEARD_TTL_S = 0.5
"""While no NOTIFY can reach us, what was looked up longer ago is asked again (if it can be)."""


class CredentialsRefused(Exception):
    """The token or key is not (or no longer) good. `reason` is for the log alone."""

    def __init__(self, reason: str) -> None:
        super().__init__("the credentials are not valid")
        self.reason = reason


@dataclass(slots=True)
class _Kept:
    value: Any
    generation: int
    at: float


class Directory:
    """Looks callers up, and keeps what it found until it is told of a change.

    `hearing`: whether every change is told to `invalidate` at this moment.
    """

    def __init__(self, pool: asyncpg.Pool, ring: KeyRing, hearing: Callable[[], bool]) -> None:
        self._pool = pool
        self._ring = ring
        self._hearing = hearing
        self._kept: OrderedDict[tuple[str, ...], _Kept] = OrderedDict()
        self._claims: OrderedDict[bytes, AccessClaims] = OrderedDict()
        """By a token's SHA-256; the oldest go first."""
        self._asking: dict[tuple[tuple[str, ...], int], asyncio.Task[Any]] = {}
        """Questions about whom we knew, by what is asked and the generation."""
        self._generation = 0
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever somebody's access may have changed."""
        self._listeners.append(listener)

    def invalidate(self) -> None:
        """Forget what was looked up: somebody's access may have changed.

        Whoever takes a right away calls this between the commit and the answer. Not for what
        strangers may repeat at will, such as a sign-in: every caller is looked up anew behind it.
        """
        self._generation += 1
        for listener in self._listeners:
            listener()

    async def user_of_token(self, token: str) -> User:
        """The user who holds this access token. Raises CredentialsRefused."""
        claims = self._verified(token)
        found = await self._look_up(
            ("session", claims.user_id, claims.session_id), lambda: self._find_user(claims)
        )
        if found is None:
            raise CredentialsRefused("no such user, or disabled")
        user, password_generation = found
        if user is None or password_generation != claims.password_generation:
            raise CredentialsRefused("the session has ended")
        assert isinstance(user, User)
        return user

    async def _find_user(self, claims: AccessClaims) -> tuple[User | None, int] | None:
        """The user of a session that stands, and which password they have."""
        row = await access.find_session(self._pool, claims.user_id, claims.session_id)
        if row is None or row["disabled"]:
            return None
        user = User(row["id"], row["email"], row["is_superuser"], claims.session_id)
        return user if row["signed_in"] else None, row["password_generation"]

    def _verified(self, token: str) -> AccessClaims:
        """What a good token says. A signature is checked once; the end of a token, each time."""
        now = datetime.now(UTC)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._claims.get(digest)
        if claims is None or not claims.issued_at <= now < claims.expires_at:
            try:
                claims = verify_access_token(self._ring, token, now=now)
            except TokenRefused as error:
                self._claims.pop(digest, None)
                raise CredentialsRefused(str(error)) from None
            self._claims[digest] = claims
            while len(self._claims) > MAX_ENTRIES:
                self._claims.popitem(last=False)
        return claims

    async def application_of_key(self, plain: str) -> Application:
        """The application that holds this API key. Raises CredentialsRefused."""
        key_hash = hash_api_key(plain)
        found = await self._look_up(
            ("key", key_hash), lambda: self._find_application(plain, key_hash)
        )
        if found is None:
            raise CredentialsRefused("no such API key")
        application, expires_at = found
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise CredentialsRefused("the API key has expired")
        assert isinstance(application, Application)
        return application

    def known_application(self, plain: str) -> Application | None:
        """As `application_of_key`, if nobody need be asked; None: ask, or be refused, there."""
        place = "key", hash_api_key(plain)
        kept = self._kept.get(place)
        if kept is None or kept.generation != self._generation or not self._hearing():
            return None
        self._kept.move_to_end(place)
        application, expires_at = kept.value
        if expires_at is not None and expires_at <= datetime.now(UTC):
            return None
        assert isinstance(application, Application)
        return application

    async def _find_application(
        self, plain: str, key_hash: str
    ) -> tuple[Application, datetime | None] | None:
        # The checksum turns typing errors and most guesses away without a query.
        if not looks_like_api_key(plain):
            raise CredentialsRefused("not the form of an API key")
        row = await access.find_key(self._pool, key_hash)
        if row is None or not matches_hash(plain, row["key_hash"]):
            return None
        role = ROLE_LEVELS[row["role_level"]]
        application = Application(
            row["id"], row["name"], row["project_id"], row["owner_user_id"], role, row["prefix"]
        )
        return application, row["expires_at"]

    async def role_in(self, principal: Principal, project_id: str) -> Role | None:
        """What the caller is in a project; None if it is not there, or not there for them."""
        if isinstance(principal, Application):
            return principal.role if principal.project_id == project_id else None
        row = await self._look_up(
            ("role", principal.user_id, project_id),
            lambda: access.find_role(self._pool, project_id, principal.user_id),
        )
        if row is None:
            return None
        if principal.is_superuser:
            return Role.SUPERUSER
        if row["is_owner"]:
            return Role.OWNER
        return ROLE_LEVELS[row["role_level"]] if row["role_level"] else None

    async def _look_up(self, key: tuple[str, ...], query: Callable[[], Awaitable[Any]]) -> Any:
        kept = self._kept.get(key)
        if (
            kept is not None
            and kept.generation == self._generation
            and (self._hearing() or time.monotonic() - kept.at < UNHEARD_TTL_S)
        ):
            self._kept.move_to_end(key)
            return kept.value
        generation, at = self._generation, time.monotonic()
        try:
            if kept is None:
                value = await query()
            else:
                value = await self._asked(key, query)
        except DATABASE_AWAY:
            # Reads go on while the database is away; nobody can change access then either.
            if kept is not None:
                return kept.value
            raise
        if value is None:
            # Not kept: guesses must not push out what is used.
            self._kept.pop(key, None)
            return None
        self._kept[key] = _Kept(value, generation, at)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_ENTRIES:
            self._kept.popitem(last=False)
        return value

    async def _asked(self, key: tuple[str, ...], query: Callable[[], Awaitable[Any]]) -> Any:
        """What `query` finds. One question at a time for each caller whom we knew, so that they do
        not take every connection."""
        place = key, self._generation
        task = self._asking.get(place)
        if task is None:
            task = self._asking[place] = asyncio.ensure_future(_run(query))
            task.add_done_callback(lambda ended: self._answered(place, ended))
        return await asyncio.shield(task)

    def _answered(self, place: tuple[tuple[str, ...], int], task: asyncio.Task[Any]) -> None:
        del self._asking[place]
        if not task.cancelled():
            task.exception()  # perhaps nobody waits any more


async def _run(query: Callable[[], Awaitable[Any]]) -> Any:
    return await query()
