"""Goal: who was known before is let in where the database is away, and asked for once at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.access.directory import Directory
from app.access.principal import Role, User
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
