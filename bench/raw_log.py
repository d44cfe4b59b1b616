"""Raw JetStream publishes of the same size, by nats-py alone: the limit of commits."""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import nats
import nats.errors
import uvloop
from nats.js import JetStreamContext

FIRST_S = 10.0
"""How long a stream that was just made may be without a leader."""


async def _publish_first(js: JetStreamContext, stream: str) -> None:
    until = time.perf_counter() + FIRST_S
    while True:
        try:
            await js.publish(stream, b"", timeout=1)
            return
        except nats.errors.Error:
            if time.perf_counter() > until:
                raise
            await asyncio.sleep(0.05)


async def run(url: str, stream: str, publishers: int, size: int, seconds: float) -> None:
    """Publish for a while; print publishes per second and the median latency."""
    client = await nats.connect(url.split(","))
    try:
        js = client.jetstream()
        await js.add_stream(name=stream, subjects=[stream], num_replicas=3)
        await _publish_first(js, stream)
        payload = b"x" * size
        latencies: list[float] = []
        started = time.perf_counter()
        until = started + seconds

        async def publish() -> None:
            while time.perf_counter() < until:
                sent = time.perf_counter()
                await js.publish(stream, payload, timeout=10)
                latencies.append(time.perf_counter() - sent)

        await asyncio.gather(*(publish() for _ in range(publishers)))
        elapsed = time.perf_counter() - started
        await js.delete_stream(stream)
        latencies.sort()
        print(
            json.dumps(
                {
                    "per_s": len(latencies) / elapsed,
                    "p50_ms": 1000 * latencies[len(latencies) // 2],
                    "p99_ms": 1000 * latencies[int(len(latencies) * 0.99)],
                }
            )
        )
    finally:
        await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--publishers", type=int, default=64)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    uvloop.run(run(given.url, "bench_raw", given.publishers, given.size, given.seconds))


if __name__ == "__main__":
    main()
