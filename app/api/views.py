"""How configs, revisions and schemas look in answers."""

from __future__ import annotations

from typing import Any

import orjson

from app.access.principal import Principal, User
from app.schema_errors import BoundConfig, Breakage
from app.tables.schemas import Schema
from domain.config import EVENT_NAMES
from domain.json_document import trimmed
from projections.read_model import RecordedRevision


def config_view(revision: RecordedRevision) -> dict[str, Any]:
    """A config at the version of this revision. The content is spliced in as it was committed."""
    return {
        "project_id": revision.project_id,
        "key": revision.key,
        "version": revision.version,
        "content": None if revision.content is None else orjson.Fragment(revision.content),
        "schema_id": revision.schema_id,
        "schema_version": revision.schema_version,
        "updated_by_user_id": revision.user_id,
        "updated_by_email": revision.user_email,
        "updated_at": revision.created_at,
        "position": revision.position,
    }


def config_body(revision: RecordedRevision) -> bytes:
    """`config_view` as JSON, made once for each revision: the same is read again and again."""
    if revision.body is None:
        body = trimmed(orjson.dumps(config_view(revision), option=orjson.OPT_UTC_Z))
        # A revision never changes, so neither does this; it is the one field set later.
        revision.body = body
        return body
    return revision.body


def revision_view(revision: RecordedRevision) -> dict[str, Any]:
    """A line of history, without the content."""
    return {
        "key": revision.key,
        "version": revision.version,
        "event": EVENT_NAMES[revision.event],
        "created_by_user_id": revision.user_id,
        "created_by_email": revision.user_email,
        "created_by_key_id": revision.key_id,
        "created_by_key_name": revision.key_name,
        "created_at": revision.created_at,
        "comment": revision.comment,
        "schema_id": revision.schema_id,
        "schema_version": revision.schema_version,
        "position": revision.position,
        "change_id": revision.change_id,
        "hash": revision.hash.hex(),
    }


def schema_view(schema: Schema, principal: Principal) -> dict[str, Any]:
    """A schema at one version, for this caller. Its text is spliced in as it was given.

    Everybody sees a shared one, and whoever has a project can turn an id into an e-mail address (by
    making it a member): so who made it is for them and superusers to know.
    """
    creator: str | None = schema.created_by_user_id
    if schema.project_id is None and not (
        isinstance(principal, User) and (principal.is_superuser or principal.user_id == creator)
    ):
        creator = None
    return {
        "id": schema.id,
        "name": schema.name,
        "project_id": schema.project_id,
        "version": schema.version,
        "schema": orjson.Fragment(schema.text),
        "created_by_user_id": creator,
        "created_at": schema.created_at,
        "updated_at": schema.updated_at,
    }


def bound_view(config: BoundConfig) -> dict[str, Any]:
    """A config that is bound to a schema, with how it breaks it if it does."""
    errors = [
        {"pointer": each.pointer, "keyword": each.keyword, "message": each.message}
        for each in config.errors
    ]
    return {
        "project_id": config.project_id,
        "key": config.key,
        **({"errors": errors} if errors else {}),
    }


def breakage_view(breakage: Breakage) -> dict[str, Any]:
    """Which live configs would break a version."""
    return {
        "configs": [bound_view(config) for config in breakage.configs],
        "hidden": breakage.hidden,
        "total": breakage.total,
        "checked": breakage.checked,
    }
