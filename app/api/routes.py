"""All routes of the HTTP API, in one list."""

from __future__ import annotations

from aiohttp import web

from app.api import (
    audit,
    changes,
    cluster,
    configs,
    docs,
    keys,
    members,
    metrics,
    openapi,
    pages,
    patches,
    problem_pages,
    projects,
    revisions,
    rollbacks,
    schemas,
    sessions,
    users,
    watch,
)


def all_routes() -> list[web.RouteDef]:
    """Every route, each by its module."""
    # aiohttp tries the routes of a prefix in this order: what is asked most comes first.
    modules = (
        configs,
        sessions,
        users,
        projects,
        keys,
        members,
        schemas,
        patches,
        changes,
        rollbacks,
        revisions,
        watch,
        audit,
        cluster,
        metrics,
        openapi,
        docs,
        problem_pages,
        pages,
    )
    return [route for module in modules for route in module.routes()]
