"""How the log and one database stand to each other, and the one decision that people make there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from consensus.log import EntryKind, Log
from projections.checkpoint import first_position, read_checkpoint
from projections.halts import Halt, ProjectorHalted, read_halt
from projections.log_check import compare_with_log
from projections.skips import add_skip

# Of a message with several change sets the last one's position, or what would be.
_MESSAGES = """
SELECT count(*) FROM (
    SELECT (position + $1 - 1) / $1 FROM config_revisions WHERE position >= $2
    UNION SELECT (position + $1 - 1) / $1 FROM rejected_changes WHERE position >= $2
) AS messages
"""


class NotHaltedThere(Exception):
    """The projector does not stand at that entry, so nothing may be decided about it."""


@dataclass(frozen=True, slots=True)
class LogReport:
    """The log, the checkpoint, and whether they agree."""

    leader: str | None
    term: int | None
    first_position: int
    last_position: int
    checkpoint: int
    behind: int
    """Messages of the log: a barrier is one, and so is a group of entries."""
    skipped: int
    lacking: Mapping[str, int]
    """As `Log.lacking`."""
    problem: str | None
    """Why the projector would halt on this log; None: it would not."""
    halt: Halt | None
    """The halt that stands."""


async def log_status(log: Log, dsn: str) -> LogReport:
    """Compare the log with the database. Raises LogUnavailable."""
    connection = await asyncpg.connect(dsn)
    try:
        checkpoint = await read_checkpoint(connection)
        first = await first_position(connection)
        halt = await read_halt(connection)
        # Fewer than there were: a project that was deleted took its own along.
        recorded = await connection.fetchval(_MESSAGES, log.position_step, first)
    finally:
        connection.terminate()
    # Before the comparison, whose barrier would count as a message that is not applied yet.
    status = await log.status()
    problem = None
    try:
        await compare_with_log(log, checkpoint, first)
    except ProjectorHalted as halted:
        problem = str(halted)
    return LogReport(
        leader=status.leader,
        term=status.term,
        first_position=status.first_position,
        last_position=status.last_position,
        checkpoint=checkpoint.position,
        behind=status.behind(checkpoint.position),
        skipped=checkpoint.skipped,
        lacking=await log.lacking(recorded),
        problem=problem,
        halt=halt,
    )


async def skip_entry(log: Log, dsn: str, position: int, reason: str, decided_by: str) -> str:
    """Record that the entry which the projector halted at is passed over; its SHA-256.

    Raises NotHaltedThere, LogUnavailable.
    """
    connection = await asyncpg.connect(dsn)
    try:
        halt = await read_halt(connection)
        if halt is None or halt.reason not in ("undecodable-entry", "broken-invariant"):
            stands = "runs" if halt is None else f"halted for another reason: {halt.reason}"
            raise NotHaltedThere(
                f"only an entry that it halted at is skipped; the projector {stands}"
            )
        if halt.position != position:
            raise NotHaltedThere(f"the projector halted at {halt.position}, not at {position}")
        entry = await log.entry_at(position)
        if entry is None or entry.kind is not EntryKind.CHANGE:
            raise NotHaltedThere(f"the log holds no change set at {position}")
        if not await add_skip(connection, entry, reason, decided_by):
            raise NotHaltedThere(f"position {position} was decided before")
        return hashlib.sha256(entry.data).hexdigest()
    finally:
        connection.terminate()
