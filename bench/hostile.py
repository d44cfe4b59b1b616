"""What one tenant's hostile validations cost another tenant's reads: `python -m bench.hostile`.

Rounds without and with 50 hostile validations in flight alternate; the figure is the median of
the rounds' ratios. Every part is a process of its own: the product (`guardian up`), the hostile
clients, the reader. Reads are sent at fixed times, whatever the answers do, and a latency
counts from the time at which its request was due: a server that stands still is not asked less.

Never runs validations itself: it only sends requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
import uvloop

from bench.results import Row, median, show
from bench.stack import ROOT, Api, running_stack

HOSTILE_IN_FLIGHT: Final = 50
READS_PER_S: Final = 200
READ_CONNECTIONS: Final = 16
MOST: Final = 3.0
"""The promise: p99 with hostile validations over p99 without."""


def doubling_references() -> dict[str, Any]:
    """A schema of a few kB whose evaluation takes 2 to the 60th steps."""
    steps: dict[str, Any] = {"s0": {"type": "integer"}}
    for level in range(1, 60):
        below = {"$ref": f"#/$defs/s{level - 1}"}
        steps[f"s{level}"] = {"allOf": [below, below]}
    return {"$defs": steps, "$ref": "#/$defs/s59"}


CONTAINS = {"contains": {"contains": {"contains": {"contains": False}}}}
HOSTILE: Final[list[tuple[Any, Any]]] = [
    (doubling_references(), 1),
    ({"pattern": "^(?!x)(a+)+$"}, "a" * 60 + "!"),
    ({"anyOf": [{"type": "string"}, {"$ref": "#"}]}, 1),
    (CONTAINS, [[[[1] * 30] * 30] * 30] * 3),
    ({"items": {"anyOf": [{"const": n} for n in range(3000)]}}, ["x" * 20] * 10_000),
]
"""Schemas, each fine in itself, with a content that makes it expensive; the last is large too."""


async def run_hostile(plan: dict[str, Any]) -> dict[str, Any]:
    """Keep validations in flight until the input ends; what was answered."""
    statuses: Counter[str] = Counter()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=plan["headers"]) as session:

        async def attack(number: int) -> None:
            path, content = plan["attacks"][number % len(plan["attacks"])]
            body = json.dumps({"content": content}).encode()
            headers = {"Content-Type": "application/json"}
            while True:
                url = plan["base_url"] + path
                async with session.post(url, data=body, headers=headers) as response:
                    answer = await response.json()
                    statuses[f"{response.status} {answer.get('type', '')}"] += 1
                    # One that was turned away is not in flight; asking at once again would
                    # measure a flood of requests, which the rate for each caller is for.
                    await asyncio.sleep(float(response.headers.get("Retry-After", 0)))

        tasks = [asyncio.create_task(attack(number)) for number in range(HOSTILE_IN_FLIGHT)]
        end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await asyncio.wait([*tasks, end], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
    return dict(statuses)


async def run_reader(plan: dict[str, Any]) -> dict[str, Any]:
    """Read configs at fixed times; milliseconds from when each read was due to its answer."""
    latencies_ms: list[float] = []
    connector = aiohttp.TCPConnector(limit=READ_CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers=plan["headers"]) as session:

        async def read(due: float, path: str) -> None:
            async with session.get(plan["base_url"] + path) as response:
                await response.read()
                assert response.status == 200, response.status
            latencies_ms.append(1000 * (time.perf_counter() - due))

        start = time.perf_counter() + 0.1
        reads = []
        for number in range(int(plan["seconds"] * READS_PER_S)):
            due = start + number / READS_PER_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            reads.append(asyncio.create_task(read(due, plan["paths"][number % len(plan["paths"])])))
        await asyncio.gather(*reads)
    ordered = sorted(latencies_ms)
    return {"p50_ms": ordered[len(ordered) // 2], "p99_ms": ordered[int(len(ordered) * 0.99)]}


@contextmanager
def role(name: str, plan: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A process of this module in one role; it has its plan, and ends when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.hostile", "--role", name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan) + "\n")
    process.stdin.flush()
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(30)


def read_round(plan: dict[str, Any]) -> dict[str, float]:
    """One round of reads."""
    with role("reader", plan) as process:
        assert process.stdout is not None
        figures: dict[str, float] = json.loads(process.stdout.readline())
        return figures


async def prepare(base_url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two tenants: the hostile one with its schemas, the other with its configs."""
    async with aiohttp.ClientSession() as session:
        api = Api(session, base_url)
        await api.sign_in()
        hostile, hostile_key = await api.project("hostile")
        attacks = []
        for schema, content in HOSTILE:
            body = {"name": "bomb", "schema": schema, "project_id": hostile.rsplit("/", 1)[1]}
            made = await api.call("POST", "/v1/schemas", json=body)
            attacks.append((f"/v1/schemas/{made['id']}/validate", content))
        quiet, quiet_key = await api.project("quiet")
        paths = [f"{quiet}/configs/k.{number}" for number in range(64)]
        for path in paths:
            await api.call("PUT", path, json={"content": {"name": "x" * 200}, "version": 0})
    return (
        {"base_url": base_url, "headers": {"X-API-Key": hostile_key}, "attacks": attacks},
        {"base_url": base_url, "headers": {"X-API-Key": quiet_key}, "paths": paths},
    )


def measure(rounds: int, seconds: float) -> list[Row]:
    """Alternate rounds without and with hostile validations."""
    without: list[dict[str, float]] = []
    under: list[dict[str, float]] = []
    answers: Counter[str] = Counter()
    with running_stack() as stack:
        attack, reading = asyncio.run(prepare(stack.base_url))
        reading["seconds"] = seconds
        read_round({**reading, "seconds": 2})  # Whatever loads late is loaded.
        for _ in range(rounds):
            without.append(read_round(reading))
            with role("hostile", attack) as process:
                # All are in flight, and the workers started, before the reads begin.
                time.sleep(3)
                under.append(read_round(reading))
                assert process.poll() is None, "the hostile clients ended early"
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.close()
                answers.update(json.loads(process.stdout.readline()))
    print(f"hostile answers: {dict(answers)}")
    assert answers
    assert all(answer.startswith(("422", "429", "200")) for answer in answers)
    rows = []
    for name, floor in (("p50_ms", MOST), ("p99_ms", MOST)):
        before, after = [r[name] for r in without], [r[name] for r in under]
        ratio = median([b / a for a, b in zip(before, after, strict=True)])
        what = f"GET config, {name[:3]}, {HOSTILE_IN_FLIGHT} hostile validations by another tenant"
        measured, limit = f"{median(after):.1f} ms", f"{median(before):.1f} ms"
        rows.append(Row(what, measured, limit, ratio, floor, at_most=True))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--role", choices=("hostile", "reader"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role is not None:
        plan = json.loads(sys.stdin.readline())
        work = run_hostile(plan) if given.role == "hostile" else run_reader(plan)
        print(json.dumps(uvloop.run(work)))
        return 0
    rows = measure(given.rounds, given.seconds)
    show(rows)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
