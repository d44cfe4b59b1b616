"""What all changes of configs share: the rehearsal, the retry under a key, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import web

from app.api.access import Access
from app.api.entity_tags import etag
from app.api.idempotency import once
from app.api.reads import TIMEOUT, reach
from app.api.requests import POSITION_HEADER, TENANT, json_response, query_boolean
from app.api.views import config_body
from app.changes import Change, ChangeIds, Committed, Plan, Prospect
from app.diffs import Patch
from app.services import SERVICES
from domain.config import Config
from domain.json_document import encode_json

Rehearsed = Callable[[Sequence[Prospect], Sequence[Patch]], dict[str, Any]]
MAX_COMMENT_CHARS = 2000
PARAMETERS = ("dry_run", TIMEOUT)
"""Query parameters that `write` takes."""


async def write(
    request: web.Request,
    access: Access,
    changes: Sequence[Change] | Plan,
    comment: str | None,
    *,
    answer: Callable[[Committed], web.Response],
    rehearsed: Rehearsed,
) -> web.Response:
    """Commit the changes, once under an Idempotency-Key; or with `dry_run=true` say what it
    would do, with each difference."""
    services = request.app[SERVICES]
    actor, tenant = access.principal.actor, request[TENANT]
    await reach(request)
    if query_boolean(request, "dry_run"):
        # Before anything is looked at: whoever asks later what changed since must miss nothing.
        position = services.model.position
        prospects = await services.writer.preview(
            access.project_id, changes, actor, tenant=tenant, comment=comment
        )
        patches = await services.differ.diffs(
            [(_before(p), _after(p)) for p in prospects], tenant=tenant
        )
        return json_response(
            {"dry_run": True, "position": position, **rehearsed(prospects, patches)},
            headers={POSITION_HEADER: str(position)},
        )

    async def commit(ids: ChangeIds | None) -> tuple[web.Response, bool]:
        committed = await services.writer.commit(
            access.project_id, changes, actor, tenant=tenant, comment=comment, ids=ids
        )
        return answer(committed), committed.change_id is not None

    return await once(request, access, commit)


def _before(prospect: Prospect) -> bytes | None:
    return prospect.before.content if prospect.before else None


def _after(prospect: Prospect) -> bytes | None:
    return None if prospect.change.delete else encode_json(prospect.change.content)


def content_answer(request: web.Request, committed: Committed) -> web.Response:
    """The config as the change made it; 201 where there was no live one before."""
    revision = committed.revisions[0]
    created = revision.event in (Config.Created.TOPIC, Config.Restored.TOPIC)
    headers = {"ETag": etag(revision.version), POSITION_HEADER: str(committed.position)}
    if created:
        headers["Location"] = request.path
    return web.Response(
        status=201 if created else 200,
        body=config_body(revision),
        content_type="application/json",
        headers=headers,
    )


def content_rehearsed(prospects: Sequence[Prospect], patches: Sequence[Patch]) -> dict[str, Any]:
    """What `content_answer` would say, with the difference."""
    prospect = prospects[0]
    return {
        "key": prospect.key,
        "version": prospect.version,
        "content": orjson.Fragment(encode_json(prospect.change.content)),
        "schema_id": prospect.schema_id,
        "schema_version": prospect.schema_version,
        "patch": patches[0],
    }


def delete_answer(committed: Committed) -> web.Response:
    """The tombstone."""
    revision = committed.revisions[0]
    return json_response(
        {"key": revision.key, "version": revision.version, "deleted": True},
        headers={POSITION_HEADER: str(committed.position)},
    )


def delete_rehearsed(prospects: Sequence[Prospect], patches: Sequence[Patch]) -> dict[str, Any]:
    """What `delete_answer` would say, with the difference."""
    prospect = prospects[0]
    return {
        "key": prospect.key,
        "version": prospect.version,
        "deleted": True,
        "patch": patches[0],
    }


def set_answer(committed: Committed) -> web.Response:
    """A change set: its id, its position, and each config's new version."""
    return json_response(
        {
            "id": committed.change_id,
            "position": committed.position,
            "changes": changed(committed.revisions),
        },
        headers={POSITION_HEADER: str(committed.position)},
    )


def set_rehearsed(prospects: Sequence[Prospect], patches: Sequence[Patch]) -> dict[str, Any]:
    """What `set_answer` would say, with each difference."""
    lines = [
        {
            "op": "delete" if prospect.change.delete else "put",
            "key": prospect.key,
            "version": prospect.version,
            "deleted": prospect.change.delete,
            "to_version": prospect.change.to_version,
            "schema_id": prospect.schema_id,
            "patch": patch,
        }
        for prospect, patch in zip(prospects, patches, strict=True)
    ]
    return {"id": None, "changes": lines}


def changed(revisions: Sequence[Any]) -> list[dict[str, Any]]:
    """The lines of an accepted change set."""
    return [{"key": r.key, "version": r.version, "deleted": r.deleted} for r in revisions]
