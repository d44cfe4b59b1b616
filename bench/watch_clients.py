"""The watchers of `bench.watch`: one process, one bare protocol for each connection.

    python -m bench.watch_clients HOST PORT PATH KEY COUNT

Prints `ready` when all are connected. Then takes one line of JSON, `{position: time}` on the
machine's monotonic clock; waits until everybody has all of these positions, and prints when each
was received by the median watcher and by the last, in ms behind its time.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from array import array
from collections import defaultdict

import uvloop

CONNECTING_AT_ONCE = 100
PATIENCE_S = 60.0
_ID = re.compile(rb"^id: (\d+)\nevent: change$", re.MULTILINE)


class Received:
    """When which position was received, by all connections together."""

    def __init__(self) -> None:
        self.times: dict[int, array[float]] = defaultdict(lambda: array("d"))
        self.ended = 0

    def complete(self, positions: list[int], count: int) -> bool:
        """Whether every watcher has every position."""
        return all(len(self.times[position]) >= count for position in positions)


class Watcher(asyncio.Protocol):
    """Reads the ids of one stream; an event is taken as received with its last chunk."""

    def __init__(self, request: bytes, received: Received) -> None:
        self._request = request
        self._received = received
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.open.done():
            if not data.startswith(b"HTTP/1.1 200 "):
                self.open.set_exception(RuntimeError(data[:200].decode()))
                return
            self.open.set_result(None)
            return  # the first id is the start of the stream
        now = time.monotonic()
        for position in _ID.findall(data):
            self._received.times[int(position)].append(now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._received.ended += 1
        if not self.open.done():
            self.open.set_exception(exc or ConnectionError("closed before it was open"))


async def _run(host: str, port: int, path: str, key: str, count: int) -> None:
    loop = asyncio.get_running_loop()
    received = Received()
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nX-API-Key: {key}\r\n\r\n".encode()
    few = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def connect() -> None:
        async with few:
            _, watcher = await loop.create_connection(
                lambda: Watcher(request, received), host, port
            )
            await watcher.open

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(connect() for _ in range(count)))
    print("ready", flush=True)
    line = await loop.run_in_executor(None, sys.stdin.readline)
    sent = {int(position): at for position, at in json.loads(line).items()}
    async with asyncio.timeout(PATIENCE_S):
        while not received.complete(list(sent), count):  # noqa: ASYNC110 - once at the end
            await asyncio.sleep(0.05)
    figures = []
    for position, at in sent.items():
        times = sorted(received.times[position])
        assert len(times) == count, f"position {position} came {len(times)} times"
        figures.append(((times[count // 2] - at) * 1000, (times[-1] - at) * 1000))
    print(json.dumps({"figures": figures, "ended": received.ended}), flush=True)


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host, port, path, key, count = sys.argv[1:]
    uvloop.run(_run(host, int(port), path, key, int(count)))


if __name__ == "__main__":
    main()
