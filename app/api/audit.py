"""The audit log proves itself: the walk of a project's hash chain, on request."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from app.access.principal import Application, Permission
from app.api.access import project_access
from app.api.reads import TIMEOUT, reach
from app.api.requests import TENANT, check_query, json_response
from app.errors import NotAllowed
from app.services import SERVICES
from projections.audit_verify import verify_project


async def verify(request: web.Request) -> web.Response:
    """Walk the whole chain of a project; the first bad revision, if there is one."""
    access = await project_access(request, Permission.READ)
    check_query(request, TIMEOUT)
    if isinstance(access.principal, Application) and access.principal.prefix is not None:
        raise NotAllowed(
            "viewer of the whole project",
            "the chain runs through all configs: a key with a prefix may not see it",
        )
    await reach(request)
    services = request.app[SERVICES]
    turn = services.audit_walks.hold(request[TENANT])
    async with turn, services.pool.acquire() as connection:
        verdict = await verify_project(connection, access.project_id)
    body = asdict(verdict)
    if verdict.first_bad is None:
        del body["first_bad"]
    return json_response(body)


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.get("/v1/projects/{project}/audit/verify", verify, allow_head=False)]
