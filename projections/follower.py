"""Keeps a `ReadModel` behind `config_revisions`: follows the projector's NOTIFY, and fills it with
what is there already.

Reads only what is committed, in order, each revision once; survives the database's absence by
starting anew behind the last sequence that it has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import orjson
import structlog

from domain.errors import BrokenInvariant, Conflict
from projections.checkpoint import CHANNEL, Checkpoint, read_checkpoint
from projections.database import (
    DATABASE_AWAY,
    Reminder,
    Silence,
    answered_within,
    place_of,
    session_name,
)
from projections.read_model import ReadModel, Rejected
from projections.recorded import COLUMNS, from_row
from projections.revisions import Connection

CHECK_INTERVAL_S = 1.0
"""A NOTIFY that got lost with a connection is made up for after at most this long."""
ANSWER_TIMEOUT_S = 3.0
"""A database that does not say where it stands for this long is silent (`Silence`). With the
interval, how long whoever waits for it learns nothing."""
REVISION_S = 0.1
"""How much longer each revision may take, the largest over a slow link too."""
COMMAND_TIMEOUT_S = 30.0
RETRY_DELAYS_S = (0.05, 0.1, 0.2, 0.5, 1.0)
PAGE = 5000
WARM_PAGE = 200
"""Revisions that are taken in at once; between two pages the process answers requests."""

# Of each config one step into its history, and one to the next: a plain join reads all of the
# history, before the first row comes. Never from `configs`, which may be damaged.
_LOAD = f"""
WITH RECURSIVE keys AS (
    (SELECT project_id, config_key FROM config_revisions
     ORDER BY project_id DESC, config_key DESC LIMIT 1)
    UNION ALL
    SELECT below.* FROM keys CROSS JOIN LATERAL (
        SELECT project_id, config_key FROM config_revisions
        WHERE (project_id, config_key) < (keys.project_id, keys.config_key)
        ORDER BY project_id DESC, config_key DESC LIMIT 1) AS below
)
SELECT {COLUMNS} FROM keys CROSS JOIN LATERAL (
    SELECT * FROM config_revisions
    WHERE project_id = keys.project_id AND config_key = keys.config_key
    ORDER BY version DESC LIMIT 1) AS r
"""  # noqa: S608
_NEXT = f"""
SELECT {COLUMNS} FROM config_revisions r
WHERE r.sequence > $1 AND r.sequence <= $2 ORDER BY r.sequence LIMIT $3
"""  # noqa: S608
_REJECTED = """
SELECT change_id, position, conflicts::text AS conflicts FROM rejected_changes
WHERE position > $1 AND position <= $2 ORDER BY position
"""

logger = structlog.get_logger(__name__)


class _Told:
    """What the projector's NOTIFYs said since it was taken last, added up."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._position = 0
        self._last_sequence = 0
        self._rejected = False

    def add(self, payload: str) -> None:
        """One payload: `position:last_sequence:rejections` (projections/checkpoint.py)."""
        position, last_sequence, rejections = map(int, payload.split(":"))
        self._position, self._last_sequence = position, last_sequence
        self._rejected = self._rejected or rejections > 0

    def take(self) -> tuple[int, int, bool]:
        """Position (0: nothing was said), last sequence, whether anything was rejected."""
        taken = self._position, self._last_sequence, self._rejected
        self._forget()
        return taken


