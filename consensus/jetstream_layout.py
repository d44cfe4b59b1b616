"""How the stream's messages hold the log's entries, and how their positions follow.

A message holds one entry, or a group of entries that were appended at the same moment (group
commit): then one Raft proposal carries them all. A position is `room` times the message's
sequence, less how many entries of its group come behind it: the last entry of a message, or its
only one, has the full multiple, so the stream's end is a position of its own. Pure: no I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from consensus.log import Entry, EntryKind, LogCorrupt

GROUP_ROOM: Final = 100
"""At most so many entries are in one message. Part of what is stored: never change it."""

_LENGTH: Final = struct.Struct(">I")
LENGTH_BYTES: Final = _LENGTH.size


def subject_of(stream: str, kind: EntryKind) -> str:
    """The subject of messages that hold one entry of this kind."""
    return f"{stream}.{kind.value}"


def group_subject(stream: str) -> str:
    """The subject of messages that hold a group of change sets."""
    return f"{stream}.group"


def encode_group(entries: Sequence[bytes]) -> bytes:
    """Each entry behind its length (4 bytes, big-endian)."""
    return b"".join(part for data in entries for part in (_LENGTH.pack(len(data)), data))


def decode_group(data: bytes) -> list[bytes] | None:
    """What `encode_group` was given; None if it never made these bytes."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + LENGTH_BYTES
        if start > len(data):
            return None
        at = start + _LENGTH.unpack_from(data, start - LENGTH_BYTES)[0]
        entries.append(data[start:at])
    return entries if entries and at == len(data) and len(entries) <= GROUP_ROOM else None


class Layout:
    """The layout of one stream, as its subjects say.

    A stream that was made before there were groups has no subject for them. Its positions are
    its sequences, and it gets one message for each entry, for ever.
    """

    def __init__(self, stream: str, *, groups: bool) -> None:
        self.stream = stream
        self.groups = groups
        self.room = GROUP_ROOM if groups else 1
        self._group = group_subject(stream)
        self._kinds = {subject_of(stream, kind): kind for kind in EntryKind}

    @classmethod
    def of(cls, stream: str, subjects: Sequence[str] | None) -> Layout:
        """The layout of a stream that has these subjects."""
        return cls(stream, groups=group_subject(stream) in (subjects or ()))

    @property
    def subjects(self) -> list[str]:
        """What the stream takes in."""
        return [*self._kinds, *([self._group] if self.groups else [])]

    @property
    def change_subjects(self) -> list[str]:
        """Those of its subjects whose messages hold change sets."""
        one = subject_of(self.stream, EntryKind.CHANGE)
        return [one, *([self._group] if self.groups else [])]

    def position(self, sequence: int) -> int:
        """The position of the last entry in the message."""
        return sequence * self.room

    def first_position(self, sequence: int) -> int:
        """The lowest position that an entry of the message may have."""
        return (sequence - 1) * self.room + 1

    def sequence(self, position: int) -> int:
        """The message that holds the position, or would."""
        return -(-position // self.room)

    def sequence_behind(self, position: int) -> int:
        """The first message that may hold an entry behind the position."""
        return position // self.room + 1

    def entries(
        self, subject: str | None, sequence: int, data: bytes, time: datetime
    ) -> list[Entry]:
        """The entries of one message, in order. Raises LogCorrupt for a foreign subject.

        A group that cannot be read comes as one entry, which nobody can decode: the projector
        halts there with its position, as at any entry of that kind.
        """
        last = self.position(sequence)
        if subject == self._group and self.groups:
            parts = decode_group(data) or [data]
            first = last - len(parts) + 1
            return [
                Entry(first + place, EntryKind.CHANGE, part, time)
                for place, part in enumerate(parts)
            ]
        kind = self._kinds.get(subject or "")
        if kind is None:
            raise LogCorrupt(f"position {last} has the unknown subject {subject!r}")
        return [Entry(last, kind, data, time)]
