"""Goal: who was known before is let in where the database is away, and asked for once at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from app.access import directory as module
from app.access.directory import CredentialsRefused, Directory
from app.access.principal import Role, User
from app.access.tokens import ACCESS_TOKEN_LIFETIME, KeyRing, issue_access_token
from app.tables import access

USER = User("u", "u@example.org", False, "s")


async def test_a_database_that_is_away_locks_nobody_out_who_was_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    away: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    questions = 0

    async def find_role(*_: object) -> dict[str, Any]:
        nonlocal questions
        questions += 1
        if questions == 2:
            await away
        return await answers.get()

    monkeypatch.setattr(access, "find_role", find_role)
    hearing = True
    nothing: Any = None
    directory = Directory(nothing, nothing, lambda: hearing)
    answers.put_nowait({"is_owner": True, "role_level": None})
    assert await directory.role_in(USER, "p") is Role.OWNER

    directory.invalidate()
    asking = [asyncio.ensure_future(directory.role_in(USER, "p")) for _ in range(50)]
    await asyncio.sleep(0)
    impatient = asking.pop()
    impatient.cancel()  # it leaves the question to the others
    await asyncio.wait({impatient})
    assert not any(task.done() for task in asking)
    away.set_exception(TimeoutError())
    async with asyncio.timeout(10):
        assert set(await asyncio.gather(*asking)) == {Role.OWNER}
    assert questions == 2  # not one for each request

    answers.put_nowait({"is_owner": False, "role_level": "viewer"})
    assert await directory.role_in(USER, "p") is Role.VIEWER


async def test_a_token_that_was_good_is_refused_once_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its signature is checked once; whoever goes on using it must not go on for ever."""
    issued = datetime.now(UTC).replace(microsecond=0)
    moments = [issued]

    class Clock(datetime):
        @classmethod
        def now(cls, _zone: tzinfo | None = None) -> Any:
            return moments[-1]

    async def find_session(*_: object) -> dict[str, Any]:
        user = {"id": "u", "email": "u@example.org", "is_superuser": False, "disabled": False}
        return {**user, "signed_in": True, "password_generation": 1}

    monkeypatch.setattr(access, "find_session", find_session)
    monkeypatch.setattr(module, "datetime", Clock)
    ring = KeyRing.parse("a secret key of the tests that is long enough")
    nothing: Any = None
    directory = Directory(nothing, ring, lambda: True)
    token = issue_access_token(ring, user_id="u", session_id="s", password_generation=1, now=issued)
    end = issued + ACCESS_TOKEN_LIFETIME
    assert await directory.user_of_token(token) == USER
    moments.append(end - timedelta(microseconds=1))
    assert await directory.user_of_token(token) == USER
    moments.append(end)
    with pytest.raises(CredentialsRefused):
        await directory.user_of_token(token)
