"""What grows with the number of configs: the start of a web process, and the read of one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import psutil

from bench.fill import fill
from bench.results import Row, median
from bench.stack import ROOT, Api, Stack, free_port, load, running_stack

START_CONFIGS = 100_000
START_LIMIT_S = 5.0
FEW, MANY = 1_000, 1_000_000
WORKING_SET = 200
"""Configs that are read, spread over all."""
MODEL_MB, BASE_MB = 512, 200
"""GUARDIAN_READ_MODEL_MB, and what a web process needs beside it."""


async def measure_sizes(rounds: int, small: bool) -> list[Row]:
    """Fill the database in steps, and start a fresh web process at each."""
    divisor = 10 if small else 1
    with running_stack() as stack:
        async with aiohttp.ClientSession() as session:
            api = Api(session, stack.base_url)
            await api.sign_in()
            project, key = await api.project()
        project_id = project.split("/")[-1]
        await fill(stack.database_url, project_id, FEW, 1, "a.")
        few = await _visit(stack, project, key, "a", FEW, rounds)
        await fill(stack.database_url, project_id, START_CONFIGS // divisor - FEW, 1, "b.")
        starts = [await _visit(stack, project, key, "a", FEW, 1) for _ in range(rounds)]
        rest = (MANY - START_CONFIGS) // divisor
        await fill(stack.database_url, project_id, rest, 1, "c.")
        many = await _visit(stack, project, key, "c", rest, rounds)
    start_s = median([visit.start_s for visit in starts])
    warm_s = median([visit.warm_s for visit in starts])
    return [
        Row(
            f"start of a web process with {START_CONFIGS // divisor:,} configs",
            f"{start_s:.1f} s, all in memory after {warm_s:.1f} s",
            f"{START_LIMIT_S:g} s",
            start_s / START_LIMIT_S,
            1,
            at_most=True,
        ),
        Row(
            f"GET p50 of {WORKING_SET} among {MANY // divisor:,} configs",
            f"{many.p50_ms:.2f} ms",
            f"{few.p50_ms:.2f} ms among {FEW:,}",
            many.p50_ms / few.p50_ms,
            1.2,
            at_most=True,
        ),
        Row(
            f"memory of a web process with {MANY // divisor:,} configs",
            f"{many.memory_mb:.0f} MB",
            f"{MODEL_MB} MB for configs, {BASE_MB} MB for itself",
            many.memory_mb / (MODEL_MB + BASE_MB),
            1,
            at_most=True,
        ),
    ]


@dataclass(frozen=True)
class _Visit:
    """What a fresh web process took."""

    start_s: float
    """Until it answered the first GET."""
    warm_s: float
    """Until it had taken in what fits."""
    p50_ms: float
    memory_mb: float


async def _visit(
    stack: Stack, project: str, key: str, prefix: str, count: int, rounds: int
) -> _Visit:
    port = free_port()
    secret = (stack.folder / "data" / "secret_key").read_text().strip()
    environ = {
        **stack.environ,
        "DATABASE_URL": stack.database_url,
        "NATS_URL": stack.nats_url,
        "GUARDIAN_SECRET_KEY": secret,
        "GUARDIAN_PORT": str(port),
        "GUARDIAN_READ_MODEL_MB": str(MODEL_MB),
    }
    paths = [
        f"{project}/configs/{prefix}.k.{number * count // WORKING_SET}"
        for number in range(WORKING_SET)
    ]
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "web", cwd=ROOT, env=environ
    )
    try:
        base_url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(headers={"X-API-Key": key}) as session:
            await _until(session, base_url + paths[0], lambda _: True)
            start_s = time.perf_counter() - started
            await _until(session, base_url + "/metrics", _is_warm)
            warm_s = time.perf_counter() - started
            for path in paths:
                async with session.get(base_url + path) as response:
                    assert response.status == 200
        p50s = []
        for path in paths[:: WORKING_SET // 8] * rounds:
            plan = {
                "host": "127.0.0.1",
                "port": port,
                "seconds": 0.5,
                "headers": {"X-API-Key": key},
                "gets": [path],
            }
            p50s.append((await asyncio.to_thread(load, plan))["p50_ms"])
        memory_mb = psutil.Process(process.pid).memory_info().rss / 1024 / 1024
        return _Visit(start_s, warm_s, median(p50s), memory_mb)
    finally:
        process.terminate()
        await process.wait()


def _is_warm(metrics: str) -> bool:
    return "guardian_read_model_warm 1.0" in metrics


async def _until(session: aiohttp.ClientSession, url: str, accept: Callable[[str], bool]) -> None:
    """Ask until the answer is 200 and accepted."""
    while True:
        try:
            async with session.get(url) as response:
                if response.status == 200 and accept(await response.text()):
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.02)
