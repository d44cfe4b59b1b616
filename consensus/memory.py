"""The log in the memory of one process: the twin of the JetStream adapter for unit tests.

Same behaviour, no servers, and knobs for what is hard to provoke on real ones. Must never
be wired into the product: it survives nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from consensus.log import (
    MAX_BATCH_BYTES,
    AppendOutcomeUnknown,
    Entry,
    EntryKind,
    EntryTooLarge,
    LogCorrupt,
    LogStatus,
    LogUnavailable,
    Member,
)


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryLog:
    """A `Log`. Bound to the event loop that its methods are called in."""

    def __init__(
        self,
        *,
        max_entry_bytes: int = 8 * 1024 * 1024 - 1024,
        clock: Callable[[], datetime] = _now,
        begins_at: int = 1,
    ) -> None:
        self.max_entry_bytes = max_entry_bytes
        self.position_step = 1
        self.available = True
        """False: every append, barrier and status raises LogUnavailable at once, and readers
        wait as they do on a group without a leader."""
        self._clock = clock
        self._entries: dict[int, Entry] = {}
        self._begins_at = begins_at
        self._last = begins_at - 1
        self._positions: dict[str, int] = {}
        self._unknown: list[bool] = []
        self._readers: set[MemoryReader] = set()
        self._closed = False

    # The knobs

    def make_next_append_unknown(self, *, committed: bool) -> None:
        """The next append raises AppendOutcomeUnknown, after or without being committed."""
        self._unknown.append(committed)

    def expire_barriers(self) -> None:
        """Remove all barriers, as their time to live does. Positions stay used."""
        for position, entry in list(self._entries.items()):
            if entry.kind is EntryKind.BARRIER:
                del self._entries[position]

    def truncate(self, last_position: int) -> None:
        """Lose every entry behind this position, as a restored old backup does."""
        self._last = min(self._last, last_position)
        self._entries = {p: e for p, e in self._entries.items() if p <= last_position}
        self._positions = {m: p for m, p in self._positions.items() if p <= last_position}
        self._wake_readers()

    def replace(self, position: int, data: bytes) -> None:
        """Change the bytes of an entry, as no real log may."""
        old = self._entries[position]
        self._entries[position] = Entry(position, old.kind, data, old.time)

    def set_available(self, available: bool) -> None:
        """Set `available`, and wake the readers that waited."""
        self.available = available
        self._wake_readers()

    # The log

    async def append(self, message_id: str, data: bytes, *, timeout: float) -> int:
        """See `consensus.log.Log`. Message ids are remembered for ever."""
        if len(data) > self.max_entry_bytes:
            raise EntryTooLarge(
                f"an entry of {len(data)} bytes; the log accepts {self.max_entry_bytes}"
            )
        self._check_available()
        committed = self._unknown.pop(0) if self._unknown else None
        if committed is False:
            raise AppendOutcomeUnknown("as the test asked for; not committed")
        position = self._positions.get(message_id)
        if position is None:
            position = self._positions[message_id] = self._store(EntryKind.CHANGE, data)
        if committed:
            raise AppendOutcomeUnknown("as the test asked for; committed")
        # A real append lets other tasks run; a test must not pass because this one does not.
        await asyncio.sleep(0)
        return position

    async def barrier(self, *, timeout: float) -> int:
        """See `consensus.log.Log`."""
        self._check_available()
        position = self._store(EntryKind.BARRIER, b"")
        await asyncio.sleep(0)
        return position

    def reader(self, after: int) -> MemoryReader:
        """See `consensus.log.Log`."""
        if after < 0:
            raise ValueError("a position is never negative")
        if self._closed:
            raise LogUnavailable("the connection to the log is closed")
        reader = MemoryReader(self, after)
        self._readers.add(reader)
        return reader

    async def entry_at(self, position: int) -> Entry | None:
        """See `consensus.log.Log`."""
        self._check_available()
        return self._entries.get(position)

    async def status(self) -> LogStatus:
        """See `consensus.log.Log`."""
        self._check_available()
        return LogStatus(
            leader="memory",
            term=1,
            members=(Member("memory", online=True, current=True, lag=0),),
            first_position=min(self._entries, default=0),
            last_position=self._last,
            begins_at=self._begins_at,
        )

    async def lacking(self, recorded: int = 0) -> Mapping[str, int]:
        """See `consensus.log.Log`."""
        return {}

    async def close(self) -> None:
        """See `consensus.log.Log`. Closes its readers too."""
        self._closed = True
        for reader in list(self._readers):
            await reader.close()

    def _check_available(self) -> None:
        if self._closed:
            raise LogUnavailable("the connection to the log is closed")
        if not self.available:
            raise LogUnavailable("as the test asked for")

    def _store(self, kind: EntryKind, data: bytes) -> int:
        self._last += 1
        # Copied: a caller's bytearray must not change what is committed.
        self._entries[self._last] = Entry(self._last, kind, bytes(data), self._clock())
        self._wake_readers()
        return self._last

    def _wake_readers(self) -> None:
        for reader in self._readers:
            reader.wake()

    # For MemoryReader

    def entries_after(self, position: int, max_entries: int) -> list[Entry]:
        """The next entries behind `position`, bounded. Raises LogCorrupt."""
        if position > self._last:
            raise LogCorrupt(
                f"the log ends at position {self._last}, but position {position} "
                "was read from it before"
            )
        batch: list[Entry] = []
        size = 0
        if not self.available:
            return batch
        for candidate in range(position + 1, self._last + 1):
            entry = self._entries.get(candidate)
            if entry is None:
                continue
            size += len(entry.data)
            if len(batch) == max_entries or (batch and size > MAX_BATCH_BYTES):
                break
            batch.append(entry)
        return batch

    def forget(self, reader: MemoryReader) -> None:
        """The reader was closed."""
        self._readers.discard(reader)


class MemoryReader:
    """A `LogReader` of a MemoryLog."""

    def __init__(self, log: MemoryLog, after: int) -> None:
        self._log = log
        self._returned = after
        self._news = asyncio.Event()
        self._closed = False

    async def next_batch(
        self, max_entries: int = 1000, timeout: float | None = None
    ) -> Sequence[Entry]:
        """See `consensus.log.LogReader`."""
        if max_entries < 1:
            raise ValueError("max_entries must be at least 1")
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._news.clear()
                    if self._closed:
                        raise LogUnavailable("the reader is closed")
                    batch = self._log.entries_after(self._returned, max_entries)
                    if batch:
                        break
                    await self._news.wait()
        except TimeoutError:
            return []
        self._returned = batch[-1].position
        return batch

    async def close(self) -> None:
        """A waiting `next_batch` raises LogUnavailable. Idempotent."""
        self._closed = True
        self.wake()
        self._log.forget(self)

    def wake(self) -> None:
        """There may be something new."""
        self._news.set()
