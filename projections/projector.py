"""The projector: reads the Raft log in order and applies it to one database.

One is active per database: it holds an advisory lock on the very connection that commits
the batches, so a projector that lost the lock cannot write; the others wait for it. It halts
with the evidence when the log and the database contradict each other, and never guesses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from consensus.log import Entry, Log, LogCorrupt, LogUnavailable
from domain.errors import BrokenInvariant, UndecodableEntry
from projections.apply import PLANNED_ONCE, BrokenChain, apply_batch
from projections.batch import DecodedEntry, decode_entry
from projections.checkpoint import (
    Checkpoint,
    create_checkpoint,
    first_position,
    read_checkpoint,
)
from projections.database import (
    DATABASE_AWAY,
    UNDONE_TRY_AGAIN,
    Reminder,
    place_of,
    session_name,
)
from projections.halts import Halt, clear_halt, read_halt, record_halt
from projections.halts import ProjectorHalted as ProjectorHalted
from projections.log_check import compare_with_log
from projections.pending_lists import PendingLists
from projections.recent import Recent
from projections.rights import require_rights
from projections.skips import Skips, is_skipped, skips_behind

LOCK_CLASS, LOCK_OBJECT = 0x4347, 1
"""The advisory lock of the active projector ("CG")."""

MAX_BATCH_ENTRIES = 2000
HEARTBEAT_S = 2.0
FROZEN_AFTER_MS = 8000
"""PostgreSQL ends the session, and with it the lock, of a projector that is silent for this
long (its process is frozen, or its host unreachable), so that a standby takes over."""
STANDBY_POLL_S = 0.2
"""How often a standby asks for the lock. Asking, not waiting: a session that waits in PostgreSQL
outlives its process, and a process that waits for its answer outlives PostgreSQL's host."""
ANSWER_TIMEOUT_S = 5.0
COMMIT_TIMEOUT_S = 60.0
"""Without an answer for this long the connection is given up, though nothing ended it. A commit
may wait for a rebuild's last step; then it is tried again."""
RETRY_DELAYS_S = (0.05, 0.1, 0.2, 0.5, 1.0)

_CONTRADICTIONS = (LogCorrupt, UndecodableEntry, BrokenInvariant)
_REFUSED = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    ValueError,  # asyncpg's own, for what it cannot encode
)
"""What PostgreSQL says of rows that it will never take, whoever asks again."""

