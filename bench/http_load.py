"""A load generator: keep-alive connections that each send a request when the last was answered.

Runs in a process of its own (`python -m bench.http_load`), so that it never takes the time of
what it measures. Answers are parsed by httptools (llhttp); a bench must not be slower than its
subject.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop


@dataclass
class Totals:
    """What all connections saw."""

    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Connection(asyncio.Protocol):
    """One connection: the next request goes out when an answer is complete."""

    def __init__(self, requests: Iterator[bytes], totals: Totals, until: float) -> None:
        self._requests = requests
        self._totals = totals
        self._until = until
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._sent_at = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio transports in all but the class.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self._totals.latencies_s.append(now - self._sent_at)
        self._totals.statuses[self._parser.get_status_code()] += 1
        # llhttp keeps its state over keep-alive answers, but 304 carries no length.
        self._parser = httptools.HttpResponseParser(self)
        if now < self._until:
            self._send()
        else:
            assert self._transport is not None
            self.done.set_result(None)
            self._transport.close()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


def get(path: str, headers: dict[str, str]) -> bytes:
    """One GET as it goes over the wire."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{lines}\r\n".encode()


def send(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """One PUT or POST as it goes over the wire."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{lines}\r\n"
    )
    return head.encode() + body


def _repeat(request: bytes) -> Iterator[bytes]:
    while True:
        yield request


def _versions(path: str, headers: dict[str, str], first: int, filler: str) -> Iterator[bytes]:
    version = first
    while True:
        content = {"n": version, "filler": filler}
        body = json.dumps({"content": content}).encode()
        yield send("PUT", path, {**headers, "If-Match": f'"{version}"'}, body)
        version += 1


async def run(plan: dict[str, object]) -> dict[str, object]:
    """Run one plan: host, port, seconds, and `gets`, `puts` or `posts`, one per connection."""
    loop = asyncio.get_running_loop()
    totals = Totals()
    started = time.perf_counter()
    until = started + float(str(plan["seconds"]))
    headers = dict(plan["headers"])  # type: ignore[call-overload]
    gets: list[str] = plan.get("gets", [])  # type: ignore[assignment]
    puts: list[tuple[str, int]] = plan.get("puts", [])  # type: ignore[assignment]
    sources = [_repeat(get(path, headers)) for path in gets]
    sources += [_versions(path, headers, first, "x" * 100) for path, first in puts]
    posts: list[tuple[str, str]] = plan.get("posts", [])  # type: ignore[assignment]
    sources += [_repeat(send("POST", path, headers, body.encode())) for path, body in posts]
    connections = []
    for source in sources:
        _, connection = await loop.create_connection(
            lambda source=source: Connection(source, totals, until),  # type: ignore[misc]
            str(plan["host"]),
            int(str(plan["port"])),
        )
        connections.append(connection)
    await asyncio.gather(*(connection.done for connection in connections))
    elapsed = time.perf_counter() - started
    ordered = sorted(totals.latencies_s)
    return {
        "per_s": len(ordered) / elapsed,
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
        "statuses": dict(totals.statuses),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    print(json.dumps(uvloop.run(run(json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
