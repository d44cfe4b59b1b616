"""A real PostgreSQL, projectors, and a log in memory that can do what no real one may."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from consensus.log import LogStatus
from consensus.memory import MemoryLog
from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import ConfigEvent, config_id, content_event, deleted_event
from projections.checkpoint import Checkpoint
from projections.projector import Projector, ProjectorHalted
from projections.skips import add_skip

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIMEOUT_S = 20.0
UNDECODABLE = b'{"format":99}\n{}'


def write(key: str, version: int, project: str = "p", **changes: Any) -> ConfigEvent:
    fields: dict[str, Any] = {
        "content": version,
        "schema_id": None,
        "schema_version": None,
        "timestamp": NOON,
        "actor": {"user_id": "u", "email": "u@example.com"},
        "comment": None,
    }
    return content_event(config_id(project, key), version - 1, False, **fields | changes)


def delete(key: str, version: int) -> ConfigEvent:
    return deleted_event(
        config_id("p", key), version - 1, timestamp=NOON, actor={"key_id": "k"}, comment=None
    )


@dataclass
class World:
    """A log, a database with user u, project p and schema s, and projectors that come and go."""

    url: str
    connection: asyncpg.Connection
    log: MemoryLog = field(default_factory=MemoryLog)
    applied: Checkpoint = field(default_factory=Checkpoint)
    batches: list[Checkpoint] = field(default_factory=list)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def append(self, *events: ConfigEvent, project: str = "p") -> int:
        change = ChangeSet(uuid.uuid4().hex, project, tuple(map(encode_event, events)))
        return await self.append_raw(encode_change_set(change))

    async def append_raw(self, data: bytes) -> int:
        return await self.log.append(uuid.uuid4().hex, data, timeout=TIMEOUT_S)

    def _on_applied(self, checkpoint: Checkpoint) -> None:
        self.applied = checkpoint
        self.batches.append(checkpoint)
        asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def reach(self, position: int) -> None:
        async with asyncio.timeout(TIMEOUT_S), self._moved:
            await self._moved.wait_for(lambda: self.applied.position >= position)

    @asynccontextmanager
    async def projector(self) -> AsyncIterator[tuple[Projector, asyncio.Task[None]]]:
        projector = Projector(self.log, self.url, on_applied=self._on_applied)
        task = asyncio.create_task(projector.run())
        try:
            yield projector, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def asked_in_vain(self) -> None:
        """Return when a projector has asked the log, which is away, and asks again."""
        asked, status = asyncio.Queue[None](), self.log.status

        async def noted() -> LogStatus:
            asked.put_nowait(None)
            return await status()

        self.log.status = noted  # type: ignore[method-assign]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                for _ in range(2):
                    await asked.get()
        finally:
            self.log.status = status  # type: ignore[method-assign]

    async def halted(self) -> ProjectorHalted:
        """Run a projector until it halts."""
        async with self.projector() as (_, task), asyncio.timeout(TIMEOUT_S):
            with pytest.raises(ProjectorHalted) as caught:
                await task
        return caught.value

    async def skip(self, position: int, reason: str) -> None:
        """Decide that an entry is passed over."""
        entry = await self.log.entry_at(position)
        assert entry is not None
        assert await add_skip(self.connection, entry, reason, "ops")

    async def project_all(self) -> None:
        async with self.projector():
            await self.reach((await self.log.status()).last_position)

    async def versions(self) -> list[tuple[str, int, int]]:
        rows = await self.connection.fetch(
            "SELECT config_key, version, position FROM config_revisions ORDER BY sequence"
        )
        return [tuple(row) for row in rows]

    async def skipped(self) -> int:
        found: int = await self.connection.fetchval("SELECT skipped FROM checkpoints")
        return found
