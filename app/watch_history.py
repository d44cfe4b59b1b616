"""What a watcher missed, read from `config_revisions` in pages, on any process.

Pages are bounded in what they hold and in what is looked at for them, few are read at a time, and
watchers who ask for the same page at the same moment (all of them, after a restart) share it. Must
never read beyond what the read model holds: the live feed takes over exactly there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg

from app.tables.watch import revisions_behind, sequence_at
from app.watch_events import Filter, change_data, change_event
from projections.read_model import ReadModel

PAGE_REVISIONS = 250
PAGE_BYTES = 128 * 1024
CONCURRENT_PAGES = 4


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of an event stream."""

    events: bytes
    sequence: int
    """Where the next page starts."""
    position: int | None
    """All of the filter's changes up to here were sent; None: the history goes on."""


class WatchHistory:
    """Reads pages for the watchers of one process."""

    def __init__(self, pool: asyncpg.Pool, model: ReadModel) -> None:
        self._pool = pool
        self._model = model
        self._few = asyncio.Semaphore(CONCURRENT_PAGES)
        self._reading: dict[tuple[str, Filter, int | None, int], asyncio.Task[Page]] = {}

    async def page(
        self, project_id: str, wanted: Filter, position: int, sequence: int | None
    ) -> Page:
        """The changes behind `position`, or behind `sequence` where a page before gave one.

        Raises what the database's driver raises.
        """
        key = (project_id, wanted, sequence, position if sequence is None else 0)
        task = self._reading.get(key)
        if task is None:
            task = asyncio.create_task(self._read(project_id, wanted, position, sequence))
            self._reading[key] = task
            task.add_done_callback(lambda _: self._reading.pop(key, None))
        # Shielded: one client that leaves must not take the page from the others.
        return await asyncio.shield(task)

    async def _read(
        self, project_id: str, wanted: Filter, position: int, sequence: int | None
    ) -> Page:
        async with self._few:
            # Both belong to one moment of the read model; taken together, without a pause.
            up_to, reached = self._model.sequence, self._model.position
            if sequence is None:
                sequence = await sequence_at(self._pool, position)
            revisions, full, looked_at = await revisions_behind(
                self._pool,
                project_id,
                sequence,
                up_to,
                wanted.prefix,
                wanted.keys,
                PAGE_REVISIONS,
                PAGE_BYTES,
            )
        # Whether the last one ends its change set, only the next page knows: it waits for it.
        sent = revisions[:-1] if full else revisions
        events = [
            change_event(
                change_data(r), None if after and after.position == r.position else r.position
            )
            for r, after in zip(sent, [*revisions[1:], None], strict=False)
        ]
        if full:
            return Page(b"".join(events), sent[-1].sequence, None)
        if looked_at < up_to:
            return Page(b"".join(events), looked_at, None)
        return Page(b"".join(events), up_to, reached)
