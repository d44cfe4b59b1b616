"""JSON Schemas: shared by all or of one project, versioned, and never broken unseen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

import asyncpg
import uuid_utils
from aiohttp import web

from app.access.principal import Principal, Role, User
from app.api.access import caller, signed_in_user
from app.api.entity_tags import etag, parse_etags
from app.api.idempotency import create_once
from app.api.reads import not_modified
from app.api.requests import (
    ASK_AGAIN,
    TENANT,
    Members,
    check_query,
    cursor_of,
    header_of,
    json_response,
    limit_of,
    page,
    query_boolean,
    query_integer,
    read_object,
    read_source,
    text_cursor_of,
)
from app.api.views import breakage_view, schema_view
from app.errors import InvalidParameter, NotAllowed, NotFound
from app.schema_changes import Place, Sees
from app.schema_errors import SchemaMoved
from app.services import SERVICES
from app.tables import schemas
from app.tables.schemas import Schema, Viewer
from domain.errors import ContentTooLarge
from domain.json_document import encode_json
from domain.schema_outcomes import Violation

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
MAX_VERSION = 2**31 - 1
LOOK_S = 0.5
"""How often a waiting request looks whether its client is still there."""
CLIENT_GONE = 499
"""Nobody reads it; as nginx counts it."""


async def list_schemas(request: web.Request) -> web.Response:
    """The schemas that the caller may see; with `project_id`, that project's own."""
    principal = await caller(request)
    check_query(request, "project_id", "limit", "cursor")
    project_id, after = request.query.get("project_id"), text_cursor_of(request)
    if project_id is not None:
        await _role_in(request, principal, project_id)
    found, more = await schemas.list_schemas(
        request.app[SERVICES].pool, _viewer(principal), project_id, after, limit_of(request)
    )
    items = [schema_view(schema, principal) for schema in found]
    return json_response(page(request, items, found[-1].id if more else None))


