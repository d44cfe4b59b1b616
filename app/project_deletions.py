"""Deletions of projects, in two steps, so that no other project waits for a long history to go.

While the rows of a project go, its own row is locked, and the projector, which applies the changes
of all projects in the order of the log, would wait there for an entry of this one. So the project
is marked first: from that commit on callers and entries of the log find it gone. Once the projector
has passed what it may have begun before, the row is deleted, and its foreign keys take the rest.

Must never take a mark back: entries that were skipped stay so. A process that dies between the two
steps leaves the mark, and `ProjectDeletions.run` of every process finishes what it finds.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg
import structlog

from app.access.directory import Directory
from app.barrier import SharedBarrier
from app.errors import NotFound, Unavailable
from app.tables import projects
from projections.database import DATABASE_AWAY, UNDONE_TRY_AGAIN

BARRIER_TIMEOUT_S: Final = 5.0
REMOVAL_TIMEOUT_S: Final = 3600.0
"""A removal cascades over the whole history of the project."""
MAX_AT_ONCE: Final = 3
"""Removals that hold a connection of the pool; others wait without."""
INTERVAL_S: Final = 30.0
_POSTPONED: Final = (
    *DATABASE_AWAY,
    *UNDONE_TRY_AGAIN,
    Unavailable,
    # Somebody bound a config of another project to a schema of this one by hand.
    asyncpg.IntegrityConstraintViolationError,
)

logger = structlog.get_logger(__name__)


class ProjectDeletions:
    """Deletes projects; finishes deletions that other processes began."""

    def __init__(self, pool: asyncpg.Pool, barrier: SharedBarrier, directory: Directory) -> None:
        self._pool = pool
        self._barrier = barrier
        self._directory = directory
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def delete(self, project_id: str) -> None:
        """Delete a project; its rows too, if that can be done now. Raises NotFound."""
        if not await projects.mark_deleted(self._pool, project_id):
            raise NotFound("there is no such project")
        self._directory.invalidate()
        await self._remove(project_id, wait=True)

    async def run(self) -> None:
        """Finish until cancelled what was begun and not finished."""
        while True:
            try:
                begun = await projects.marked_projects(self._pool)
            except DATABASE_AWAY as error:
                logger.warning("project_deletions_postponed", error=repr(error))
                begun = []
            for project_id in begun:
                await self._remove(project_id, wait=False)
            await asyncio.sleep(INTERVAL_S)

    async def _remove(self, project_id: str, *, wait: bool) -> None:
        """Take the rows of a marked project away; where that fails now, `run` tries again.

        `wait` for another process that is doing it, rather than leave it to that one.
        """
        try:
            async with self._slots:
                # A batch that was begun before the mark may still ask for the project's row.
                await self._barrier.applied(BARRIER_TIMEOUT_S)
                await projects.remove_marked(
                    self._pool, project_id, wait=wait, timeout=REMOVAL_TIMEOUT_S
                )
        except _POSTPONED as error:
            logger.warning("project_deletion_postponed", project_id=project_id, error=repr(error))
