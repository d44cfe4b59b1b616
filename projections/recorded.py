"""Rows of `config_revisions` as `RecordedRevision`; every reader of them comes through here."""

from __future__ import annotations

import json
import re
from sys import intern
from typing import Any

import orjson

from domain.config import Config
from domain.json_document import trimmed
from projections.read_model import RecordedRevision

# The column loses its reference when the user is deleted; an application has neither id nor email.
_AUTHOR = """CASE WHEN r.created_by_user_id IS NULL AND r.created_by_email IS NOT NULL
    THEN convert_from(r.state, 'UTF8')::json -> 'actor' ->> 'user_id'
    ELSE r.created_by_user_id END AS created_by_user_id"""
COLUMNS = f"""r.sequence, r.position, r.change_id, r.change_index, r.project_id, r.config_key,
    r.version, r.event, r.state, r.schema_id, r.schema_version, r.comment,
    {_AUTHOR}, r.created_by_email, r.created_at, r.hash"""
"""What `from_row` needs of `config_revisions AS r`, first and in this order; the author is whom the
event names."""
LINE_COLUMNS = COLUMNS.replace("r.event, r.state,", "r.event, NULL::bytea AS state,")
"""The same without the content, which is then None: a line of history need not load it."""
# Who made a change stands before the content in the bytes of its event, so what is read of a large
# one is bounded. A key's id and name, every character escaped, are shorter.
_ACTOR = re.compile(r'\{"timestamp":"[^"]*","actor":')
_ACTOR_BYTES = 1536
KEYED = f"""CASE WHEN r.created_by_user_id IS NULL AND r.created_by_email IS NULL
    THEN substring(r.state FROM 1 FOR {_ACTOR_BYTES}) END AS made_by"""
"""For `keyed_from_row`, after the columns of either."""
_DECODER = json.JSONDecoder()


def content_of(topic: str, state: bytes | None) -> bytes | None:
    """The content inside an event's committed bytes, as JSON; None for a tombstone.

    Taken from the state, not from the JSONB column, which keeps neither the order of names
    nor the way a number was written.
    """
    if state is None or topic == Config.Deleted.TOPIC:
        return None
    return trimmed(orjson.dumps(orjson.loads(state)["content"]))


def from_row(row: Any) -> RecordedRevision:
    """The revision of a row that was selected with `COLUMNS`."""
    # By place, not by name: it takes half the time, and a follower does little else.
    (
        sequence,
        position,
        change_id,
        change_index,
        project_id,
        key,
        version,
        event,
        state,
        schema_id,
        schema_version,
        comment,
        user_id,
        user_email,
        created_at,
        hash_,
        *_,
    ) = row
    return RecordedRevision(
        sequence,
        position,
        change_id,
        change_index,
        intern(project_id),
        key,
        version,
        intern(event),
        content_of(event, state),
        _shared(schema_id),
        schema_version,
        comment,
        _shared(user_id),
        _shared(user_email),
        created_at,
        hash_,
    )


def keyed_from_row(row: Any) -> RecordedRevision:
    """As `from_row`, with the API key that made it; `KEYED` was selected too."""
    revision = from_row(row)
    if (head := row["made_by"]) is not None:
        actor = _actor_of(head)
        revision.key_id, revision.key_name = map(actor.get, ("key_id", "key_name"))
    return revision


def _actor_of(head: bytes) -> dict[str, str]:
    """What the beginning of an event's bytes says of its actor; nothing where it does not begin as
    all events of this software do: never anything of the content."""
    text = head.decode(errors="ignore")  # the last character may be cut
    found = _ACTOR.match(text)
    if found is None:
        return {}
    try:
        actor, _ = _DECODER.raw_decode(text, found.end())
    except ValueError:
        return {}
    if not isinstance(actor, dict):
        return {}
    return {name: value for name, value in actor.items() if isinstance(value, str)}


def _shared(text: str | None) -> str | None:
    """One string for all revisions that hold it: many are kept, of few users and schemas."""
    return None if text is None else intern(text)
