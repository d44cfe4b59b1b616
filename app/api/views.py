"""How configs and revisions look in answers."""

from __future__ import annotations

from typing import Any

import orjson

from domain.config import EVENT_NAMES
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
    """`config_view` as JSON."""
    return orjson.dumps(config_view(revision), option=orjson.OPT_UTC_Z)


def revision_view(revision: RecordedRevision) -> dict[str, Any]:
    """A line of history, without the content."""
    return {
        "key": revision.key,
        "version": revision.version,
        "event": EVENT_NAMES[revision.event],
        "created_by_user_id": revision.user_id,
        "created_by_email": revision.user_email,
        "created_at": revision.created_at,
        "comment": revision.comment,
        "schema_id": revision.schema_id,
        "schema_version": revision.schema_version,
        "position": revision.position,
        "change_id": revision.change_id,
        "hash": revision.hash.hex(),
    }