logger = structlog.get_logger(__name__)


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
        self._skips: Skips = {}
        self._halted_at: Halt | None = None
        """A halt of before whose place was not passed yet."""
        self._recent = Recent()
        self._pending_lists = PendingLists(dsn)

    async def run(self) -> None:
        """Run for ever. Raises ProjectorHalted; waits out a database or log that is away."""
        failures, reminder = 0, Reminder()
        while True:
            try:
                await self._run_on_one_connection()
            except (*DATABASE_AWAY, *UNDONE_TRY_AGAIN, LogUnavailable) as error:
                delay = RETRY_DELAYS_S[min(failures, len(RETRY_DELAYS_S) - 1)]
                failures = 0 if self.active.is_set() else failures + 1
                if self.active.is_set():
                    reminder.over()
                if reminder.is_due(asyncio.get_running_loop().time()):
                    logger.warning(
                        "projector_interrupted",
                        database=place_of(self._dsn),
                        error=repr(error),
                        retry_in_s=delay,
                    )
                await asyncio.sleep(delay)
            finally:
                self.active.clear()

    async def _run_on_one_connection(self) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            command_timeout=COMMIT_TIMEOUT_S,
            server_settings={
                **PLANNED_ONCE,
                "application_name": session_name("projector"),
                "idle_session_timeout": str(FROZEN_AFTER_MS),
                "idle_in_transaction_session_timeout": str(FROZEN_AFTER_MS),
            },
        )
        try:
            while not await connection.fetchval(  # noqa: ASYNC110 - nobody tells of a lock
                "SELECT pg_try_advisory_lock($1, $2)",
                LOCK_CLASS,
                LOCK_OBJECT,
                timeout=ANSWER_TIMEOUT_S,
            ):
                await asyncio.sleep(STANDBY_POLL_S)
            cleaning = asyncio.create_task(self._pending_lists.keep_short())
            cleaning.add_done_callback(lambda _: connection.terminate())
            try:
                await self._project(connection)
            except _CONTRADICTIONS as error:
                halted = _as_halt(error)
                await record_halt(connection, halted)
                raise halted from error
            finally:
                cleaning.cancel()
                await asyncio.wait([cleaning])
                if not cleaning.cancelled():
                    cleaning.result()  # why it ended, and this with it
        finally:
            # terminate(), not close(): on the way out nothing is worth waiting for.
            connection.terminate()

    async def _project(self, connection: asyncpg.Connection) -> None:
        await require_rights(connection, "guardian_projector")
        await create_checkpoint(connection)
        checkpoint = await read_checkpoint(connection)
        await compare_with_log(self._log, checkpoint, await first_position(connection))
        await clear_halt(connection, checkpoint.position)
        self._halted_at = await read_halt(connection)
        self._skips = await skips_behind(connection, checkpoint.position)
        self._recent.forget()
        self.active.set()
        logger.info("projector_active", position=checkpoint.position)
        reader = self._log.reader(checkpoint.position)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        lost_wait = asyncio.ensure_future(lost.wait())
        batch_wait: asyncio.Future[Sequence[Entry]] | None = None
        try:
            while True:
                batch_wait = batch_wait or asyncio.ensure_future(
                    reader.next_batch(MAX_BATCH_ENTRIES)
                )
                await asyncio.wait(
                    (batch_wait, lost_wait),
                    timeout=HEARTBEAT_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if lost.is_set():
                    raise asyncpg.ConnectionDoesNotExistError("the projector's connection ended")
                if batch_wait.done():
                    entries, batch_wait = batch_wait.result(), None
                    checkpoint = await self._apply(connection, checkpoint, entries)
                else:
                    await connection.execute("SELECT 1", timeout=ANSWER_TIMEOUT_S)
        finally:
            lost_wait.cancel()
            if batch_wait is not None:
                batch_wait.cancel()
            await reader.close()

    async def _apply(
        self, connection: asyncpg.Connection, checkpoint: Checkpoint, entries: Sequence[Entry]
    ) -> Checkpoint:
        decoded, failure = _decode_until_failure(entries, self._skips)
        if decoded:
            before = checkpoint.last_sequence
            checkpoint = await self._commit(connection, checkpoint, decoded)
            if checkpoint.last_sequence > before:
                self._pending_lists.filled()
            if self._halted_at is not None:
                self._halted_at = await read_halt(connection)
            if self._on_applied is not None:
                self._on_applied(checkpoint)
        if failure is not None:
            raise failure
        return checkpoint

    async def _commit(
        self, connection: asyncpg.Connection, checkpoint: Checkpoint, decoded: list[DecodedEntry]
    ) -> Checkpoint:
        try:
            if self._halted_at is None:
                return await apply_batch(connection, checkpoint, decoded, self._recent)
            # With the batch: whoever was told of a change behind a halt finds no halt any more.
            async with connection.transaction():
                after = await apply_batch(connection, checkpoint, decoded)
                await clear_halt(connection, after.position)
            return after
        except (BrokenChain, *_REFUSED) as error:
            if len(decoded) == 1:
                position = decoded[0].entry.position
                chain = isinstance(error, BrokenChain)
                raise ProjectorHalted(
                    "broken-chain" if chain else "broken-invariant",
                    str(error) if chain else f"the database refuses entry {position}: {error}",
                    position,
                ) from error
        # One by one: what comes before the entry that is refused is applied, and it is named.
        for item in decoded:
            checkpoint = await self._commit(connection, checkpoint, [item])
        return checkpoint


def _decode_until_failure(
    entries: Sequence[Entry], skips: Skips
) -> tuple[list[DecodedEntry], UndecodableEntry | None]:
    """What comes before an undecodable entry is applied; then the projector halts at it."""
    decoded: list[DecodedEntry] = []
    for entry in entries:
        if is_skipped(skips, entry):
            decoded.append(DecodedEntry(entry, None, ()))
            continue
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
