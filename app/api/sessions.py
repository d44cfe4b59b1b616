"""Sign-in, and who is signed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import uuid6
from aiohttp import web

from app.access.principal import Application, User
from app.access.tokens import ACCESS_TOKEN_LIFETIME, issue_access_token, new_refresh_token
from app.api.access import caller
from app.api.requests import json_response, read_object
from app.errors import NotSignedIn
from app.services import SERVICES
from app.tables import users

REFRESH_LIFETIME = timedelta(days=30)


async def login(request: web.Request) -> web.Response:
    """Sign in by address and password."""
    services = request.app[SERVICES]
    body = await read_object(request, "email", "password", "cookie")
    email = users.normalise_email(body.text("email", longest=320))
    row = await users.find_by_email(services.pool, email)
    # The same work and the same answer whether the account is there or not.
    check = await services.passwords.verify_password(
        row["password_hash"] if row else None, body.text("password", longest=10_000)
    )
    if row is None or not check.ok or row["disabled"]:
        raise NotSignedIn("the address or the password is wrong")
    now = datetime.now(UTC)
    family_id = str(uuid6.uuid7())
    refresh = new_refresh_token()
    await users.add_refresh_token(
        services.pool,
        str(uuid6.uuid7()),
        family_id,
        row["id"],
        refresh.hash,
        now + REFRESH_LIFETIME,
    )
    token = issue_access_token(
        services.ring,
        user_id=row["id"],
        session_id=family_id,
        password_generation=row["password_generation"],
        now=now,
    )
    return json_response(
        {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            "refresh_token": refresh.plain,
        },
        headers={"Cache-Control": "no-store"},
    )


async def me(request: web.Request) -> web.Response:
    """Who the caller is."""
    principal = await caller(request)
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


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.post("/v1/auth/login", login), web.get("/v1/me", me)]
