"""All routes of the HTTP API, in one list."""

from __future__ import annotations

from aiohttp import web

from app.api import cluster, configs, projects, revisions, sessions


def all_routes() -> list[web.RouteDef]:
    """Every route, each by its module."""
    modules = (sessions, projects, configs, revisions, cluster)
    return [route for module in modules for route in module.routes()]
