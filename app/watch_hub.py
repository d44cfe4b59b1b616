"""Hands every change to whoever watches: one broadcast loop for all connections of a process.

A watcher costs no task of the hub and no copy of an event: changes are encoded once
(`app.watch_events`), kept in a short list per filter while somebody has yet to be sent them,
and written to the connections directly. Must never wait for a single client: one that does
not take its bytes is passed over, and told `lagging` once the list has moved past it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final

from app.errors import Unavailable
from app.watch_events import Block, Filter, Frame, commits, heartbeat, lagging
from projections.read_model import ReadModel, RecordedRevision

HEARTBEAT_S = 15.0
TICK_S = 1.0
RETRY_S = 0.02
"""How often a connection that was full is tried again."""
STALL_S = 60.0
"""A connection that takes no byte for this long is cut."""
LINGER_S = 30.0
"""How long a connection that was ended may take to read what was written."""
BUFFER_BYTES = 64 * 1024
"""No more is written to a connection that holds this much unsent."""
MAX_BLOCKS = 10_000
MAX_BLOCK_BYTES = 4 * 1024 * 1024
"""Bounds of what waits in a channel for its slow watchers (one change set may exceed them)."""
MAX_WATCHERS: Final = 20_000
YIELD_EVERY = 100
"""Connections written to before other work of the process gets its turn."""


class End(Enum):
    """Why a watch ends."""

    GONE = "the client left"
    LAGGING = "the client did not keep up"
    SHUTDOWN = "the process ends"
    REVOKED = "the caller may not read the project any more"


class Watcher:
    """One connection. Joined to a channel once it has all that was before."""

    __slots__ = (
        "_moved",
        "after",
        "behind_since",
        "channel",
        "chunked",
        "ended",
        "next",
        "transport",
    )

    def __init__(self, transport: asyncio.Transport, chunked: bool) -> None:
        self.transport = transport
        self.chunked = chunked
        self.ended: End | None = None
        self.channel: Channel | None = None
        self.after = 0
        """The position up to which everything was written."""
        self.next = 0
        """Number of the channel's first block that was not written."""
        self.behind_since: tuple[float, int] | None = None
        """When the connection was found full, and how many bytes it held."""
        self._moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def left(self) -> None:
        """Return when the watch was ended, or has to go back to history."""
        await self._moved

    def join(self, channel: Channel, after: int) -> None:
        """Take part in a channel from its end on."""
        channel.watchers[self] = None
        self.channel, self.next, self.after = channel, channel.end, after
        if self._moved.done():
            self._moved = asyncio.get_running_loop().create_future()

    def end(self, reason: End) -> None:
        """Let the handler finish; one that still writes history loses its connection."""
        if self.ended is None:
            self.ended = reason
        if self.channel is None:
            self.transport.abort()
        self.wake()

    def wake(self) -> None:
        """Let `left` return."""
        if not self._moved.done():
            self._moved.set_result(None)

    def write(self, frame: Frame) -> None:
        """Write without waiting."""
        self.transport.write(frame.on_wire(self.chunked))

    def finish(self) -> None:
        """Close the connection when it has taken what was written, or soon after."""
        if self.transport.is_closing():
            return
        if self.ended is End.LAGGING:
            self.write(Frame(lagging(self.after)))
        if self.chunked:
            self.transport.write(b"0\r\n\r\n")
        self.transport.close()
        asyncio.get_running_loop().call_later(LINGER_S, self.transport.abort)


class Channel:
    """All watchers of one project with the same filter, and the blocks that they share.

    Blocks are numbered for ever; `first` is the number of the oldest that is kept.
    """

    __slots__ = ("blocks", "first", "project_id", "size", "wanted", "watchers")

    def __init__(self, project_id: str, wanted: Filter) -> None:
        self.project_id = project_id
        self.wanted = wanted
        self.watchers: dict[Watcher, None] = {}
        self.blocks: deque[Block] = deque()
        self.first = 0
        self.size = 0

    @property
    def end(self) -> int:
        """The number that the next block gets."""
        return self.first + len(self.blocks)

    def append(self, block: Block) -> None:
        """Keep a block until all have it; the oldest go when there are too many."""
        self.blocks.append(block)
        self.size += len(block.plain)
        while len(self.blocks) > 1 and (
            len(self.blocks) > MAX_BLOCKS or self.size > MAX_BLOCK_BYTES
        ):
            self._drop()

    def trim(self) -> None:
        """Forget the blocks that everybody was sent."""
        needed = min((watcher.next for watcher in self.watchers), default=self.end)
        while self.blocks and self.first < needed:
            self._drop()

    def _drop(self) -> None:
        self.size -= len(self.blocks.popleft().plain)
        self.first += 1

    def pending(self, watcher: Watcher) -> list[Block]:
        """What a watcher was not sent yet, as much as one write should hold."""
        found: list[Block] = []
        size = 0
        for number in range(watcher.next - self.first, len(self.blocks)):
            block = self.blocks[number]
            found.append(block)
            size += len(block.plain)
            if size >= BUFFER_BYTES:
                break
        return found


def _full(transport: asyncio.Transport) -> bool:
    return transport.get_write_buffer_size() >= BUFFER_BYTES


