"""Durable commits by PUT against raw JetStream publishes of the same size."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import aiohttp

from bench import etcd
from bench.reads import MORE_ROUNDS
from bench.results import Row, median
from bench.stack import ROOT, Api, Stack, load, running_stack

WRITERS = 64
SECONDS = 3.0
ENTRY_BYTES = 500
"""About what one PUT of the load generator makes of a log entry."""


async def measure_writes(rounds: int, small: bool) -> list[Row]:
    """64 writers on 64 keys, then one writer."""
    many: list[tuple[float, float]] = []
    single: list[tuple[float, float]] = []
    puts: list[tuple[float, float]] = []
    with running_stack() as stack:
        async with aiohttp.ClientSession() as session:
            api = Api(session, stack.base_url)
            header = await api.sign_in()
            for number in range(rounds + MORE_ROUNDS):
                project, _ = await api.project(f"writes {number}")
                raw = await asyncio.to_thread(_publish, stack, WRITERS)
                ours = await _put(api, stack, project, header, WRITERS)
                many.append((ours["per_s"], raw["per_s"]))
                raw = await asyncio.to_thread(_publish, stack, 1)
                ours = await _put(api, stack, project, header, 1, "one")
                single.append((ours["p50_ms"], raw["p50_ms"]))
        if etcd.installed():
            value = b"x" * ENTRY_BYTES
            with etcd.start(3) as ports:
                for ours_per_s, _ in many:
                    found = await asyncio.to_thread(
                        etcd.measure_puts, ports[0], value, WRITERS, SECONDS
                    )
                    puts.append((ours_per_s, found["per_s"]))
    return [
        Row(
            "durable commits by PUT, 64 writers on 64 keys",
            f"{median([ours for ours, _ in many]):,.0f}/s",
            f"{median([raw for _, raw in many]):,.0f} raw publishes/s",
            median([ours / raw for ours, raw in many]),
            0.25,
        ),
        *_beside_etcd(puts),
        Row(
            "one writer, p50",
            f"{median([ours for ours, _ in single]):.1f} ms",
            f"{median([raw for _, raw in single]):.1f} ms for a raw publish",
            median([ours / raw for ours, raw in single]),
            3,
            at_most=True,
        ),
    ]


def _beside_etcd(puts: list[tuple[float, float]]) -> list[Row]:
    if not puts:
        return []
    return [
        Row(
            "the same beside puts of etcd's HTTP gateway (three members)",
            f"{median([ours for ours, _ in puts]):,.0f}/s",
            f"{median([theirs for _, theirs in puts]):,.0f}/s",
            median([ours / theirs for ours, theirs in puts]),
            0,
        )
    ]


async def _put(
    api: Api, stack: Stack, project: str, header: dict[str, str], writers: int, name: str = "many"
) -> dict[str, Any]:
    paths = [f"{project}/configs/{name}.{n}" for n in range(writers)]
    for path in paths:
        await api.call("PUT", path, json={"content": 0, "version": 0})
    figures = await asyncio.to_thread(
        load,
        {
            "host": "127.0.0.1",
            "port": stack.port,
            "seconds": SECONDS,
            "headers": header,
            "puts": [(path, 1) for path in paths],
        },
    )
    assert set(figures["statuses"]) == {"200"}, figures
    return figures


def _publish(stack: Stack, publishers: int) -> dict[str, Any]:
    argv = ["-m", "bench.raw_log", stack.nats_url, "--publishers", str(publishers)]
    argv += ["--size", str(ENTRY_BYTES), "--seconds", str(SECONDS)]
    done = subprocess.run([sys.executable, *argv], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
