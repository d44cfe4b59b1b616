"""Deletions of projects and users, in two steps: nobody else waits for a long history to go.

While the rows of a project go, its own row is locked, and the projector, which applies the changes
of all projects in the order of the log, would wait there for an entry of this one. So the project
is marked first: from that commit on callers and entries of the log find it gone. Once the projector
has passed what it may have begun before, the row is deleted, and its foreign keys take the rest. A
user is marked together with the projects that they own; theirs is the last row to go.

Must never take a mark back: entries that were skipped stay so. A process that dies between the two
steps leaves the mark, and `ProjectDeletions.run` of every process finishes what it finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Literal

import asyncpg
import structlog

from app.access.directory import Directory
from app.barrier import SharedBarrier
from app.errors import NotFound, Unavailable
from app.tables import projects, users
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
_REMOVALS: Final = {"project": projects.remove_marked, "user": users.remove_marked}

logger = structlog.get_logger(__name__)


class ProjectDeletions:
    """Deletes projects; finishes deletions of them, and of users, that were begun anywhere."""

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
        await self._remove("project", project_id, wait=True)

    async def finish_user(self, user_id: str, project_ids: Sequence[str]) -> None:
        """Take away the rows of a user who is marked, and of their projects, if that can be done
        now."""
        for project_id in project_ids:
            await self._remove("project", project_id, wait=True)
        await self._remove("user", user_id, wait=True)

    async def run(self) -> None:
        """Finish until cancelled what was begun and not finished."""
        while True:
            try:
                for project_id in await projects.marked_projects(self._pool):
                    await self._remove("project", project_id, wait=False)
                for user_id in await users.marked_users(self._pool):
                    await self._remove("user", user_id, wait=False)
            except DATABASE_AWAY as error:
                logger.warning("deletions_postponed", error=repr(error))
            await asyncio.sleep(INTERVAL_S)

    async def _remove(self, what: Literal["project", "user"], id_: str, *, wait: bool) -> None:
        """Take the rows of what is marked away; where that fails now, `run` tries again.

        `wait` for another process that is doing it, rather than leave it to that one.
        """
        try:
            async with self._slots:
                # A batch that was begun before the mark may still ask for the row.
                await self._barrier.applied(BARRIER_TIMEOUT_S)
                await _REMOVALS[what](self._pool, id_, wait=wait, timeout=REMOVAL_TIMEOUT_S)
        except _POSTPONED as error:
            logger.warning("deletion_postponed", **{f"{what}_id": id_}, error=repr(error))
