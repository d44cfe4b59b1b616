"""Goal: who was known before is let in at once where the database is cut off and says nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.access import directory as directory_module
from app.access.directory import Directory
from app.access.principal import Role, User
from app.tables import access

USER = User("u", "u@example.org", False, "s")


async def test_a_database_that_says_nothing_keeps_nobody_waiting_who_was_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    questions = 0

    async def find_role(*_: object) -> dict[str, Any]:
        nonlocal questions
        questions += 1
        return await answers.get()

    monkeypatch.setattr(access, "find_role", find_role)
    monkeypatch.setattr(directory_module, "SILENT_S", 0.01)
    hearing = True
    nothing: Any = None
    directory = Directory(nothing, nothing, lambda: hearing)
    answers.put_nowait({"is_owner": True, "role_level": None})
    assert await directory.role_in(USER, "p") is Role.OWNER

    directory.invalidate()
    early = asyncio.ensure_future(directory.role_in(USER, "p"))
    await asyncio.sleep(0)
    assert not early.done()  # it is heard of, so what it says now is waited for
    hearing = False
    async with asyncio.timeout(10):
        found = await asyncio.gather(early, *(directory.role_in(USER, "p") for _ in range(50)))
    assert set(found) == {Role.OWNER}
    assert questions == 2  # not one for each request

    hearing = True
    answers.put_nowait({"is_owner": False, "role_level": "viewer"})
    assert await directory.role_in(USER, "p") is Role.VIEWER