class WatchHub:
    """Follows the read model and writes to every watcher."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._channels: dict[str, dict[Filter, Channel]] = {}
        self._heard: dict[str, int] = {}
        self._watchers: dict[Watcher, None] = {}
        self._behind: dict[Watcher, None] = {}
        self._dirty: dict[Channel, None] = {}
        self._news = asyncio.Event()
        self._closing = False
        model.listen(self._hear)

    def __len__(self) -> int:
        return len(self._watchers)

    def last_change(self, project_id: str) -> int:
        """The position of the project's newest revision that this process knows, or behind it."""
        last = self._heard.get(project_id)
        if last is None:
            last = self._model.position
            if self._model.complete:
                newest = self._model.project(project_id).values()
                last = max((revision.position for revision in newest), default=0)
            self._heard[project_id] = last
        return last

    def enter(self, watcher: Watcher) -> None:
        """Count a new connection. Raises Unavailable when there are too many, or no time."""
        if self._closing or len(self._watchers) >= MAX_WATCHERS:
            raise Unavailable("this process takes no more watchers")
        self._watchers[watcher] = None

    def join(self, watcher: Watcher, project_id: str, wanted: Filter, after: int) -> bool:
        """Send all changes behind `after` from now on; it is nowhere this process has not been.

        False if changes behind it are known already: they must be read from history first.
        """
        assert after <= self._model.position, "what comes next may be what the client has"
        if self.last_change(project_id) > after:
            return False
        channel = self._channels.setdefault(project_id, {}).get(wanted)
        if channel is None:
            channel = self._channels[project_id][wanted] = Channel(project_id, wanted)
        watcher.join(channel, after)
        return True

    def leave(self, watcher: Watcher) -> None:
        """Forget a connection. Idempotent."""
        self._watchers.pop(watcher, None)
        self._part(watcher)

    def _part(self, watcher: Watcher) -> None:
        channel, watcher.channel = watcher.channel, None
        if channel is None:
            return
        channel.watchers.pop(watcher, None)
        if not channel.watchers:
            of_project = self._channels[channel.project_id]
            del of_project[channel.wanted]
            if not of_project:
                del self._channels[channel.project_id]

    def close(self) -> None:
        """End every stream, so that the clients connect elsewhere."""
        self._closing = True
        for watcher in tuple(self._watchers):
            watcher.end(End.SHUTDOWN)

    async def run(self) -> None:
        """Broadcast until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._broadcast())
            tasks.create_task(self._tick())

    def _hear(self, revisions: Sequence[RecordedRevision]) -> None:
        for project_id, commit in commits(revisions):
            if project_id in self._heard:
                self._heard[project_id] = commit.position
            for channel in self._channels.get(project_id, {}).values():
                if (block := commit.block(channel.wanted)) is not None:
                    channel.append(block)
                    self._dirty[channel] = None
        if self._dirty:
            self._news.set()

    async def _broadcast(self) -> None:
        while True:
            try:
                async with asyncio.timeout(RETRY_S if self._behind else None):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            dirty, self._dirty = self._dirty, {}
            slow, self._behind = self._behind, {}
            for channel in dirty:
                await self._each(tuple(channel.watchers))
            await self._each(tuple(slow))
            for channel in dirty | {w.channel: None for w in slow if w.channel is not None}:
                channel.trim()

    async def _each(self, watchers: Sequence[Watcher]) -> None:
        for number, watcher in enumerate(watchers, 1):
            self._flush(watcher)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _flush(self, watcher: Watcher) -> None:
        """Write what a watcher has not got, as much as its connection takes."""
        channel = watcher.channel
        if channel is None or watcher.ended is not None or watcher.next == channel.end:
            return
        if watcher.next < channel.first:
            self._overtaken(watcher)
            return
        transport = watcher.transport
        if transport.is_closing():
            watcher.end(End.GONE)
            return
        watcher.behind_since = watcher.behind_since if _full(transport) else None
        while watcher.next < channel.end and not _full(transport):
            blocks = channel.pending(watcher)
            watcher.next += len(blocks)
            watcher.after = blocks[-1].position
            transport.writelines([block.on_wire(watcher.chunked) for block in blocks])
        if watcher.next < channel.end:
            self._behind[watcher] = None
            self._watch_stall(watcher)

    def _overtaken(self, watcher: Watcher) -> None:
        """More came than the channel keeps. Whose connection was full lags; the others never had
        a chance (all of it came at once), and read what they missed from history.
        """
        if watcher.behind_since is not None:
            watcher.end(End.LAGGING)
        else:
            self._part(watcher)
            watcher.wake()

    def _watch_stall(self, watcher: Watcher) -> None:
        now = asyncio.get_running_loop().time()
        held = watcher.transport.get_write_buffer_size()
        since = watcher.behind_since
        if since is None or held < since[1]:
            watcher.behind_since = (now, held)
        elif now - since[0] > STALL_S:
            watcher.transport.abort()
            watcher.end(End.GONE)

    async def _tick(self) -> None:
        """One timer for all: finds connections that are gone, sends heartbeats."""
        loop = asyncio.get_running_loop()
        next_beat = loop.time() + HEARTBEAT_S
        while True:
            await asyncio.sleep(TICK_S)
            for watcher in tuple(self._watchers):
                if watcher.transport.is_closing():
                    watcher.end(End.GONE)
            if loop.time() >= next_beat:
                next_beat += HEARTBEAT_S
                await self._beat()

    async def _beat(self) -> None:
        channels = [c for of_project in self._channels.values() for c in of_project.values()]
        for channel in channels:
            watchers = tuple(channel.watchers)
            for start in range(0, len(watchers), YIELD_EVERY):
                # Anew after every pause: changes may have come, and been written, meanwhile.
                position = self._model.position
                named = Frame(heartbeat(position))
                for watcher in watchers[start : start + YIELD_EVERY]:
                    self._beat_one(watcher, channel, position, named)
                await asyncio.sleep(0)

    def _beat_one(self, watcher: Watcher, channel: Channel, position: int, named: Frame) -> None:
        if watcher.channel is not channel or watcher.ended is not None:
            return
        if watcher.next < channel.end or watcher.transport.get_write_buffer_size() > 0:
            return  # bytes are on their way already
        watcher.write(named)
        watcher.after = position
