"""Reads of configs at the consistency that the caller asked for.

Answers come from the read model; this module decides only how long to wait, and when an
answer would be older than was promised.
"""

from __future__ import annotations

from enum import Enum

from app.barrier import SharedBarrier
from app.errors import Unavailable
from projections.read_model import ReadModel

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
    """Waits until the read model is new enough for a request."""

    def __init__(self, model: ReadModel, barrier: SharedBarrier) -> None:
        self.model = model
        self._barrier = barrier

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
