"""Rebuild `configs` from `config_revisions`, or prove that it need not be: shadow, compare, swap.

Reads and writes go on meanwhile; only the last step holds the projector off, for as long as
the rows take that changed since the start. Interrupted at any point, the old rows stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from projections.checkpoint import create_checkpoint, read_checkpoint
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


async def verify_configs(
    dsn: str, project_id: str | None = None, progress: Progress = lambda done, total: None
) -> Report:
    """Compare every row of `configs` with what its revisions make, in one snapshot.

    Changes nothing. The two connections share a snapshot, so a busy projector is no
    difference.
    """
    reader, writer = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await reader.fetchval("SELECT pg_export_snapshot()")
            async with writer.transaction(isolation="repeatable_read"):
                # The id comes from the server itself; SET takes no parameters.
                await writer.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
                checkpoint = await read_checkpoint(reader)
                configs = await make_shadow(reader, writer, project_id, progress)
                differences, first = await compare_with_shadow(writer, project_id)
        return Report(configs, differences, first, checkpoint.position)
    finally:
        reader.terminate()
        writer.terminate()


async def rebuild_configs(
    dsn: str, project_id: str | None = None, progress: Progress = lambda done, total: None
) -> Report:
    """Make the rows of `configs` what their revisions say; the report says what was wrong."""
    reader, writer = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            started_at = await read_checkpoint(reader)
            configs = await make_shadow(reader, writer, project_id, progress)
        await create_checkpoint(writer)
        async with writer.transaction():
            # The projector cannot commit while we hold this row; it waits, and goes on.
            checkpoint = await read_checkpoint(writer, lock=True)
            await writer.execute("SELECT 1 FROM projects WHERE deleted_at IS NULL FOR KEY SHARE")
            await refresh_shadow(writer, project_id, started_at.last_sequence)
            differences, first = await compare_with_shadow(writer, project_id)
            if differences:
                await replace_by_shadow(writer, project_id)
                left, _ = await compare_with_shadow(writer, project_id)
                assert left == 0, f"{left} rows differ from the shadow that they were made from"
        return Report(configs, differences, first, checkpoint.position)
    finally:
        reader.terminate()
        writer.terminate()
