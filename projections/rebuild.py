"""Rebuild `configs` from `config_revisions`, or prove that it need not be: shadow, compare, swap.

Reads and writes go on meanwhile; only where rows are wrong, the last step holds the projector off,
for as long as these take to be put right. Interrupted at any point, the old rows stay.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncpg

from projections.checkpoint import Checkpoint, create_checkpoint, read_checkpoint
from projections.revisions import Connection
from projections.shadow import (
    Difference,
    Progress,
    compare_with_shadow,
    make_shadow,
    refresh_shadow,
    replace_by_shadow,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a rebuild or a verification found."""

    configs: int
    """Configs that the revisions make, tombstones included."""
    differences: int
    """Live rows that were not what they should be."""
    first: Difference | None
    position: int
    """The log position that was compared."""


@asynccontextmanager
async def _two_connections(dsn: str) -> AsyncIterator[tuple[Connection, Connection]]:
    reader, writer = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        yield reader, writer
    finally:
        reader.terminate()
        writer.terminate()


async def _compare(
    reader: Connection, writer: Connection, project_id: str | None, progress: Progress
) -> tuple[Report, Checkpoint]:
    """Compare in one snapshot, so that a busy projector is no difference; what the writer's
    temporary tables keep is of the checkpoint."""
    async with reader.transaction(isolation="repeatable_read", readonly=True):
        snapshot = await reader.fetchval("SELECT pg_export_snapshot()")
        async with writer.transaction(isolation="repeatable_read"):
            # The id comes from the server itself; SET takes no parameters.
            await writer.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            checkpoint = await read_checkpoint(reader)
            configs = await make_shadow(reader, writer, project_id, progress)
            differences, first = await compare_with_shadow(writer, project_id)
    return Report(configs, differences, first, checkpoint.position), checkpoint


async def verify_configs(
    dsn: str, project_id: str | None = None, progress: Progress = lambda done, total: None
) -> Report:
    """Compare every row of `configs` with what its revisions make. Changes nothing."""
    async with _two_connections(dsn) as (reader, writer):
        report, _ = await _compare(reader, writer, project_id, progress)
    return report


async def rebuild_configs(
    dsn: str, project_id: str | None = None, progress: Progress = lambda done, total: None
) -> Report:
    """Make the rows of `configs` what their revisions say; the report says what was wrong."""
    async with _two_connections(dsn) as (reader, writer):
        report, compared_at = await _compare(reader, writer, project_id, progress)
        if not report.differences:
            return report
        await create_checkpoint(writer)
        async with writer.transaction():
            # The projector cannot commit while we hold this row; it waits, and goes on. What it
            # wrote since the comparison is right, unless the row was wrong before.
            now = await read_checkpoint(writer, lock=True)
            await writer.execute("SELECT 1 FROM projects WHERE deleted_at IS NULL FOR KEY SHARE")
            await refresh_shadow(writer, project_id, compared_at.last_sequence)
            await replace_by_shadow(writer)
    return replace(report, position=now.position)
