"""Reads of configs at the consistency that the caller asked for.

Answers come from the read model, and from `config_revisions` for what has fallen out of it, as it
stood where the model stands. This module also decides how long to wait, and when an answer would be
older than was promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import asyncpg

from app.barrier import SharedBarrier
from app.errors import Unavailable
from app.tables.history import Moment, configs_at
from projections.read_model import ReadModel, RecordedRevision

READ_TIMEOUT_S = 5.0


class Consistency(Enum):
    """What a reader is promised."""

    STALE = "stale"
    """Whatever this process holds, also with everything else down."""
    DEFAULT = "default"
    """As new as this process's connection to the database; fails when it is cut off."""
    LINEARIZABLE = "linearizable"
    """Everything that was acknowledged before the request came."""


class ConfigReader:
    """Waits until the read model is new enough for a request, and finds what it does not hold."""

    def __init__(self, model: ReadModel, barrier: SharedBarrier, pool: asyncpg.Pool) -> None:
        self.model = model
        self._barrier = barrier
        self._pool = pool

    async def prepare(
        self,
        consistency: Consistency = Consistency.DEFAULT,
        min_position: int | None = None,
        timeout_s: float = READ_TIMEOUT_S,
    ) -> int:
        """Return the position that an answer now reflects. Raises Unavailable."""
        if consistency is Consistency.LINEARIZABLE:
            await self._barrier.wait(timeout_s)
        if min_position is not None:
            try:
                await self.model.wait_for(min_position, timeout_s)
            except TimeoutError:
                raise Unavailable(
                    f"this process is at position {self.model.position}, not yet {min_position}"
                ) from None
        if consistency is Consistency.DEFAULT and not self.model.live:
            raise Unavailable(
                "this process is cut off from the database; ?consistency=stale answers anyway"
            )
        return self.model.position

    async def newest(self, project_id: str, key: str) -> RecordedRevision | None:
        """The newest revision of a config, tombstones included, as it stands when this returns;
        None if it never was. Raises what the database's driver raises."""
        revision = self.model.get(project_id, key)
        if revision is not None or self.model.complete:
            return revision
        return (await self.newest_of(project_id, [key])).get(key)

    async def newest_of(self, project_id: str, keys: Sequence[str]) -> dict[str, RecordedRevision]:
        """As `newest`, of several configs, all as they stand at the moment when this returns."""
        model = self.model
        held: dict[str, RecordedRevision] = {}
        while True:
            for key in keys:
                if (revision := model.get(project_id, key)) is not None:
                    held[key] = revision
            missing = [key for key in keys if key not in held]
            if not missing or model.complete:
                return held
            here = self.here()
            found = await configs_at(self._pool, project_id, missing, here)
            # What changed meanwhile, found or held before, is in the model in its new version.
            # Looked up first: to make room for what was found, that version may go at once.
            newest = {key: each for key in keys if (each := model.get(project_id, key)) is not None}
            if model.keep(found.values(), here.sequence):
                return held | found | newest
            held.clear()

    def here(self) -> Moment:
        """Where the model stands, for a question to the table that must not know more."""
        return Moment(self.model.position, self.model.sequence)
