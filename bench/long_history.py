"""A config with very many versions, committed through the log like every other change, but without
waiting for the outcome of each: the projector judges them in the log's order, as always.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from consensus.log import Log
from domain.change_set import Actor, ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import config_id, content_event

IN_FLIGHT = 500
APPEND_TIMEOUT_S = 60.0


async def commit_versions(
    log: Log, project_id: str, key: str, last: int, version_of: Callable[[], Awaitable[int]]
) -> None:
    """Bring a config to the version `last`. `version_of` reads it, behind all that is committed.

    Entries that overtake each other on their way are rejected, so what is missing is sent again.
    """
    version = 0
    while version < last:
        numbers = range(version, min(version + IN_FLIGHT, last))
        entries = [_entry(project_id, key, number) for number in numbers]
        await asyncio.gather(
            *(log.append(id_, entry, timeout=APPEND_TIMEOUT_S) for id_, entry in entries)
        )
        version = await version_of()


def _entry(project_id: str, key: str, version: int) -> tuple[str, bytes]:
    actor: dict[str, Any] = Actor(email="many@guardian.local").as_dict()
    event = content_event(
        config_id(project_id, key),
        version,
        False,
        content={"n": version + 1},
        schema_id=None,
        schema_version=None,
        timestamp=datetime.now(UTC),
        actor=actor,
        comment=f"step {version + 1}",
    )
    change_set = ChangeSet(uuid.uuid4().hex, project_id, (encode_event(event),))
    return change_set.id, encode_change_set(change_set)
