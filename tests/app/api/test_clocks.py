"""Goal: a clock that is wrong, or was, keeps nobody out and lets nobody in.

What the times of the log do is shown in tests/properties; jumps of the processes' clocks under load
in tests/faults.
"""

from __future__ import annotations

import json

import pytest

from app.services import SERVICES
from tests.faults.cluster import FAKETIME
from tests.support.processes import Command
from tests.support.service import EMAIL, Client, Service

FIVE_HOURS_AHEAD = {
    "LD_PRELOAD": str(FAKETIME),
    "FAKETIME": "+5h",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
}


async def test_after_the_databases_clock_went_back_everybody_may_sign_in(
    service: Service, admin: Client
) -> None:
    """Whose address had been seen while it was a day ahead was told to wait for a day."""
    await service.app[SERVICES].pool.execute(
        "UPDATE login_attempts SET full_at = full_at + interval '1 day'"
    )
    await service.anonymous.sign_in()
    # And guesses are counted as ever.
    wrong = {"email": EMAIL, "password": "a wrong one for sure"}
    guesses = [await service.anonymous("POST", "/v1/auth/login", json=wrong) for _ in range(6)]
    assert [guess.status for guess in guesses] == [401] * 5 + [429]


@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed")
async def test_a_grace_lasts_where_the_databases_clock_is_another(
    service: Service, started: list[Command]
) -> None:
    """It was set by the database's clock and judged by the web process's: an hour was over at once,
    or lasted six."""
    settings = service.settings
    environ = {
        "DATABASE_URL": settings.require_database_url(),
        "NATS_URL": settings.require_nats_url(),
        "GUARDIAN_STREAM": settings.stream,
        "GUARDIAN_PORT": "0",
        "GUARDIAN_SECRET_KEY": settings.require_secret_key(),
    }
    started.append(Command("web", "--embedded", environ=environ | FIVE_HOURS_AHEAD))
    said = json.loads(started[-1].wait_for('"event":"listening"'))
    ahead = Client(service.anonymous.session, f"http://{said['address']}")
    admin = await ahead.sign_in()
    project, first = await service.project(admin)
    answer = await admin("POST", f"{project}/api-key", json={"grace_seconds": 3600})
    for key in (first, answer.json["api_key"]):
        assert (await ahead.with_headers(**{"X-API-Key": key})("GET", project)).status == 200