async def create_schema(request: web.Request) -> web.Response:
    """Store a schema, checked against its meta-schema."""
    user = await signed_in_user(request)
    check_query(request)
    body, text = await _read_schema(request, "name", "schema", "project_id")
    user = await signed_in_user(request)  # as they are behind the body
    name = _name(body.text("name", longest=200))
    project_id = body.text("project_id", None, longest=100)
    if project_id is not None:
        await _require_editor(request, user, project_id)
    services = request.app[SERVICES]
    await services.validators.check_schema(text, tenant=request[TENANT])

    async def create(source: schemas.Source) -> web.Response:
        try:
            schema = await schemas.insert_schema(
                source, str(uuid_utils.uuid7()), name, project_id, text, user.user_id
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("there is no such project any more") from error
        return _answer(schema, user, 201, {"Location": f"/v1/schemas/{schema.id}"})

    return await create_once(request, user, create)


async def get_schema(request: web.Request) -> web.Response:
    """One schema; `?version=n` as it was."""
    principal = await caller(request)
    schema = await _seen(request, principal)
    check_query(request, "version")
    version = query_integer(request, "version", None, 1, MAX_VERSION)
    if version is not None:
        found = await schemas.find_schema_version(request.app[SERVICES].pool, schema.id, version)
        if found is None:
            raise NotFound(f"the schema has no version {version}")
        schema = found
    if not_modified(request, schema.version):
        return web.Response(status=304, headers={"ETag": etag(schema.version)})
    return _answer(schema, principal)


async def put_schema(request: web.Request) -> web.Response:
    """Make the next version, unless live configs would break it."""
    user = await signed_in_user(request)
    schema = await _seen(request, user)
    await _require_change(request, user, schema)
    check_query(request, "force", "dry_run")
    force, dry_run = query_boolean(request, "force"), query_boolean(request, "dry_run")
    expected = _expected_version(request)
    body, text = await _read_schema(request, "name", "schema")
    user = await signed_in_user(request)  # as they are behind the body
    name = _name(body.text("name", longest=200)) if body.has("name") else None
    services, tenant = request.app[SERVICES], request[TENANT]
    await services.validators.check_schema(text, tenant=tenant)
    if dry_run:
        if expected is not None and expected != schema.version:
            raise SchemaMoved(expected, schema.version)
        sees = _sees(request, user)
        impact = await services.schema_changes.impact(schema, text, tenant, sees)
        told = breakage_view(impact.told)
        return json_response({"dry_run": True, "version": schema.version + 1, **told})
    changed = await services.schema_changes.replace(
        schema,
        text,
        user_id=user.user_id,
        tenant=tenant,
        sees=_sees(request, user),
        name=name,
        expected=expected,
        force=force,
    )
    return _answer(changed, user)


async def delete_schema(request: web.Request) -> web.Response:
    """Delete a schema that no live config is bound to."""
    user = await signed_in_user(request)
    schema = await _seen(request, user)
    await _require_change(request, user, schema)
    check_query(request)
    expected = _expected_version(request)
    await request.app[SERVICES].schema_changes.delete(schema, _viewer(user), expected)
    return json_response({"id": schema.id, "deleted": True})


async def validate_content(request: web.Request) -> web.Response:
    """Whether a content holds to the schema; nothing is stored."""
    principal = await caller(request)
    schema = await _seen(request, principal)
    check_query(request)
    services = request.app[SERVICES]
    content = encode_json((await read_object(request, "content", escaped=True)).any("content"))
    if len(content) > services.settings.max_content_bytes:
        raise ContentTooLarge(len(content), services.settings.max_content_bytes)
    violations = await _unless_gone(
        request,
        services.validators.validate(schema.text, content, tenant=request[TENANT]),
    )
    if violations is None:
        return web.Response(status=CLIENT_GONE)
    return json_response({"valid": not violations, "errors": violations})


async def _unless_gone(
    request: web.Request, work: Coroutine[Any, Any, list[Violation]]
) -> list[Violation] | None:
    """The outcome of `work`; None if the client hung up: then it leaves its place in the queue."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=LOOK_S)
            if not task.done() and (request.transport is None or request.transport.is_closing()):
                return None
        return task.result()
    finally:
        task.cancel()


async def list_usage(request: web.Request) -> web.Response:
    """The live configs that are bound to the schema; of others, only how many there are."""
    principal = await caller(request)
    schema = await _seen(request, principal)
    check_query(request, "limit", "cursor")
    pool, viewer = request.app[SERVICES].pool, _viewer(principal)
    limit, after = limit_of(request), cursor_of(request) or ["", ""]
    if (
        not isinstance(after, list)
        or [type(each) for each in after] != [str, str]
        or "\0" in after[0] + after[1]
    ):
        raise InvalidParameter("cursor", "is not one that this service gave")
    rows = await schemas.usage_of_schema(pool, viewer, schema.id, (after[0], after[1]), limit + 1)
    total, seen = await schemas.count_usage(pool, viewer, schema.id)
    last = [rows[limit - 1]["project_id"], rows[limit - 1]["key"]] if rows[limit:] else None
    items = [dict(row) for row in rows[:limit]]
    return json_response({**page(request, items, last), "total": total, "hidden": total - seen})


async def _read_schema(request: web.Request, *members: str) -> tuple[Members, str]:
    """The body, and the text of its `schema`: as it stands there, or what a string holds."""
    value, text = await read_source(request, "schema")
    if not isinstance(value, dict):
        raise InvalidParameter("body", "must be a JSON object")
    body = Members(value, members)
    schema = body.any("schema")
    if isinstance(schema, str):
        return body, schema
    if not isinstance(schema, dict | bool):
        raise InvalidParameter(
            "schema", "must be a JSON Schema (an object, true or false), or its text as a string"
        )
    assert text is not None
    return body, text


async def _seen(request: web.Request, principal: Principal) -> Schema:
    """The route's schema. Raises NotFound, also for what the caller may not see."""
    schema_id = request.match_info["schema"]
    if _ID.fullmatch(schema_id):
        schema = await schemas.find_seen_schema(
            request.app[SERVICES].pool, _viewer(principal), schema_id
        )
        if schema is not None:
            return schema
    raise NotFound("there is no such schema")


async def _role_in(request: web.Request, principal: Principal, project_id: str) -> Role:
    if _ID.fullmatch(project_id):
        role = await request.app[SERVICES].directory.role_in(principal, project_id)
        if role is not None:
            return role
    raise NotFound("there is no such project")


async def _require_editor(request: web.Request, user: User, project_id: str) -> None:
    if await _role_in(request, user, project_id) < Role.EDITOR:
        raise NotAllowed(Role.EDITOR.label)


async def _require_change(request: web.Request, user: User, schema: Schema) -> None:
    """A project's schema is its editors'; a shared one is its creator's, and superusers'.

    Asked again behind a body that is waited for.
    """

    async def ask_again(request: web.Request) -> None:
        await _require_change(request, await signed_in_user(request), schema)

    request[ASK_AGAIN] = ask_again
    if schema.project_id is not None:
        await _require_editor(request, user, schema.project_id)
    elif not user.is_superuser and user.user_id != schema.created_by_user_id:
        detail = "this needs who made the schema, or a superuser"
        raise NotAllowed(Role.SUPERUSER.label, detail)


def _viewer(principal: Principal) -> Viewer:
    if isinstance(principal, User):
        return Viewer(principal.user_id, principal.is_superuser, None)
    return Viewer(None, False, principal.project_id, principal.prefix or "")


def _sees(request: web.Request, user: User) -> Sees:
    async def sees(place: Place) -> bool:
        role = await request.app[SERVICES].directory.role_in(user, place[0])
        return role is not None

    return sees


def _name(given: str) -> str:
    if not given.strip():
        raise InvalidParameter("name", "must not be blank")
    return given.strip()


def _expected_version(request: web.Request) -> int | None:
    header = header_of(request, "If-Match")
    if header is None or header.strip() == "*":
        return None
    versions = parse_etags("If-Match", header)
    if len(versions) != 1:
        raise InvalidParameter("If-Match", "a change takes one version")
    return versions[0]


def _answer(
    schema: Schema, principal: Principal, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return json_response(
        schema_view(schema, principal), status, {"ETag": etag(schema.version), **(headers or {})}
    )


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    one = "/v1/schemas/{schema}"
    return [
        web.get("/v1/schemas", list_schemas),
        web.post("/v1/schemas", create_schema),
        web.get(one, get_schema),
        web.put(one, put_schema),
        web.delete(one, delete_schema),
        web.post(one + "/validate", validate_content),
        web.get(one + "/usage", list_usage),
    ]
