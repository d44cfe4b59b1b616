"""Recorded revisions, for tests of what is made of them in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from projections.read_model import RecordedRevision


def recorded(sequence: int, **changes: Any) -> RecordedRevision:
    """The revision with this sequence, which is its position and its config's version, too; other
    attributes by their names."""
    usual: dict[str, Any] = {
        "sequence": sequence,
        "position": sequence,
        "change_id": str(sequence),
        "change_index": 0,
        "project_id": "p",
        "key": "k",
        "version": sequence,
        "event": "config:updated",
        "content": b"1",
        "schema_id": None,
        "schema_version": None,
        "comment": None,
        "user_id": None,
        "user_email": None,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "hash": b"",
    }
    return RecordedRevision(**usual | changes)
