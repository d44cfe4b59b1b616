"""`/openapi.json`: the whole API in one document (OpenAPI 3.1), kept by hand beside the routes.

A test proves that routes and document agree, both ways, and another that every answer of the
running service is one that is described here.
"""

from __future__ import annotations

from functools import cache

import orjson
from aiohttp import web

from app.api.openapi import access, configs, others
from app.api.openapi.components import HEADERS, SCHEMAS
from app.api.openapi.model import Json, Operation

OPERATIONS: tuple[Operation, ...] = (
    *access.OPERATIONS,
    *configs.OPERATIONS,
    *others.OPERATIONS,
)

_ABOUT = """\
Versioned configs, committed through Raft before they count.

Refusals are problems (RFC 9457): `type` names a page that says what to do. A project that the
caller may not see answers 404. Every answer carries `X-Request-Id`. `Guardian-Position` of an
answer, sent back as `Guardian-Min-Position`, gives read-your-writes on any process. An `Expect`
other than `100-continue` is answered 417, whatever is asked for.
"""


@cache
def document() -> Json:
    """The document. Shared: not to be changed."""
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = operation.as_json()
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": "Config Guardian", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in OPERATIONS)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "headers": HEADERS,
            "schemas": SCHEMAS,
        },
    }


@cache
def _body() -> bytes:
    return orjson.dumps(document())


async def openapi(request: web.Request) -> web.Response:
    """The document."""
    return web.Response(body=_body(), content_type="application/json")


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.get("/openapi.json", openapi)]
