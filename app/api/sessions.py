"""Sign-in, its renewal and its end, and who is signed in.

A browser asks for its refresh token as a cookie, which no script can read and which is sent to
/v1/auth only; every use of it is checked against cross-site requests.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from app.access import sessions
from app.access.directory import CredentialsRefused
from app.access.passwords import PasswordRefused
from app.access.principal import Application, User
from app.access.sessions import REFRESH_LIFETIME, Tokens
from app.access.tokens import ACCESS_TOKEN_LIFETIME
from app.api.access import caller, signed_in_user
from app.api.client_address import client_address, is_https
from app.api.requests import Members, check_query, json_response, read_object
from app.api.same_origin import require_same_origin
from app.errors import InvalidParameter, NotSignedIn
from app.pool import before_any_change
from app.services import SERVICES
from app.tables import sessions as session_rows
from app.tables import users

COOKIE = "guardian_refresh"
COOKIE_PATH = "/v1/auth"
MAX_GIVEN_PASSWORD = 10_000
"""Longer than any that can be set, so that a wrong one is told nothing but that it is wrong."""


async def login(request: web.Request) -> web.Response:
    """Sign in by address and password."""
    services = request.app[SERVICES]
    check_query(request)
    body = await read_object(request, "email", "password", "cookie")
    email = users.normalise_email(body.text("email", longest=users.MAX_EMAIL))
    password = body.text("password", longest=MAX_GIVEN_PASSWORD)
    cookie = body.boolean("cookie", False)
    if cookie:
        # Or another site signs its visitor in as somebody else.
        require_same_origin(request)
    row = await before_any_change(_checked_user(request, email, password))
    if row is None:
        raise NotSignedIn("the address or the password is wrong")
    async with services.pool.acquire() as connection, connection.transaction():
        tokens = await sessions.start(
            connection, services.ring, row["id"], row["password_generation"], cookie=cookie
        )
    return _token_response(request, tokens)


async def refresh(request: web.Request) -> web.Response:
    """Exchange a refresh token for the next one and a new access token."""
    services = request.app[SERVICES]
    check_query(request)
    body = await read_object(request, "refresh_token", "cookie")
    plain = body.text("refresh_token", None)
    from_cookie = plain is None
    if plain is None:
        plain = _cookie(request)
    elif body.boolean("cookie", False):
        raise InvalidParameter("cookie", "either the cookie or refresh_token, not both")
    if plain is None:
        raise NotSignedIn("send the refresh token, in the body or as the cookie")
    tokens = await sessions.renew(
        services.pool, services.ring, services.directory, plain, from_cookie=from_cookie
    )
    return _token_response(request, tokens)


async def logout(request: web.Request) -> web.Response:
    """End the sign-in that the request shows: by its refresh token, cookie or access token."""
    services = request.app[SERVICES]
    check_query(request)
    body = (
        await read_object(request, "refresh_token")
        if request.can_read_body
        else Members({}, ("refresh_token",))
    )
    ended = False
    for plain in (body.text("refresh_token", None), _cookie(request)):
        if plain is not None:
            ended |= await sessions.end(services.pool, services.directory, plain)
    if "Authorization" in request.headers:
        try:
            user = await signed_in_user(request)
            await sessions.end_session(
                services.pool, services.directory, user.user_id, user.session_id
            )
            ended = True
        except CredentialsRefused:
            # Run out, as they do every few minutes: what the cookie named has ended all the same.
            if not ended:
                raise
    if not ended:
        raise NotSignedIn("there is no session to end")
    response = web.Response(status=204)
    _set_cookie(request, response, "", 0)
    return response


async def change_password(request: web.Request) -> web.Response:
    """Set a new password; every sign-in of the user ends, and this one goes on with new tokens."""
    services = request.app[SERVICES]
    user = await signed_in_user(request)
    check_query(request)
    body = await read_object(request, "current_password", "new_password")
    current = body.text("current_password", longest=MAX_GIVEN_PASSWORD)
    new = body.text("new_password", longest=MAX_GIVEN_PASSWORD)
    row = await before_any_change(_checked_user(request, user.email, current))
    if row is None:
        # Not 401: the session is good, and a client must not renew it and ask again.
        raise PasswordRefused("the current password is wrong")
    password_hash = await services.passwords.hash_password(new)
    async with services.pool.acquire() as connection, connection.transaction():
        cookie = await session_rows.is_cookie(connection, user.session_id)
        generation = await users.change_password(
            connection, user.user_id, password_hash, row["password_generation"]
        )
        if generation is None:
            raise NotSignedIn("the password was changed by another request just now")
        await session_rows.end_user(connection, user.user_id)
        tokens = await sessions.start(
            connection, services.ring, user.user_id, generation, cookie=cookie
        )
    services.directory.invalidate()
    return _token_response(request, tokens)


async def me(request: web.Request) -> web.Response:
    """Who the caller is."""
    principal = await caller(request)
    check_query(request)
    if isinstance(principal, User):
        return json_response(
            {
                "kind": "user",
                "id": principal.user_id,
                "email": principal.email,
                "is_superuser": principal.is_superuser,
            }
        )
    assert isinstance(principal, Application)
    return json_response(
        {
            "kind": "application",
            "id": principal.key_id,
            "name": principal.key_name,
            "project_id": principal.project_id,
            "role_level": principal.role.label,
            "prefix": principal.prefix,
        }
    )


async def _checked_user(request: web.Request, email: str, password: str) -> Any:
    """The user of this address, None unless this is their password. Raises TooManyRequests."""
    services = request.app[SERVICES]
    attempt = await services.sign_in_throttle.count(email, client_address(request))
    row = await users.find_by_email(services.pool, email)
    # The same work and the same answer whether the account is there or not.
    check = await services.passwords.verify_password(
        row["password_hash"] if row else None, password
    )
    if row is None or not check.ok or row["disabled"]:
        return None
    await services.sign_in_throttle.succeeded(attempt)
    if check.needs_rehash:
        newer = await services.passwords.hash_password(password)
        await users.replace_hash(services.pool, row["id"], row["password_hash"], newer)
    return row


def _token_response(request: web.Request, tokens: Tokens) -> web.Response:
    body = {
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
    }
    if not tokens.cookie:
        body["refresh_token"] = tokens.refresh
    response = json_response(body, headers={"Cache-Control": "no-store"})
    if tokens.cookie:
        _set_cookie(request, response, tokens.refresh, int(REFRESH_LIFETIME.total_seconds()))
    return response


def _cookie(request: web.Request) -> str | None:
    """The refresh token in the cookie, if a page of our own sent it. Raises CrossSiteRequest."""
    plain = request.cookies.get(COOKIE)
    if plain:
        require_same_origin(request)
    return plain or None


def _set_cookie(request: web.Request, response: web.Response, value: str, max_age_s: int) -> None:
    response.set_cookie(
        COOKIE,
        value,
        max_age=max_age_s,
        path=COOKIE_PATH,
        httponly=True,
        samesite="Strict",
        secure=is_https(request, request.app[SERVICES].settings),
    )


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [
        web.post("/v1/auth/login", login),
        web.post("/v1/auth/refresh", refresh),
        web.post("/v1/auth/logout", logout),
        web.get("/v1/me", me),
        web.put("/v1/me/password", change_password),
    ]
