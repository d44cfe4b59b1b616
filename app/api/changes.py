"""Change sets: several configs of a project together or not at all; and what became of one."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from aiohttp import web

from app.access.principal import Permission
from app.api.access import Access, caller, project_access
from app.api.reads import TIMEOUT, reach, timeout_of
from app.api.requests import Members, check_query, json_response, read_json
from app.api.writes import MAX_COMMENT_CHARS, PARAMETERS, changed, set_answer, set_rehearsed, write
from app.changes import Change, Keep
from app.errors import InvalidParameter, Unavailable
from app.services import SERVICES
from app.tables.changes import Decided, find_outcome
from domain.change_set import MAX_CHANGES
from domain.config import MAX_KEY_LENGTH, check_key
from domain.json_document import MAX_DEPTH
from projections.read_model import Applied

_CHANGE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


async def post_changes(request: web.Request) -> web.Response:
    """Commit 1 to 500 changes of distinct configs as one change set."""
    access = await project_access(request, Permission.CHANGE)
    check_query(request, *PARAMETERS)
    body = await read_json(
        request,
        limit_bytes=request.app[SERVICES].log.max_entry_bytes,
        # A content stands two levels deeper here than in a PUT, and may be as deep itself.
        max_depth=MAX_DEPTH + 2,
        escaped=True,
    )
    if not isinstance(body, dict):
        raise InvalidParameter("body", "must be a JSON object")
    members = Members(body, ("comment", "changes"))
    comment = members.text("comment", None, longest=MAX_COMMENT_CHARS)
    given = members.any("changes")
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_CHANGES:
        raise InvalidParameter("changes", f"must be a list of 1 to {MAX_CHANGES} changes")
    changes = [_change(access, item, index) for index, item in enumerate(given)]
    return await write(
        request, access, changes, comment, answer=set_answer, rehearsed=set_rehearsed
    )


def _change(access: Access, item: Any, index: int) -> Change:
    at = f"changes.{index}"
    if not isinstance(item, dict):
        raise InvalidParameter(at, "must be a JSON object")
    operation = item.get("op")
    if operation not in ("put", "delete"):
        raise InvalidParameter(f"{at}.op", 'must be "put" or "delete"')
    delete = operation == "delete"
    allowed = (
        ("op", "key", "version") if delete else ("op", "key", "version", "content", "schema_id")
    )
    members = Members(item, allowed, at + ".")
    key = check_key(members.text("key", longest=MAX_KEY_LENGTH))
    access.require_key(key)
    version = members.integer("version", least=1 if delete else 0)
    if delete:
        return Change(key, version, delete=True)
    bound = members.text("schema_id", None) if members.has("schema_id") else Keep.BINDING
    return Change(key, version, content=members.any("content"), schema_id=bound)


async def get_change(request: web.Request) -> web.Response:
    """What became of a change set.

    An id that nobody knows and one of a project that the caller may not read get the same
    answer, so it tells nothing: "unknown", which means that the log had no trace of it when
    the question came.
    """
    principal = await caller(request)
    check_query(request, TIMEOUT)
    change_id = request.match_info["id"]
    if not _CHANGE_ID.fullmatch(change_id):
        raise InvalidParameter("id", "is not a change set's")
    await reach(request)
    services = request.app[SERVICES]

    async def access_to(project_id: str) -> Access | None:
        role = await services.directory.role_in(principal, project_id)
        return None if role is None else Access(principal, project_id, role)

    async def answer() -> dict[str, Any] | None:
        found = await find_outcome(services.pool, change_id, contents=False)
        access = await access_to(found.project_id) if found else None
        return _decided_view(access, change_id, found) if access and found else None

    if (view := await answer()) is not None:
        return json_response(view)
    pending_in = services.writer.pending.project_of(change_id)
    ours = pending_in is not None and await access_to(pending_in) is not None
    try:
        # Behind it, whatever was committed before the question is recorded here.
        await services.barrier.wait(timeout_of(request))
    except Unavailable:
        if not ours:
            raise
    if (view := await answer()) is not None:
        return json_response(view)
    return json_response({"id": change_id, "status": "pending" if ours else "unknown"})


def _decided_view(access: Access, change_id: str, found: Decided) -> dict[str, Any] | None:
    """None where the caller's key sees none of the configs."""
    view: dict[str, Any] = {
        "id": change_id,
        "project_id": found.project_id,
        "position": found.position,
    }
    if isinstance(found.outcome, Applied):
        seen = [r for r in found.outcome.revisions if access.sees(r.key)]
        return {**view, "status": "applied", "changes": changed(seen)} if seen else None
    conflicts = [asdict(c) for c in found.outcome.conflicts if access.sees(c.key)]
    return {**view, "status": "rejected", "conflicts": conflicts} if conflicts else None


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [
        web.post("/v1/projects/{project}/changes", post_changes),
        web.get("/v1/changes/{id}", get_change),
    ]
