"""Who is calling, for a handler: the middleware's side of `app.access`.

Every handler of a project's routes goes through `project_access`; nothing else decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from app.access.principal import Application, Permission, Principal, Role, User
from app.api.requests import ASK_AGAIN, TENANT
from app.errors import NotAllowed, NotFound, NotSignedIn
from app.pool import before_any_change
from app.services import SERVICES

CALLER: web.RequestKey[Principal] = web.RequestKey("caller")
"""Who sent the request, once that is known; for the log, and so that it is counted once."""
PROJECT: web.RequestKey[str] = web.RequestKey("project", str)
"""The project that the caller was let into."""


@dataclass(frozen=True, slots=True)
class Access:
    """A caller in one project."""

    principal: Principal
    project_id: str
    role: Role

    def require_key(self, key: str) -> None:
        """Refuse a config that a key's prefix does not reach; it does not exist for it."""
        if not self.sees(key):
            raise NotFound("there is no such config")

    def sees(self, key: str) -> bool:
        """Whether the caller may know of this config."""
        if isinstance(self.principal, Application) and self.principal.prefix is not None:
            return key.startswith(self.principal.prefix)
        return True


async def caller(request: web.Request) -> Principal:
    """Who sent the request.

    Raises NotSignedIn, CredentialsRefused, TooManyRequests, Unavailable.
    """
    services = request.app[SERVICES]
    principal = await before_any_change(_find_caller(request))
    # A watch asks again and again for one request.
    if CALLER not in request:
        services.caller_rate.count(principal)
        if isinstance(principal, Application):
            services.upkeep.used(principal)
    request[CALLER] = principal
    request[TENANT] = principal.tenant
    request[ASK_AGAIN] = caller
    return principal


async def _find_caller(request: web.Request) -> Principal:
    directory = request.app[SERVICES].directory
    key = request.headers.get("X-API-Key")
    authorization = request.headers.get("Authorization")
    if key is not None and authorization is not None:
        raise NotSignedIn("send either Authorization or X-API-Key, not both")
    if key is not None:
        return await directory.application_of_key(key)
    if authorization is None:
        raise NotSignedIn("send Authorization: Bearer <access token> or X-API-Key: <key>")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn("the Authorization header must be: Bearer <access token>")
    return await directory.user_of_token(token.strip())


async def signed_in_user(request: web.Request) -> User:
    """The person who sent the request; an application's key is not enough."""
    principal = await caller(request)
    if not isinstance(principal, User):
        raise NotAllowed("signed-in user", "this needs a signed-in user; a key is not enough")
    return principal


async def superuser(request: web.Request) -> User:
    """The superuser who sent the request."""
    user = await signed_in_user(request)
    if not user.is_superuser:
        raise NotAllowed(Role.SUPERUSER.label, "this needs a superuser")
    request[ASK_AGAIN] = superuser
    return user


async def project_access(request: web.Request, permission: Permission) -> Access:
    """The caller in the route's project, if they may do this there.

    A project that they have no role in does not exist for them: NotFound, not NotAllowed.
    """
    principal = await caller(request)
    project_id = request.match_info["project"]
    role = await before_any_change(request.app[SERVICES].directory.role_in(principal, project_id))
    if role is None:
        raise NotFound("there is no such project")
    if role < permission:
        raise NotAllowed(Role(permission).label)
    if isinstance(principal, Application) and permission > Permission.CHANGE:
        raise NotAllowed(Role(permission).label)
    request[PROJECT] = project_id
    ask_again: Callable[..., Awaitable[object]] = partial(project_access, permission=permission)
    request[ASK_AGAIN] = ask_again
    return Access(principal, project_id, role)
