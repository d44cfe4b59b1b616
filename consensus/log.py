"""The port to the Raft log: what the rest of the product may ask of it.

An adapter (`jetstream`, or `memory` for unit tests) implements `Log`. The log
holds opaque bytes: this package must never look inside an entry.

Positions are the engine's own: they start at 1 or behind it, grow by at least one from
entry to entry, and have gaps (barriers expire, and a message has room for several entries).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
"""Bound of the data in one batch of a reader; a batch of one entry may exceed it."""


class LogError(Exception):
    """The Raft log did not do what it was asked."""


class LogUnavailable(LogError):
    """The log has no quorum or cannot be reached; the append did not happen."""


class AccessUnusable(LogError):
    """The addresses or credentials that we were given for the log can never work."""


class AppendOutcomeUnknown(LogError):
    """No answer came before the deadline; the entry may or may not be committed."""


class EntryTooLarge(LogError):
    """The entry exceeds what the log accepts; the append did not happen."""


class LogCorrupt(LogError):
    """The log contradicts itself or what was read from it before."""


class EntryKind(Enum):
    """CHANGE carries a change set; BARRIER carries nothing and expires by itself."""

    CHANGE = "change"
    BARRIER = "barrier"


@dataclass(frozen=True, slots=True)
class Entry:
    """One committed entry, exactly as the log holds it."""

    position: int
    kind: EntryKind
    data: bytes
    """The bytes that were appended; empty for a barrier."""
    time: datetime
    """When the log's leader stored it: aware, UTC, microseconds. May run backwards."""


@dataclass(frozen=True, slots=True)
class Member:
    """One server of the Raft group, as the leader sees it."""

    name: str
    online: bool
    current: bool
    """False while it is catching up."""
    lag: int
    """Messages that it is behind the leader."""


@dataclass(frozen=True, slots=True)
class LogStatus:
    """The state of the group; `leader` is None while there is none."""

    leader: str | None
    term: int | None
    """None where the engine's monitoring port cannot be reached."""
    members: tuple[Member, ...]
    first_position: int
    """No entry is before it; 0 when the log is empty."""
    last_position: int
    """0 when nothing was ever appended. Counts expired barriers too."""
    position_step: int = 1
    """As `Log.position_step`."""
    begins_at: int = 1
    """The lowest position that an entry can ever have had; above 1 where the log was begun anew.
    Its first entry of now may be a later one, as barriers expire."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be appended, as far as is known; None: it can."""
        if self.leader is None:
            return "there is no leader"
        online = sum(member.online for member in self.members)
        if 2 * online > len(self.members):
            return None
        # It leads for some seconds more, and takes what it cannot commit.
        return f"no quorum: {online} of {len(self.members)} members are online"

    def behind(self, position: int) -> int:
        """How many messages of the log are behind `position`: barriers and groups are one each."""
        return max(0, -(-(self.last_position - position) // self.position_step))


class LogReader(Protocol):
    """Reads entries in order from one position on, through reconnects."""

    async def next_batch(
        self, max_entries: int = 1000, timeout: float | None = None
    ) -> Sequence[Entry]:
        """Wait for at least one entry; return all that are here, oldest first.

        At most `max_entries`, and at most MAX_BATCH_BYTES of data. Not for two callers
        at the same time; a cancelled call loses nothing.
        Returns an empty sequence when `timeout` seconds pass with none. Survives the
        death of a server by starting anew behind the last entry that it returned:
        nothing is skipped, nothing comes twice. Raises LogCorrupt if the log's last
        position is behind `after` or an entry that this reader returned already;
        LogUnavailable once the reader or its log is closed.
        """
        ...

    async def close(self) -> None:
        """Release the consumer. Idempotent."""
        ...


class Log(Protocol):
    """The Raft-replicated, append-only log."""

    @property
    def position_step(self) -> int:
        """How far a message's position is from that of the message before, at least.

        A barrier is a message by itself: the last entry before it is `position_step` before
        it, or earlier.
        """
        ...

    @property
    def max_entry_bytes(self) -> int:
        """The largest entry that an append accepts, as far as is known now."""
        ...

    async def append(self, message_id: str, data: bytes, *, timeout: float) -> int:
        """Commit `data` on a quorum and return its position.

        The same `message_id` at the same time, or again within the engine's duplicate
        window, returns the first position and appends nothing; but an entry that went
        with others in one message may come a second time, so whoever applies entries
        must know their ids. Retries inside `timeout` seconds, with
        the same id. Raises LogUnavailable when it is certain that nothing was
        appended, AppendOutcomeUnknown when it is not, EntryTooLarge.
        """
        ...

    async def barrier(self, *, timeout: float) -> int:
        """Append an entry that expires by itself and return its position.

        A reader that has reached it has seen every entry that was committed before
        this call began. Raises LogUnavailable (also where the outcome is unknown: a
        barrier carries nothing, so asking again is always safe).
        """
        ...

    def reader(self, after: int) -> LogReader:
        """A reader of the entries behind position `after` (0: from the first)."""
        ...

    async def entry_at(self, position: int) -> Entry | None:
        """The entry at exactly this position, None if it is not there (any more)."""
        ...

    async def status(self) -> LogStatus:
        """Leader, members and positions. Raises LogUnavailable."""
        ...

    async def lacking(self, recorded: int = 0) -> Mapping[str, int]:
        """Members that have lost a part of the log and do not know it, with how many messages they
        lack at least: those that hold fewer than the leader holds of change sets, or fewer than the
        `recorded` ones that somebody has read from it. Empty where nobody can be asked. Raises
        LogUnavailable."""
        ...

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        ...
