"""Goal: a session lasts as long as it should and not a moment longer, in every web process."""

from __future__ import annotations

import asyncio
from http.cookies import Morsel, SimpleCookie
from typing import Any

import argon2
import asyncpg
import pytest

from app.access import sessions
from app.access.passwords import CHEAP_PARAMETERS, PasswordHashing
from app.api.sessions import COOKIE
from app.services import SERVICES
from app.tables import sessions as session_rows
from app.tables import users
from tests.support.service import EMAIL, PASSWORD, Answer, Client, Service, run_web

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
NEW_PASSWORD = "an even longer horse battery"


async def login(client: Client, **extra: Any) -> Answer:
    body = {"email": EMAIL, "password": PASSWORD, **extra}
    return await client("POST", "/v1/auth/login", json=body)


async def renew(client: Client, refresh_token: str) -> Answer:
    return await client("POST", "/v1/auth/refresh", json={"refresh_token": refresh_token})


def bearer(client: Client, answer: Answer) -> Client:
    return client.with_headers(Authorization=f"Bearer {answer.json['access_token']}")


def cookie_of(answer: Answer) -> Morsel[str]:
    return SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]


def cookie_header(answer: Answer) -> dict[str, str]:
    """What a browser sends to /v1/auth after this answer."""
    return {"Cookie": f"{COOKIE}={cookie_of(answer).value}"}


async def test_a_refresh_token_rotates_and_a_second_use_ends_its_family(
    service: Service,
) -> None:
    client = service.anonymous
    first = await login(client)
    second = await renew(client, first.json["refresh_token"])
    assert second.status == 200
    assert second.headers["Cache-Control"] == "no-store"
    assert (await bearer(client, second)("GET", "/v1/me")).status == 200
    other = await login(client)

    again = await renew(client, first.json["refresh_token"])
    assert (again.status, again.json["type"]) == (401, "/problems/not-signed-in")
    assert (await renew(client, second.json["refresh_token"])).status == 401
    assert (await bearer(client, second)("GET", "/v1/me")).status == 401
    # Another sign-in of the same user is another family.
    assert (await renew(client, other.json["refresh_token"])).status == 200


async def test_two_who_bring_a_token_at_once_end_the_family(service: Service) -> None:
    token = (await login(service.anonymous)).json["refresh_token"]
    answers = await asyncio.gather(*(renew(service.anonymous, token) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]
    won = next(answer for answer in answers if answer.status == 200)
    assert (await renew(service.anonymous, won.json["refresh_token"])).status == 401


async def test_a_browser_gets_its_refresh_token_as_a_cookie_only(service: Service) -> None:
    client = service.anonymous
    answer = await login(client, cookie=True)
    assert set(answer.json) == {"access_token", "token_type", "expires_in"}
    morsel = cookie_of(answer)
    assert morsel.value not in answer.body.decode()
    assert morsel["httponly"]
    assert (morsel["samesite"], morsel["path"], morsel["secure"]) == ("Strict", "/v1/auth", "")

    headers = cookie_header(answer) | SAME_ORIGIN
    renewed = await client("POST", "/v1/auth/refresh", json={"cookie": True}, headers=headers)
    assert renewed.status == 200, renewed.body
    assert "refresh_token" not in renewed.json
    assert cookie_of(renewed).value != morsel.value
    # What a thief read out of the browser is of no use in a body, where a script sees the answer.
    assert (await renew(client, cookie_of(renewed).value)).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=lambda headers: "-".join(*headers.items()),
)
@pytest.mark.parametrize("path", ["/v1/auth/refresh", "/v1/auth/logout"])
async def test_another_sites_page_cannot_use_the_cookie(
    service: Service, path: str, headers: dict[str, str]
) -> None:
    client = service.anonymous
    cookie = cookie_header(await login(client, cookie=True))
    refused = await client("POST", path, json={}, headers=headers | cookie)
    assert (refused.status, refused.json["type"]) == (403, "/problems/cross-site-request")
    allowed = await client("POST", path, json={}, headers=SAME_ORIGIN | cookie)
    assert allowed.status in (200, 204)


async def test_signing_out_ends_the_session_and_clears_the_cookie(service: Service) -> None:
    client = service.anonymous
    session = await login(client, cookie=True)
    headers = {"Origin": client.base_url} | cookie_header(session)
    ended = await bearer(client, session)("POST", "/v1/auth/logout", json={}, headers=headers)
    assert (ended.status, cookie_of(ended).value, cookie_of(ended)["max-age"]) == (204, "", "0")
    assert (await bearer(client, session)("GET", "/v1/me")).status == 401
    assert (await client("POST", "/v1/auth/logout")).status == 401


