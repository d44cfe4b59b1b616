"""Goal: 503 says "nothing was changed" only where that is certain.

Method: what was asked of PostgreSQL waits there for a transaction of ours, the way back falls
silent and the answer is 503; then the transaction is rolled back, and it is done.
"""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from app.services import SERVICES
from consensus.log import AppendOutcomeUnknown
from tests.consensus.contract import eventually
from tests.projections.test_silent_database import proxied
from tests.support.rows import insert_user
from tests.support.service import Answer, Client, Service, run_service, settings_for

MADE = "made@example.com"


async def test_what_is_done_after_its_answer_was_given_up_is_not_told_as_not_done(
    database_url: str, nats_url: str, stream_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL, frozen and continued 20 times: 25 users were there whose making had been answered
    503, of which /problems/unavailable says that nothing was changed."""
    monkeypatch.setattr("projections.follower.CHECK_INTERVAL_S", 0.1)
    monkeypatch.setattr("projections.follower.ANSWER_TIMEOUT_S", 0.3)
    there = await asyncpg.connect(database_url)
    async with (
        proxied(database_url) as (proxy, url),
        run_service(settings_for(url, nats_url, stream_name)) as service,
    ):
        admin = await service.anonymous.sign_in()
        # Not a lock of the table, for which who only plans the statement would wait already.
        other = there.transaction()
        await other.start()
        await insert_user(there, MADE.removesuffix("@example.com"))
        making = asyncio.create_task(_make(admin, MADE))
        await eventually(lambda: _waits(there))
        proxy.swallow()
        answer = await making
        await other.rollback()
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert answer.json["type"] == "/problems/outcome-unknown"
        assert "not known" in answer.json["detail"]
        await eventually(lambda: _is_made(there))
    await there.close()


async def _make(admin: Client, email: str) -> Answer:
    body = {"email": email, "password": "correct horse battery"}
    return await admin("POST", "/v1/users", json=body)


async def _waits(there: asyncpg.Connection) -> bool:
    return bool(
        await there.fetchval(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE NOT granted AND locktype = 'transactionid' AND datname = current_database()"
        )
    )


async def _is_made(there: asyncpg.Connection) -> bool:
    return bool(await there.fetchval("SELECT count(*) FROM users WHERE email = $1", MADE))


async def test_a_change_that_is_ended_for_its_time_is_not_told_as_not_done(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web process that was stopped for longer than a request may take ended it before it read
    that it was committed."""
    service.projector_task.cancel()
    monkeypatch.setattr("app.api.middleware.HANDLER_TIMEOUT_S", 0.5)
    answer = await admin("PUT", f"{configs}/a", json={"content": 1, "version": 0})
    assert answer.status == 202, answer.body
    assert answer.headers["Location"] == f"/v1/changes/{answer.json['id']}"
    assert (await service.log.status()).last_position > 0


async def test_a_change_whose_append_was_not_answered_is_told_once_it_is_applied(
    service: Service, admin: Client, configs: str
) -> None:
    log = service.app[SERVICES].log
    append = log.append

    async def unanswered(message_id: str, data: bytes, *, timeout: float) -> int:
        await append(message_id, data, timeout=timeout)
        raise AppendOutcomeUnknown("the leader fell silent")

    log.append = unanswered  # type: ignore[method-assign]
    made = await admin("PUT", f"{configs}/a", json={"content": 1, "version": 0})
    assert (made.status, made.json["version"]) == (201, 1)
    late = await admin("PUT", f"{configs}/a", json={"content": 2, "version": 0})
    assert (late.status, late.json["current_version"]) == (409, 1)


async def test_what_is_asked_before_anything_is_changed_is_told_as_not_done(
    admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionRefusedError("as the test asked for")

    body = {"email": "u@example.org", "password": "a password"}
    for place, method, path in (
        ("app.api.sessions._checked_user", "POST", "/v1/auth/login"),
        ("app.api.access._find_caller", "PUT", f"{configs}/a"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, away)
            answer = await admin(method, path, json=body)
        assert (answer.status, answer.json["type"]) == (503, "/problems/unavailable")
        assert answer.json["detail"] == "the database is away; nothing was changed"
