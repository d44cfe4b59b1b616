"""The projector: reads the Raft log in order and applies it to one database.

One is active per database: it holds an advisory lock on the very connection that commits
the batches, so a projector that lost the lock cannot write; the others wait for it. It halts
with the evidence when the log and the database contradict each other, and never guesses.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from consensus.log import Entry, Log, LogCorrupt, LogUnavailable
from domain.errors import BrokenInvariant, UndecodableEntry
from projections.apply import apply_batch
from projections.batch import DecodedEntry, decode_entry
from projections.checkpoint import Checkpoint, create_checkpoint, read_checkpoint
from projections.revisions import APPLICATION

LOCK_CLASS, LOCK_OBJECT = 0x4347, 1
"""The advisory lock of the active projector ("CG")."""

MAX_BATCH_ENTRIES = 2000
RETRY_DELAYS_S = (0.05, 0.1, 0.2, 0.5, 1.0)

_DATABASE_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
_TRY_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_CONTRADICTIONS = (
    LogCorrupt,
    UndecodableEntry,
    BrokenInvariant,
    asyncpg.IntegrityConstraintViolationError,
)

_HALT = """
INSERT INTO projector_halts (application_name, reason, detail, position, halted_at)
VALUES ($1, $2, $3, $4, now())
ON CONFLICT (application_name) DO UPDATE SET reason = excluded.reason,
    detail = excluded.detail, position = excluded.position, halted_at = excluded.halted_at
"""

logger = structlog.get_logger(__name__)


class ProjectorHalted(BrokenInvariant):
    """The projector stopped for good; an operator must act (docs/RUNBOOK.md).

    `reason` is one of: log-behind-checkpoint, log-diverged, undecodable-entry,
    broken-invariant.
    """

    def __init__(self, reason: str, detail: str, position: int | None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.position = position


class Projector:
    """Applies `log` to the database behind `dsn` until it is cancelled or must halt."""

    def __init__(
        self, log: Log, dsn: str, *, on_applied: Callable[[Checkpoint], None] | None = None
    ) -> None:
        self._log = log
        self._dsn = dsn
        self._on_applied = on_applied
        self.active = asyncio.Event()
        """Set while this projector holds the lock."""

    async def run(self) -> None:
        """Run for ever. Raises ProjectorHalted; waits out a database or log that is away."""
        failures = 0
        while True:
            try:
                await self._run_on_one_connection()
            except (*_DATABASE_AWAY, *_TRY_AGAIN, LogUnavailable) as error:
                delay = RETRY_DELAYS_S[min(failures, len(RETRY_DELAYS_S) - 1)]
                failures = 0 if self.active.is_set() else failures + 1
                logger.warning("projector_interrupted", error=repr(error), retry_in_s=delay)
                await asyncio.sleep(delay)
            finally:
                self.active.clear()

    async def _run_on_one_connection(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, server_settings={"application_name": "guardian-projector"}
        )
        try:
            await connection.execute("SELECT pg_advisory_lock($1, $2)", LOCK_CLASS, LOCK_OBJECT)
            try:
                await self._project(connection)
            except _CONTRADICTIONS as error:
                halted = _as_halt(error)
                await connection.execute(
                    _HALT, APPLICATION, halted.reason, halted.detail, halted.position
                )
                raise halted from error
        finally:
            # terminate(), not close(): on the way out nothing is worth waiting for.
            connection.terminate()

    async def _project(self, connection: asyncpg.Connection) -> None:
        await create_checkpoint(connection)
        checkpoint = await read_checkpoint(connection)
        await self._compare_with_log(checkpoint)
        await connection.execute(
            "DELETE FROM projector_halts WHERE application_name = $1", APPLICATION
        )
        self.active.set()
        logger.info("projector_active", position=checkpoint.position)
        reader = self._log.reader(checkpoint.position)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        lost_wait = asyncio.ensure_future(lost.wait())
        try:
            while True:
                batch_wait = asyncio.ensure_future(reader.next_batch(MAX_BATCH_ENTRIES))
                try:
                    await asyncio.wait(
                        (batch_wait, lost_wait), return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    if not batch_wait.done():
                        batch_wait.cancel()
                        await asyncio.wait((batch_wait,))
                if lost.is_set():
                    raise asyncpg.ConnectionDoesNotExistError("the projector's connection ended")
                checkpoint = await self._apply(connection, checkpoint, batch_wait.result())
        finally:
            lost_wait.cancel()
            await reader.close()

    async def _apply(
        self, connection: asyncpg.Connection, checkpoint: Checkpoint, entries: Sequence[Entry]
    ) -> Checkpoint:
        decoded, failure = _decode_until_failure(entries)
        if decoded:
            checkpoint = await apply_batch(connection, checkpoint, decoded)
            if self._on_applied is not None:
                self._on_applied(checkpoint)
        if failure is not None:
            raise failure
        return checkpoint

    async def _compare_with_log(self, checkpoint: Checkpoint) -> None:
        """The log must still hold what was applied here, byte for byte."""
        status = await self._log.status()
        if status.last_position < checkpoint.position:
            raise ProjectorHalted(
                "log-behind-checkpoint",
                f"the log ends at {status.last_position}, but {checkpoint.position} was applied",
                checkpoint.position,
            )
        if checkpoint.change_digest is None:
            return
        entry = await self._log.entry_at(checkpoint.change_position)
        if entry is None:
            raise ProjectorHalted(
                "log-diverged",
                f"the log has no entry at {checkpoint.change_position} any more",
                checkpoint.change_position,
            )
        found = hashlib.sha256(entry.data).digest()
        if found != checkpoint.change_digest:
            raise ProjectorHalted(
                "log-diverged",
                f"the entry at {checkpoint.change_position} has SHA-256 {found.hex()},"
                f" applied was {checkpoint.change_digest.hex()}",
                checkpoint.change_position,
            )


def _decode_until_failure(
    entries: Sequence[Entry],
) -> tuple[list[DecodedEntry], UndecodableEntry | None]:
    """What comes before an undecodable entry is applied; then the projector halts at it."""
    decoded: list[DecodedEntry] = []
    for entry in entries:
        try:
            decoded.append(decode_entry(entry))
        except UndecodableEntry as error:
            return decoded, error
    return decoded, None


def _as_halt(error: Exception) -> ProjectorHalted:
    if isinstance(error, ProjectorHalted):
        return error
    if isinstance(error, UndecodableEntry):
        return ProjectorHalted("undecodable-entry", str(error), error.position)
    reason = "log-diverged" if isinstance(error, LogCorrupt) else "broken-invariant"
    return ProjectorHalted(reason, str(error), None)