class Follower:
    """Moves one read model on, on one connection of its own.

    `also`: what to call at a NOTIFY of other channels. One connection is told of commits in their
    order, so that comes before any revision that was committed later is in the model.
    `silence`: told when the database says nothing, and when it does again.
    """

    def __init__(
        self,
        dsn: str,
        model: ReadModel,
        also: Mapping[str, Callable[[], None]] | None = None,
        silence: Silence | None = None,
    ) -> None:
        self._dsn = dsn
        self._model = model
        self._also = also or {}
        self._silence = silence or Silence()
        self._started = False
        self.ready = asyncio.Event()
        """Set when the model follows: what it does not hold can be read from the table."""
        self.warmed = asyncio.Event()
        """Set when all that fits was taken in."""

    async def run(self) -> None:
        """Follow until cancelled; while the database is away the model stays as it is."""
        failures, reminder = 0, Reminder()
        while True:
            try:
                await self._follow()
            except DATABASE_AWAY as error:
                failures = 0 if self._model.live else failures + 1
                delay = RETRY_DELAYS_S[min(failures, len(RETRY_DELAYS_S) - 1)]
                if self._model.live:
                    reminder.over()
                if reminder.is_due(asyncio.get_running_loop().time()):
                    logger.warning(
                        "follower_interrupted",
                        database=place_of(self._dsn),
                        error=repr(error),
                        retry_in_s=delay,
                    )
                self._model.live = False
                if isinstance(error, TimeoutError):
                    self._silence.noticed()
                else:
                    self._silence.over()
                await asyncio.sleep(delay)
            finally:
                self._model.live = False

    async def warm(self) -> None:
        """Take in the newest revision of every config, as far as they fit, then return.

        Begins behind the model's start, so that whatever is newer than what is read here comes by
        `advance`.
        """
        await self.ready.wait()
        while not self.warmed.is_set():
            try:
                await self._warm()
            except DATABASE_AWAY as error:
                logger.warning("warming_interrupted", error=repr(error))
                await asyncio.sleep(RETRY_DELAYS_S[-1])

    async def _warm(self) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={"application_name": session_name("warmer")},
        )
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                checkpoint = await read_checkpoint(connection)
                cursor = await connection.cursor(_LOAD)
                while rows := await cursor.fetch(WARM_PAGE):
                    if not self._model.warm(map(from_row, rows)):
                        break
            if not rows:
                await self._model.wait_for(checkpoint.position)
                self._model.warmed()
        finally:
            connection.terminate()
        self.warmed.set()
        logger.info("read_model_warm", bytes=self._model.bytes, complete=self._model.complete)

    async def _follow(self) -> None:
        async with answered_within(ANSWER_TIMEOUT_S):
            connection = await asyncpg.connect(
                self._dsn,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings={"application_name": session_name("follower")},
            )
        try:
            news = asyncio.Event()
            told = _Told()

            def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
                told.add(str(payload))
                news.set()

            connection.add_termination_listener(lambda _: news.set())
            async with answered_within(ANSWER_TIMEOUT_S):
                for channel, tell in self._also.items():
                    await connection.add_listener(channel, lambda *_, tell=tell: tell())
                    tell()  # what was said while we did not listen is not known
                await connection.add_listener(CHANNEL, heard)
                if not self._started:
                    checkpoint = await read_checkpoint(connection)
                    self._model.start(checkpoint.position, checkpoint.last_sequence)
                    self._started = True
            while True:
                news.clear()
                position, last_sequence, rejected = told.take()
                if position == 0:
                    checkpoint = await self._where_it_stands(connection)
                    position, last_sequence, rejected = (
                        checkpoint.position,
                        checkpoint.last_sequence,
                        True,
                    )
                await self._catch_up(connection, position, last_sequence, rejected)
                self._model.live = True
                self.ready.set()
                try:
                    async with asyncio.timeout(CHECK_INTERVAL_S):
                        await news.wait()
                except TimeoutError:
                    pass
        finally:
            connection.terminate()

    async def _where_it_stands(self, connection: Connection) -> Checkpoint:
        """The checkpoint. Raises TimeoutError; BrokenInvariant if the database went back."""
        async with answered_within(ANSWER_TIMEOUT_S):
            checkpoint = await read_checkpoint(connection)
        self._silence.over()
        if checkpoint.position < self._model.position:
            raise BrokenInvariant(
                f"the database went back from position {self._model.position} to"
                f" {checkpoint.position}: a standby that lacked commits took over, or an older"
                " state was restored; this process knows what is not there any more"
            )
        return checkpoint

    async def _catch_up(
        self, connection: Connection, position: int, last_sequence: int, rejected: bool
    ) -> None:
        """Take over all up to a checkpoint; it was committed with its rows, so they are there."""
        if position <= self._model.position:
            return
        if last_sequence < self._model.sequence:
            raise BrokenInvariant(
                f"the database is at sequence {last_sequence} at position {position}, but"
                f" {self._model.sequence} was read before: it went back and on again"
            )
        rows = await self._page(connection, last_sequence)
        while len(rows) == PAGE:
            # A change set is taken over whole: its part of this page waits for the next.
            revisions = [from_row(row) for row in rows]
            whole = [r for r in revisions if r.change_id != revisions[-1].change_id]
            # To its own position: who starts to watch before the next page gets that one alone.
            reached = whole[-1].position
            rejections = await self._rejections(connection, reached) if rejected else []
            self._model.advance(whole, rejections, reached)
            rows = await self._page(connection, last_sequence)
        rejections = await self._rejections(connection, position) if rejected else []
        self._model.advance([from_row(row) for row in rows], rejections, position)

    async def _rejections(self, connection: Connection, up_to: int) -> list[tuple[str, Rejected]]:
        rows = await connection.fetch(_REJECTED, self._model.position, up_to)
        return [(row["change_id"], _rejected(row)) for row in rows]

    async def _page(self, connection: Connection, last_sequence: int) -> list[Any]:
        if last_sequence <= self._model.sequence:
            return []
        waiting = min(PAGE, last_sequence - self._model.sequence)
        async with answered_within(min(COMMAND_TIMEOUT_S, ANSWER_TIMEOUT_S + waiting * REVISION_S)):
            return list(await connection.fetch(_NEXT, self._model.sequence, last_sequence, PAGE))


def _rejected(row: Any) -> Rejected:
    conflicts = tuple(Conflict(**conflict) for conflict in orjson.loads(row["conflicts"]))
    return Rejected(row["position"], conflicts)
