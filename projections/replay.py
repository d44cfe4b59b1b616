"""Make a fresh database from the Raft log, and prove it equal to the live one, hash for hash.

The ordinary tables, which are not in the log, come from a database that has them. Must never
write into a database that holds anything already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import asyncpg

from consensus.log import Entry, Log, LogReader, LogUnavailable
from projections.apply import PLANNED_ONCE, apply_batch
from projections.batch import DecodedEntry, decode_entry
from projections.checkpoint import (
    Checkpoint,
    create_checkpoint,
    first_position,
    read_checkpoint,
)
from projections.fingerprint import Difference, Fingerprints, differences, fingerprints
from projections.projector import LOCK_CLASS, LOCK_OBJECT
from projections.skips import Skips, is_skipped, skips_behind
from projections.table_copy import copy_ordinary_tables

MAX_BATCH_ENTRIES = 2000
READ_TIMEOUT_S = 30.0
SILENT_S = 1.0
"""A log that delivers nothing for so long has perhaps nothing to deliver."""
Progress = Callable[[int, int], None]
"""Called with the position reached and the last one."""


class LogNotWhole(Exception):
    """The log does not begin at the first change; a replay of it alone cannot be equal."""


class TargetNotFresh(Exception):
    """The database to replay into holds something already."""


@dataclass(slots=True)
class ReplayReport:
    """What a replay did and found."""

    position: int
    """How far the new database is: the log's end when the replay began."""
    compared_position: int
    """Where both databases were compared: the live one's checkpoint. 0: it has none."""
    revisions: int
    skipped: int
    tables: dict[str, int]
    """Rows that were copied, by table."""
    fingerprints: int
    """How many tables of projects were compared."""
    differences: list[Difference] = field(default_factory=list)


async def replay(
    log: Log, into: str, tables_from: str, progress: Progress = lambda done, total: None
) -> ReplayReport:
    """Project the whole log into the migrated, empty database `into`.

    Raises TargetNotFresh, LogNotWhole, LogUnavailable, UndecodableEntry, and BrokenInvariant
    when the log contradicts itself. The live database goes on meanwhile: it is compared as it stood
    at the start.
    """
    target = await asyncpg.connect(into, server_settings=PLANNED_ONCE)
    try:
        await _require_fresh(target)
        end = await log.barrier(timeout=READ_TIMEOUT_S)
        tables, live, compared = await _take_over(tables_from, target)
        # A barrier of before may be what the live one stands at; the log goes on behind it.
        reader = log.reader(0)
        try:
            skips = await skips_behind(target, 0)
            work = _Replay(target, log, reader, skips, max(end, compared))
            await work.run(compared, progress)
            found: list[Difference] = []
            if compared:
                async with target.transaction(isolation="repeatable_read", readonly=True):
                    found = differences(live, await fingerprints(target))
            await work.run(max(end, compared), progress)
        finally:
            await reader.close()
        at = work.checkpoint
        return ReplayReport(
            at.position, compared, at.last_sequence, at.skipped, tables, len(live), found
        )
    finally:
        target.terminate()


async def _require_fresh(target: asyncpg.Connection) -> None:
    if not await target.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCK_CLASS, LOCK_OBJECT):
        raise TargetNotFresh("a projector works in it")
    for table in ("users", "projects", "config_revisions"):
        if await target.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):  # noqa: S608
            raise TargetNotFresh(f"it has rows in {table}")
    if (await read_checkpoint(target)).position:
        raise TargetNotFresh("it has a checkpoint")


async def _take_over(
    tables_from: str, target: asyncpg.Connection
) -> tuple[dict[str, int], Fingerprints, int]:
    """Copy the ordinary tables; the live fingerprints and checkpoint in the same snapshot."""
    source = await asyncpg.connect(tables_from)
    try:
        async with source.transaction(isolation="repeatable_read", readonly=True):
            checkpoint = await read_checkpoint(source)
            if (first := await first_position(source)) > 1:
                raise LogNotWhole(
                    f"the log was begun anew at position {first}; what was before it stands in"
                    " the database and its backups alone"
                )
            async with target.transaction():
                tables = await copy_ordinary_tables(source, target)
            await create_checkpoint(target)
            return tables, await fingerprints(source), checkpoint.position
    finally:
        source.terminate()


class _Replay:
    """The log into one database, up to exact positions."""

    def __init__(
        self, target: asyncpg.Connection, log: Log, reader: LogReader, skips: Skips, last: int
    ) -> None:
        self._target = target
        self._log = log
        self._reader = reader
        self._skips = skips
        self._last = last
        self._ahead: list[Entry] = []
        """Read, but behind the position that was asked for."""
        self._seen = 0
        self.checkpoint = Checkpoint()

    async def run(self, until: int, progress: Progress) -> None:
        """Apply every entry up to `until`, which was committed."""
        while self._seen < until:
            entries = await self._next(until)
            if entries:
                decoded = [self._decode(entry) for entry in entries]
                self.checkpoint = await apply_batch(self._target, self.checkpoint, decoded)
            progress(self._seen, self._last)

    async def _next(self, until: int) -> Sequence[Entry]:
        batch = self._ahead or await self._read(until)
        now = [entry for entry in batch if entry.position <= until]
        self._ahead = batch[len(now) :]
        # A barrier at `until` may have expired; an entry behind it says as much.
        self._seen = until if self._ahead else now[-1].position
        return now

    async def _read(self, until: int) -> list[Entry]:
        batch = await self._reader.next_batch(MAX_BATCH_ENTRIES, timeout=SILENT_S)
        if not batch:
            # All up to `until` may be barriers that have expired, and nothing behind them yet.
            await self._log.barrier(timeout=READ_TIMEOUT_S)
            batch = await self._reader.next_batch(MAX_BATCH_ENTRIES, timeout=READ_TIMEOUT_S)
        if not batch:
            raise LogUnavailable(f"the log was not delivered up to position {until}")
        return list(batch)

    def _decode(self, entry: Entry) -> DecodedEntry:
        if is_skipped(self._skips, entry):
            return DecodedEntry(entry, None, ())
        return decode_entry(entry)
