"""Watch events as bytes: what goes over the wire, encoded once for all who watch.

The format is that of server-sent events (WHATWG HTML, section 9.2). Pure: must never know a
connection.

Only the last event of a position carries its `id:`, so `Last-Event-ID` always names a change
set that was received whole; whoever is cut in the middle of one is sent all of it again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import orjson

from app.api.views import config_view
from domain.config import EVENT_NAMES
from projections.read_model import RecordedRevision

RECONNECT_MS = 1000
"""What clients are told to wait before they connect again."""
PIECE_BYTES = 64 * 1024
"""A snapshot is written in pieces of about this size."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which configs of a project somebody watches; all conditions together."""

    prefix: str = ""
    """The query's and that of the caller's API key, as one."""
    keys: frozenset[str] | None = None

    def matches(self, key: str) -> bool:
        """Whether changes of this config are sent."""
        return key.startswith(self.prefix) and (self.keys is None or key in self.keys)


class Frame:
    """Bytes of an event stream, and the same as chunks of HTTP/1.1 (RFC 9112, section 7.1)."""

    __slots__ = ("_chunked", "plain")

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        self._chunked: bytes | None = None

    def on_wire(self, chunked: bool) -> bytes:
        """As they are written to a connection; made once, shared by all connections."""
        if not chunked:
            return self.plain
        if self._chunked is None:
            self._chunked = b"%x\r\n%b\r\n" % (len(self.plain), self.plain)
        return self._chunked


class Block(Frame):
    """All that a filter lets through of one position: never sent in part by choice."""

    __slots__ = ("position",)

    def __init__(self, position: int, plain: bytes) -> None:
        super().__init__(plain)
        self.position = position


class Commit:
    """What one position changed in one project; each revision is encoded once."""

    __slots__ = ("_data", "_whole", "position", "revisions")

    def __init__(self, position: int, revisions: Sequence[RecordedRevision]) -> None:
        self.position = position
        self.revisions = revisions
        self._data: list[bytes] | None = None
        self._whole: Block | None = None

    def block(self, wanted: Filter) -> Block | None:
        """What a watcher with this filter is sent; None if nothing here is theirs."""
        matching = [
            index for index, revision in enumerate(self.revisions) if wanted.matches(revision.key)
        ]
        if not matching:
            return None
        if len(matching) < len(self.revisions):
            return self._make(matching)
        if self._whole is None:
            self._whole = self._make(matching)
        return self._whole

    def _make(self, indexes: list[int]) -> Block:
        if self._data is None:
            self._data = [change_data(revision) for revision in self.revisions]
        data = self._data
        events = [change_event(data[index]) for index in indexes[:-1]]
        events.append(change_event(data[indexes[-1]], self.position))
        return Block(self.position, b"".join(events))


def commits(revisions: Iterable[RecordedRevision]) -> Iterator[tuple[str, Commit]]:
    """Revisions in their order, as (project id, commit)."""
    for (project_id, position), group in groupby(
        revisions, key=lambda revision: (revision.project_id, revision.position)
    ):
        yield project_id, Commit(position, tuple(group))


def change_data(revision: RecordedRevision) -> bytes:
    """One revision as the `data:` of its event: JSON on one line."""
    view = config_view(revision) | {
        "deleted": revision.deleted,
        "event": EVENT_NAMES[revision.event],
        "comment": revision.comment,
        "change_id": revision.change_id,
    }
    return orjson.dumps(view, option=orjson.OPT_UTC_Z)


def change_event(data: bytes, position: int | None = None) -> bytes:
    """`event: change`; with a position, the last of that position."""
    name = b"" if position is None else b"id: %d\n" % position
    return b"%bevent: change\ndata: %b\n\n" % (name, data)


def hello(position: int | None) -> bytes:
    """The first bytes of a stream: from here on, also for a client that is cut at once.

    An id without data is remembered by the client and dispatches nothing. None where a snapshot
    follows: a client that is cut before it is whole must come back without an id, or it would
    be sent what changed since and never the snapshot.
    """
    name = b"" if position is None else b"id: %d\n" % position
    return b"retry: %d\n%b\n" % (RECONNECT_MS, name)


def heartbeat(position: int) -> bytes:
    """A comment with a position: all up to it was sent, so a resume may start there."""
    return b": still here\nid: %d\n\n" % position


def lagging(position: int) -> bytes:
    """Says why the stream ends: the client did not keep up. `position`: what was passed over to
    the connection; the client itself resumes from its last id.
    """
    return b'event: lagging\ndata: {"position":%d}\n\n' % position


async def snapshot(
    position: int, parts: AsyncIterable[Iterable[RecordedRevision]]
) -> AsyncGenerator[bytes, None]:
    """One `event: snapshot` with these configs, in pieces for a connection that is slow.

    The id is its last line, so that also a client which takes an id at once has all before it.
    """
    piece = [b'event: snapshot\ndata: {"position":%d,"items":[' % position]
    size, separator = 0, b""
    async for part in parts:
        for revision in part:
            item = orjson.dumps(config_view(revision), option=orjson.OPT_UTC_Z)
            piece += (separator, item)
            separator = b","
            size += len(item)
            if size >= PIECE_BYTES:
                yield b"".join(piece)
                piece, size = [], 0
    piece.append(b"]}\nid: %d\n\n" % position)
    yield b"".join(piece)
