"""Goal: who was known before is let in where the database is away, and asked for once at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any

import pytest

from app.access import directory as module
from app.access.api_keys import generate_api_key
from app.access.directory import UNHEARD_TTL_S, CredentialsRefused, Directory
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


async def test_who_lost_a_right_while_they_were_looked_up_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [{"is_owner": False, "role_level": "admin"}, {"is_owner": False, "role_level": "viewer"}]
    nothing: Any = None
    directory = Directory(nothing, nothing, lambda: True)

    async def find_role(*_: object) -> dict[str, Any]:
        found = rows.pop(0)
        if rows:
            directory.invalidate()
        return found

    monkeypatch.setattr(access, "find_role", find_role)
    assert await directory.role_in(USER, "p") is Role.ADMIN
    assert await directory.role_in(USER, "p") is Role.VIEWER
    assert await directory.role_in(USER, "p") is Role.VIEWER


async def test_while_nothing_is_heard_what_was_found_is_believed_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    levels = ["admin", "editor", "viewer"]
    now = [1000.0]
    hearing = False

    async def find_role(*_: object) -> dict[str, Any]:
        return {"is_owner": False, "role_level": levels.pop(0)}

    monkeypatch.setattr(access, "find_role", find_role)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[-1]))
    nothing: Any = None
    directory = Directory(nothing, nothing, lambda: hearing)
    for passed, role in (
        (0, Role.ADMIN),
        (0.99, Role.ADMIN),
        (1, Role.EDITOR),
        (1.99, Role.EDITOR),
    ):
        now.append(1000.0 + passed * UNHEARD_TTL_S)
        assert await directory.role_in(USER, "p") is role
    hearing = True
    now.append(2000.0)
    assert await directory.role_in(USER, "p") is Role.EDITOR


def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The directory's clock stands at the last of these."""
    moments = [datetime.now(UTC).replace(microsecond=0)]

    class Clock(datetime):
        @classmethod
        def now(cls, _zone: tzinfo | None = None) -> Any:
            return moments[-1]

    monkeypatch.setattr(module, "datetime", Clock)
    return moments


async def test_a_token_that_was_good_is_refused_once_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its signature is checked once; whoever goes on using it must not go on for ever."""
    moments = clock(monkeypatch)
    issued = moments[-1]

    async def find_session(*_: object) -> dict[str, Any]:
        user = {"id": "u", "email": "u@example.org", "is_superuser": False, "disabled": False}
        return {**user, "signed_in": True, "password_generation": 1}

    monkeypatch.setattr(access, "find_session", find_session)
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


@pytest.mark.parametrize("changed", [{"disabled": True}, {"password_generation": 2}])
async def test_a_token_is_refused_whose_user_is_disabled_or_has_another_password(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    """By itself: not only because what takes the right away ends the sessions too."""
    row = {"id": "u", "email": "u@example.org", "is_superuser": False, "disabled": False}
    row |= {"signed_in": True, "password_generation": 1}

    async def find_session(*_: object) -> dict[str, Any]:
        return row

    monkeypatch.setattr(access, "find_session", find_session)
    ring = KeyRing.parse("a secret key of the tests that is long enough")
    nothing: Any = None
    directory, now = Directory(nothing, ring, lambda: True), datetime.now(UTC)
    token = issue_access_token(ring, user_id="u", session_id="s", password_generation=1, now=now)
    assert await directory.user_of_token(token) == USER
    row |= changed
    directory.invalidate()
    with pytest.raises(CredentialsRefused):
        await directory.user_of_token(token)


async def test_a_guess_is_refused_each_time_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def find_key(*_: object) -> None:
        return None

    monkeypatch.setattr(access, "find_key", find_key)
    nothing: Any = None
    directory, guess = Directory(nothing, nothing, lambda: True), generate_api_key().plain
    for _ in range(2):
        assert directory.known_application(guess) is None
        with pytest.raises(CredentialsRefused):
            await directory.application_of_key(guess)


async def test_a_key_that_was_good_is_not_known_any_more_once_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Most reads ask memory alone."""
    moments, key = clock(monkeypatch), generate_api_key()
    end = moments[-1] + timedelta(days=1)

    async def find_key(*_: object) -> dict[str, Any]:
        row = {"id": "k", "name": "ci", "project_id": "p", "owner_user_id": "u", "prefix": None}
        return {**row, "key_hash": key.hash, "role_level": "viewer", "expires_at": end}

    monkeypatch.setattr(access, "find_key", find_key)
    nothing: Any = None
    hearing = True
    directory = Directory(nothing, nothing, lambda: hearing)
    assert directory.known_application(key.plain) is None
    found = await directory.application_of_key(key.plain)
    moments.append(end - timedelta(microseconds=1))
    assert directory.known_application(key.plain) is found
    hearing = False
    assert directory.known_application(key.plain) is None
    hearing = True
    moments.append(end)
    assert directory.known_application(key.plain) is None
    with pytest.raises(CredentialsRefused):
        await directory.application_of_key(key.plain)
