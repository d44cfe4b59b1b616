"""A TCP proxy between the adapter and a real server, to lose exactly what a test names."""

from __future__ import annotations

import asyncio
from typing import Self
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536


class Proxy:
    """Forwards to one server. Use as an async context manager."""

    def __init__(self, target_url: str, port: int = 0) -> None:
        self._target = urlsplit(target_url)
        self.port = port
        """0 until a free one is found."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._servers: set[asyncio.StreamWriter] = set()
        self.mute = False
        """True: what the server says is swallowed. What the client says still arrives."""
        self.greeting: bytes | None = None
        """Said to whoever connects, and nothing else: the port is not the server's any more."""
        self.greeted = 0
        """How often."""

    @property
    def url(self) -> str:
        user, at, _ = self._target.netloc.rpartition("@")
        return f"nats://{user}{at}127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break all connections."""
        for writer in [*self._clients, *self._servers]:
            writer.transport.abort()

    def inject(self, data: bytes) -> None:
        """Say something to the clients as if it came from the server."""
        assert self._clients
        for writer in self._clients:
            writer.write(data)

    @property
    def connections(self) -> int:
        """How many clients are connected through this proxy."""
        return len(self._clients)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.greeting is not None:
            self.greeted += 1
            writer.write(self.greeting)
            self._clients.add(writer)
            return
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._clients.add(writer)
        self._servers.add(back)
        for task in (
            asyncio.create_task(self._pump(reader, back, answers=False)),
            asyncio.create_task(self._pump(there, writer, answers=True)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        try:
            while data := await reader.read(CHUNK_BYTES):
                if not (answers and self.mute):
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            pass  # cut: the other direction ends too
        finally:
            writer.close()
            self._clients.discard(writer)
            self._servers.discard(writer)
