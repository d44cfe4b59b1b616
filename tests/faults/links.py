"""TCP links that can be cut, frozen or slowed: between Raft members, and from services to them.

Proxies of our own and not network namespaces, so that the same faults run without root. A cut
here loses nothing by itself, like a cable that is pulled: bytes wait, new connections hang;
`drop` also breaks the connections, like a host that restarts.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

CHUNK_BYTES = 65_536
HOST = "127.0.0.1"


class Link:
    """Forwards one port to another. Directions: `there` to the target, `back` from it."""

    def __init__(self, name: str, target_port: int) -> None:
        self.name = name
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = {"there": asyncio.Event(), "back": asyncio.Event()}
        self.delay_s = 0.0
        for gate in self._open.values():
            gate.set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, *directions: str) -> None:
        """Let nothing through any more, in both directions unless one is named."""
        for direction in directions or ("there", "back"):
            self._open[direction].clear()

    def heal(self) -> None:
        """As at the beginning; what waited arrives."""
        self.delay_s = 0.0
        for gate in self._open.values():
            gate.set()

    def drop(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        for task in (
            asyncio.create_task(self._pump(reader, back, "there")),
            asyncio.create_task(self._pump(there, writer, "back")),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str
    ) -> None:
        try:
            while data := await reader.read(CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._open[direction].wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # broken: the other direction ends too
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closing
                writer.close()
            self._writers.discard(writer)
