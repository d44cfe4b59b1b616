"""Roll-backs: old content made new, of one config, or of a whole project as one change set.

Nothing of the history is taken back: a roll-back adds versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from aiohttp import web

from app.access.principal import Permission
from app.api.access import Access, project_access
from app.api.configs import FOR_WHAT_IS_THERE, expected_version
from app.api.reads import config_key, reach, resolve_moment
from app.api.requests import check_query, parse_time, read_object
from app.api.writes import (
    MAX_COMMENT_CHARS,
    PARAMETERS,
    content_answer,
    content_rehearsed,
    set_answer,
    set_rehearsed,
    write,
)
from app.changes import Change, Expected, Keep, PlanForVersion
from app.errors import ChangeSetTooLarge, InvalidParameter, NotFound, TooManyChanges
from app.schema_errors import SchemaGone
from app.services import SERVICES, Services
from app.tables.history import (
    Moment,
    changed_keys,
    configs_at,
    existing_schemas,
    moment_at_position,
    schema_deleted_behind,
    versions_of_config,
)
from domain.errors import ConfigNotFound, Conflict, RevisionNotFound, VersionConflict
from domain.json_document import decode_json
from projections.read_model import RecordedRevision

MAX_ROLLED_BACK = 2000
"""Configs that a project's roll-back may change. More than a change set of a client may, and
less than a page of the follower, which takes a change set over whole."""
CHUNK = 200


async def roll_back_config(request: web.Request) -> web.Response:
    """Make a new version with the content of an old one, held to today's schema.

    The version that the caller names may be that of a tombstone: then the config lives again,
    bound as it was. With `unchanged_since`, the position of a rehearsal, what was rehearsed is done
    or nothing.
    """
    access = await project_access(request, Permission.CHANGE)
    check_query(request, *PARAMETERS)
    key = config_key(request, access)
    body = await read_object(request, "to_version", "comment", "version", "unchanged_since")
    looked_at = body.integer("unchanged_since", None)
    to_version = body.integer("to_version", least=1)
    comment = body.text("comment", None, longest=MAX_COMMENT_CHARS)
    how = f'{FOR_WHAT_IS_THERE}, or "version" in the body'
    expected = expected_version(request, body, how)
    services = request.app[SERVICES]
    await reach(request, looked_at or 0)

    async def plan() -> Sequence[Change]:
        current = await services.reader.newest(access.project_id, key)
        if current is None:
            raise ConfigNotFound(key)
        live_version = 0 if current.deleted else current.version
        if not isinstance(expected, Expected) and expected not in (current.version, live_version):
            raise VersionConflict([Conflict(key, expected, current.version, current.deleted)])
        if looked_at is not None and current.position > looked_at:
            await _refuse_changed(services, access, [key], looked_at)
        found = await versions_of_config(services.pool, access.project_id, key, [to_version])
        if to_version not in found:
            raise RevisionNotFound(key, to_version)
        old = found[to_version]
        if old.content is None:
            raise InvalidParameter("to_version", "is a deletion; delete the config instead")
        bound: str | Keep | None = Keep.BINDING
        if current.deleted:
            schemas = await _schemas(services, [old])
            if looked_at is not None:
                await _require_schemas(services, [old], schemas, looked_at)
            bound = old.schema_id if old.schema_id in schemas else None
        content = decode_json(old.content)
        return [Change(key, live_version, content=content, schema_id=bound, to_version=to_version)]

    return await write(
        request,
        access,
        # No live config, which 0 stands for, there may be again.
        PlanForVersion(plan) if isinstance(expected, int) and expected > 0 else plan,
        comment,
        answer=lambda committed: content_answer(request, committed),
        rehearsed=content_rehearsed,
    )


async def roll_back_project(request: web.Request) -> web.Response:
    """Make a project's configs what they were at a moment, all together or not at all.

    What was made since is deleted, what was deleted since lives again, with the binding of
    then; what is as it was stays untouched. A key with a prefix reaches its configs only.
    With `unchanged_since`, the position of a rehearsal, what was rehearsed is done or nothing.
    """
    access = await project_access(request, Permission.CHANGE)
    check_query(request, *PARAMETERS)
    body = await read_object(request, "position", "at", "comment", "unchanged_since")
    position = body.integer("position", None)
    text = body.text("at", None)
    looked_at = body.integer("unchanged_since", None)
    comment = body.text("comment", None, longest=MAX_COMMENT_CHARS)
    if (position is None) == (text is None):
        raise InvalidParameter("position", "either position or at")
    at: datetime | None = None if text is None else parse_time("at", text)
    moment = await resolve_moment(request, access, at, position)
    services = request.app[SERVICES]
    # A process that is behind the rehearsal would plan without what the rehearsal knew of.
    await reach(request, looked_at or 0)

    async def plan() -> Sequence[Change]:
        changes = await _as_it_stood(services, access, moment, looked_at)
        # Afterwards: what comes while the plan is made may be in it.
        if looked_at is not None:
            await _require_unchanged(services, access, looked_at)
        return changes

    return await write(request, access, plan, comment, answer=set_answer, rehearsed=set_rehearsed)


async def _as_it_stood(
    services: Services, access: Access, moment: Moment, looked_at: int | None
) -> Sequence[Change]:
    """What makes the project of now that of the moment. Raises TooManyChanges, ChangeSetTooLarge;
    SchemaGone if a binding cannot come back that could at the position `looked_at`."""
    keys_behind = await changed_keys(
        services.pool, access.project_id, moment, services.reader.here()
    )
    changes: list[Change] = []
    size, limit = 0, services.log.max_entry_bytes
    touched = iter(sorted(filter(access.sees, keys_behind)))
    # In parts, so that the memory is bounded by what changes, not by what was touched.
    while keys := list(islice(touched, CHUNK)):
        then = await configs_at(services.pool, access.project_id, keys, moment)
        now = await _newest_of(services, access, keys)
        schemas = await _schemas(services, then.values())
        if looked_at is not None:
            await _require_schemas(services, then.values(), schemas, looked_at)
        for key in keys:
            old = then.get(key)
            if (change := _back(now[key], old, schemas)) is None:
                continue
            changes.append(change)
            size += len(old.content or b"") if old is not None else 0
            # Contents alone are too many: no more of them are unpacked, only to be refused.
            if size > limit:
                raise ChangeSetTooLarge(size, limit, at_least=True)
        if len(changes) > MAX_ROLLED_BACK:
            raise TooManyChanges(MAX_ROLLED_BACK)
    return changes


async def _require_schemas(
    services: Services, then: Iterable[RecordedRevision], there: set[str], position: int
) -> None:
    """Raises SchemaGone if a schema of these that is not there was deleted behind `position`."""
    gone = {
        r.schema_id: r.key for r in then if r.schema_id is not None and r.schema_id not in there
    }
    if gone and (found := await schema_deleted_behind(services.pool, gone, position)) is not None:
        raise SchemaGone(found, gone[found])


async def _require_unchanged(services: Services, access: Access, position: int) -> None:
    """Raises VersionConflict if a config that the caller may see has changed behind `position`."""
    since = await moment_at_position(services.pool, position)
    keys = await changed_keys(services.pool, access.project_id, since, services.reader.here())
    if moved := sorted(filter(access.sees, keys))[:CHUNK]:
        await _refuse_changed(services, access, moved, position)


async def _refuse_changed(
    services: Services, access: Access, moved: Sequence[str], position: int
) -> None:
    """Raises VersionConflict: these configs have changed behind `position`."""
    since = await moment_at_position(services.pool, position)
    then = await configs_at(services.pool, access.project_id, moved, since)
    now = await _newest_of(services, access, moved)
    raise VersionConflict(
        [
            Conflict(
                key,
                0 if (old := then.get(key)) is None or old.deleted else old.version,
                now[key].version,
                now[key].deleted,
            )
            for key in moved
        ]
    )


async def _newest_of(
    services: Services, access: Access, keys: Sequence[str]
) -> dict[str, RecordedRevision]:
    """Configs that were there a moment ago, as they are now. Raises NotFound."""
    found = await services.reader.newest_of(access.project_id, keys)
    if len(found) < len(keys):  # nothing else takes a config from under its history
        raise NotFound("the project is not there any more")
    return found


def _back(now: RecordedRevision, then: RecordedRevision | None, schemas: set[str]) -> Change | None:
    live_version = 0 if now.deleted else now.version
    if then is None or then.content is None:
        return None if now.deleted else Change(now.key, live_version, delete=True)
    bound = then.schema_id if then.schema_id in schemas else None
    if now.content == then.content and now.schema_id == bound:
        return None
    return Change(
        now.key,
        live_version,
        content=decode_json(then.content),
        schema_id=bound,
        to_version=then.version,
    )


async def _schemas(services: Services, revisions: Iterable[RecordedRevision]) -> set[str]:
    """Which of the schemas that these were bound to are still there."""
    bound = {revision.schema_id for revision in revisions if revision.schema_id is not None}
    return await existing_schemas(services.pool, bound) if bound else set()


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [
        web.post("/v1/projects/{project}/configs/{key}/rollback", roll_back_config),
        web.post("/v1/projects/{project}/rollback", roll_back_project),
    ]