async def test_a_new_password_ends_every_session_and_gives_this_one_new_tokens(
    service: Service,
) -> None:
    client = service.anonymous
    mine, other = await login(client), await login(client)
    wrong = await bearer(client, mine)(
        "PUT",
        "/v1/me/password",
        json={"current_password": "not the one at all", "new_password": NEW_PASSWORD},
    )
    assert (wrong.status, wrong.json["type"]) == (422, "/problems/password-refused")
    changed = await bearer(client, mine)(
        "PUT",
        "/v1/me/password",
        json={"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    )
    assert changed.status == 200, changed.body
    assert (await bearer(client, changed)("GET", "/v1/me")).status == 200
    assert (await renew(client, changed.json["refresh_token"])).status == 200
    for old in (mine, other):
        assert (await bearer(client, old)("GET", "/v1/me")).status == 401
        assert (await renew(client, old.json["refresh_token"])).status == 401
    assert (await login(client)).status == 401
    assert (await login(client, password=NEW_PASSWORD)).status == 200


async def test_a_cookie_session_goes_on_by_cookie_after_a_new_password(service: Service) -> None:
    client = service.anonymous
    mine = await login(client, cookie=True)
    changed = await bearer(client, mine)(
        "PUT",
        "/v1/me/password",
        json={"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    )
    assert "refresh_token" not in changed.json
    headers = cookie_header(changed) | SAME_ORIGIN
    renewed = await client("POST", "/v1/auth/refresh", json={}, headers=headers)
    assert renewed.status == 200, renewed.body


async def test_a_hash_of_older_parameters_is_made_anew_at_sign_in(
    service: Service, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        old = PasswordHashing(CHEAP_PARAMETERS).hash_password(PASSWORD)
        await connection.execute("UPDATE users SET password_hash = $1", old)
        async with run_web(service.settings, PasswordHashing()) as (_, url):
            session = await login(Client(service.anonymous.session, url))
        stored = await connection.fetchval("SELECT password_hash FROM users")
        assert argon2.extract_parameters(stored).memory_cost > CHEAP_PARAMETERS.memory_cost
        # It is the same password: nobody is signed out by that.
        assert (await bearer(service.anonymous, session)("GET", "/v1/me")).status == 200
    finally:
        await connection.close()


async def test_guessing_is_slowed_down_in_every_process_alike_for_accounts_that_do_not_exist(
    service: Service,
) -> None:
    async with run_web(service.settings) as (_, second_url):
        second = Client(service.anonymous.session, second_url)
        for email in (EMAIL, "nobody@example.org"):
            answers = [
                await client(
                    "POST", "/v1/auth/login", json={"email": email, "password": "wrong" * 3}
                )
                for client in (service.anonymous, second) * 3
            ]
            assert [answer.status for answer in answers] == [401] * 5 + [429]
            assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
            assert len({answer.json["detail"] for answer in answers[:5]}) == 1
    # The right password does not help while the guessing goes on from this address …
    assert (await login(service.anonymous)).status == 429


async def test_guesses_at_once_are_all_counted(service: Service) -> None:
    wrong = {"email": EMAIL, "password": "wrong" * 3}
    answers = await asyncio.gather(
        *(service.anonymous("POST", "/v1/auth/login", json=wrong) for _ in range(12))
    )
    assert sorted(answer.status for answer in answers) == [401] * 5 + [429] * 7


async def test_right_passwords_are_never_throttled(service: Service) -> None:
    for _ in range(7):
        assert (await login(service.anonymous)).status == 200


async def test_unknown_accounts_and_wrong_passwords_cost_the_same_work(service: Service) -> None:
    """Goal: the time of the answer tells nothing. Method: record what is hashed, not the clock."""
    pool = service.app[SERVICES].passwords
    work: list[tuple[str, int]] = []
    verify = pool._hashing._hasher.verify

    class Recording:
        def verify(self, stored: str | bytes, given: str | bytes) -> bool:
            work.append((str(argon2.extract_parameters(str(stored))), len(given)))
            return verify(stored, given)

    pool._hashing._hasher = Recording()  # type: ignore[assignment]
    for email in (EMAIL, "nobody@example.org"):
        body = {"email": email, "password": "w" * 7 + "rong" * 3}
        answer = await service.anonymous("POST", "/v1/auth/login", json=body)
        assert answer.status == 401
    assert len(work) == 2
    assert work[0] == work[1]


async def test_a_change_of_password_is_known_to_the_other_processes(service: Service) -> None:
    """Within a second, by what the database tells; the test waits for the telling."""
    async with run_web(service.settings) as (app, second_url):
        session = await login(service.anonymous)
        second = bearer(Client(service.anonymous.session, second_url), session)
        assert (await second("GET", "/v1/me")).status == 200
        heard = asyncio.Event()
        app[SERVICES].directory.on_change(heard.set)
        await bearer(service.anonymous, session)("POST", "/v1/auth/logout")
        async with asyncio.timeout(1.0):
            await heard.wait()
        assert (await second("GET", "/v1/me")).status == 401


async def until_somebody_waits_for_a_row(service: Service) -> None:
    """Return when a session of PostgreSQL waits for a lock that another one holds."""
    waiting = """
        SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock')
    """
    async with asyncio.timeout(10):
        while not await service.app[SERVICES].pool.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _sign_out(admin: Client, thief: Client, used: str) -> Answer:
    return await thief("POST", "/v1/auth/logout", json={})


async def _sign_out_by_refresh_token(admin: Client, thief: Client, used: str) -> Answer:
    return await thief.with_headers()("POST", "/v1/auth/logout", json={"refresh_token": used})


async def _bring_a_used_token(admin: Client, thief: Client, used: str) -> Answer:
    return await renew(thief, used)


async def _change_password(admin: Client, thief: Client, used: str) -> Answer:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return await admin("PUT", "/v1/me/password", json=body)


async def _reset_password(admin: Client, thief: Client, used: str) -> Answer:
    me = (await admin("GET", "/v1/me")).json["id"]
    return await admin("PATCH", f"/v1/users/{me}", json={"password": NEW_PASSWORD})


ENDS = [
    _sign_out,
    _sign_out_by_refresh_token,
    _bring_a_used_token,
    _change_password,
    _reset_password,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.strip("_"))
async def test_a_session_that_is_renewed_while_it_is_ended_is_ended(
    service: Service, monkeypatch: pytest.MonkeyPatch, end: Any
) -> None:
    """Method: the renewal is held just before it adds its token, until the end waits for it."""
    client = service.anonymous
    admin = bearer(client, await login(client))
    first = await login(client)
    second = await renew(client, first.json["refresh_token"])
    add_token, renewing, go_on = session_rows.add_token, asyncio.Event(), asyncio.Event()

    async def held(*args: Any) -> None:
        if not renewing.is_set():
            renewing.set()
            await go_on.wait()
        await add_token(*args)

    monkeypatch.setattr(session_rows, "add_token", held)
    third = asyncio.create_task(renew(client, second.json["refresh_token"]))
    await renewing.wait()
    ending = asyncio.create_task(end(admin, bearer(client, second), first.json["refresh_token"]))
    await until_somebody_waits_for_a_row(service)
    go_on.set()
    assert (await ending).status in (200, 204, 401)
    renewed = await third
    if renewed.status == 200:
        assert (await bearer(client, renewed)("GET", "/v1/me")).status == 401
        assert (await renew(client, renewed.json["refresh_token"])).status == 401


@pytest.mark.parametrize("change", ["password", "disabled"])
async def test_a_sign_in_does_not_outlive_a_change_that_came_first(
    service: Service, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Method: the sign-in is held between the check of its password and its start."""
    client = service.anonymous
    admin = bearer(client, await login(client))
    made = await admin("POST", "/v1/users", json={"email": "v@example.org", "password": PASSWORD})
    start, checked, go_on = sessions.start, asyncio.Event(), asyncio.Event()

    async def held(*args: Any, **options: Any) -> sessions.Tokens:
        checked.set()
        await go_on.wait()
        return await start(*args, **options)

    monkeypatch.setattr(sessions, "start", held)
    signing_in = asyncio.create_task(login(client, email="v@example.org"))
    await checked.wait()
    body = {"password": NEW_PASSWORD} if change == "password" else {"disabled": True}
    assert (await admin("PATCH", f"/v1/users/{made.json['id']}", json=body)).status == 200
    go_on.set()
    assert (await signing_in).status == 401


async def test_a_newer_hash_does_not_bring_an_older_password_back(service: Service) -> None:
    pool = service.app[SERVICES].pool
    user_id = await pool.fetchval("SELECT id FROM users")
    stored = await pool.fetchval("SELECT password_hash FROM users")
    await users.replace_hash(pool, user_id, "the hash that was checked", "its newer form")
    assert await pool.fetchval("SELECT password_hash FROM users") == stored
