"""What grows with the number of configs: the start of a web process, and the read of one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

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
    """Start a fresh web process at each size; reads alternate between one of few and of many."""
    divisor = 10 if small else 1
    with running_stack() as small_stack, running_stack() as stack:
        few, many = await _Place.of(small_stack), await _Place.of(stack)
        await few.fill(FEW)
        await many.fill(START_CONFIGS // divisor)
        starts = []
        for _ in range(rounds):
            async with _started(many) as process:
                starts.append(process)
        await many.fill(MANY // divisor)
        async with _started(few) as one, _started(many) as other:
            reads = [
                (await one.p50_ms(turn), await other.p50_ms(turn)) for turn in range(8 * rounds)
            ]
            memory_mb = psutil.Process(other.pid).memory_info().rss / 1024 / 1024
    few_ms, many_ms = (median(list(each)) for each in zip(*reads, strict=True))
    start_s = median([process.start_s for process in starts])
    warm_s = median([process.warm_s for process in starts])
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
            f"{many_ms:.2f} ms",
            f"{few_ms:.2f} ms among {FEW:,}",
            median([ours / beside for beside, ours in reads]),
            1.2,
            at_most=True,
        ),
        Row(
            f"memory of a web process with {MANY // divisor:,} configs",
            f"{memory_mb:.0f} MB",
            f"{MODEL_MB} MB for configs, {BASE_MB} MB for itself",
            memory_mb / (MODEL_MB + BASE_MB),
            1,
            at_most=True,
        ),
    ]


@dataclass
class _Place:
    """A project that is filled in steps."""

    stack: Stack
    project: str
    key: str
    fills: list[int] = field(default_factory=list)
    """How many configs each step brought."""

    @classmethod
    async def of(cls, stack: Stack) -> _Place:
        async with aiohttp.ClientSession() as session:
            api = Api(session, stack.base_url)
            await api.sign_in()
            return cls(stack, *await api.project())

    async def fill(self, total: int) -> None:
        """Up to so many configs."""
        project_id, step = self.project.split("/")[-1], total - sum(self.fills)
        await fill(self.stack.database_url, project_id, step, 1, f"step{len(self.fills)}.")
        self.fills.append(step)

    def paths(self) -> list[str]:
        """Of the configs that are read, spread over those of the last step."""
        last, step = len(self.fills) - 1, self.fills[-1]
        return [
            f"{self.project}/configs/step{last}.k.{number * step // WORKING_SET}"
            for number in range(WORKING_SET)
        ]


@dataclass(frozen=True)
class _Process:
    """A fresh web process."""

    pid: int
    port: int
    key: str
    paths: list[str]
    start_s: float
    """Until it answered the first GET."""
    warm_s: float
    """Until it had taken in what fits."""

    async def p50_ms(self, turn: int) -> float:
        """Of reads of one config, another one at each turn."""
        plan = {
            "host": "127.0.0.1",
            "port": self.port,
            "seconds": 0.5,
            "headers": {"X-API-Key": self.key},
            "gets": [self.paths[turn * 25 % len(self.paths)]],
        }
        found: float = (await asyncio.to_thread(load, plan))["p50_ms"]
        return found


@asynccontextmanager
async def _started(place: _Place) -> AsyncIterator[_Process]:
    stack, port = place.stack, free_port()
    secret = (stack.folder / "data" / "secret_key").read_text().strip()
    environ = {
        **stack.environ,
        "DATABASE_URL": stack.database_url,
        "NATS_URL": stack.nats_url,
        "GUARDIAN_SECRET_KEY": secret,
        "GUARDIAN_PORT": str(port),
        "GUARDIAN_READ_MODEL_MB": str(MODEL_MB),
    }
    paths = place.paths()
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "web", cwd=ROOT, env=environ
    )
    try:
        base_url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(headers={"X-API-Key": place.key}) as session:
            await _until(session, base_url + paths[0], lambda _: True)
            start_s = time.perf_counter() - started
            await _until(session, base_url + "/metrics", _is_warm)
            warm_s = time.perf_counter() - started
            for path in paths:
                async with session.get(base_url + path) as response:
                    assert response.status == 200
        yield _Process(process.pid, port, place.key, paths, start_s, warm_s)
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
