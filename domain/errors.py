"""What may be refused, as typed exceptions; the HTTP layer maps each class to one problem.

This module must never know about HTTP: a class says what is wrong, and its attributes
say where and what the caller needs to act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DomainError(Exception):
    """A request that the rules refuse. `str()` is fit to be shown to the caller."""


class MalformedJson(DomainError):
    """The text is not JSON at all (RFC 8259)."""

    def __init__(self, detail: str, line: int, column: int) -> None:
        super().__init__(f"{detail} at line {line} column {column}")
        self.detail = detail
        self.line = line
        self.column = column


class NotIJson(DomainError):
    """The document is JSON, but not I-JSON (RFC 7493), so some reader would change it."""

    def __init__(self, detail: str, pointer: str) -> None:
        super().__init__(f"{detail} at {pointer or 'the top of the document'}")
        self.detail = detail
        self.pointer = pointer
        """A JSON Pointer (RFC 6901); empty for the whole document."""


class InvalidKey(DomainError):
    """The config key is outside the grammar."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"config key {key[:220]!r}: {detail}")
        self.key = key
        self.detail = detail


class ContentTooLarge(DomainError):
    """The content is larger than this service accepts."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"the content has {size_bytes} bytes; the limit is {limit_bytes}")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


@dataclass(frozen=True, slots=True)
class Conflict:
    """One config of a change set whose version was not the one it was made for."""

    key: str
    expected_version: int
    """The version that the change was made against; 0: expected not to exist."""
    current_version: int
    """The version of the config now; 0: it never existed."""
    deleted: bool = False
    """Whether the current version is a tombstone."""


class VersionConflict(DomainError):
    """Another change came first: the change set was rejected whole."""

    def __init__(self, conflicts: Sequence[Conflict], *, decided: bool = False) -> None:
        first = conflicts[0]
        more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
        told = f"is at version {first.current_version}, not {first.expected_version}"
        if first.deleted:
            told = f"was deleted at version {first.current_version}; version 0 creates it anew"
        super().__init__(f"config {first.key!r} {told}{more}")
        self.conflicts = tuple(conflicts)
        self.decided = decided
        """Whether the log rejected it: then the same change set will never be accepted."""


class PatchFailed(DomainError):
    """A patch that is malformed, or cannot be applied to the content as it stands."""

    def __init__(self, detail: str, index: int | None = None) -> None:
        at = "" if index is None else f"operation {index}: "
        super().__init__(at + detail)
        self.detail = detail
        self.index = index
        """The place of the failing operation in a JSON Patch, from 0; None: the whole patch."""


class ConfigNotFound(DomainError):
    """There is no config under this key (or it is deleted)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no config {key!r}")
        self.key = key


class RevisionNotFound(DomainError):
    """The config exists, but has no such version."""

    def __init__(self, key: str, version: int) -> None:
        super().__init__(f"config {key!r} has no version {version}")
        self.key = key
        self.version = version


class UndecodableEntry(DomainError):
    """An entry of the log that this version of the software cannot read.

    Never skipped: a newer version may have written it.
    """

    def __init__(self, detail: str, position: int | None = None) -> None:
        at = "" if position is None else f" at position {position}"
        super().__init__(f"the log entry{at} cannot be decoded: {detail}")
        self.detail = detail
        self.position = position


class BrokenInvariant(Exception):
    """Something that can never be is. Whoever sees this must stop, with the evidence."""
