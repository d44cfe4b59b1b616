"""What grows with the number of configs: the start of a web process, and the read of one."""

from __future__ import annotations

import asyncio
import sys
import time

import aiohttp

from bench.fill import fill
from bench.results import Row, median
from bench.stack import ROOT, Api, Stack, free_port, load, running_stack

START_CONFIGS = 100_000
START_LIMIT_S = 5.0
FEW, MANY = 1_000, 1_000_000


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
        few = [await _read(stack, project, key, "a.k.5") for _ in range(rounds)]
        await fill(stack.database_url, project_id, START_CONFIGS // divisor - FEW, 1, "b.")
        starts = [(await _start_and_read(stack, project, key, "a.k.5"))[0] for _ in range(rounds)]
        rest = (MANY - START_CONFIGS) // divisor
        await fill(stack.database_url, project_id, rest, 1, "c.")
        many = [await _read(stack, project, key, "c.k.5") for _ in range(rounds)]
    return [
        Row(
            f"start of a web process with {START_CONFIGS // divisor:,} configs",
            f"{median(starts):.1f} s",
            f"{START_LIMIT_S:g} s",
            median(starts) / START_LIMIT_S,
            1,
            at_most=True,
        ),
        Row(
            f"GET p50 with {MANY // divisor:,} configs",
            f"{median(many):.2f} ms",
            f"{median(few):.2f} ms with {FEW:,}",
            median(many) / median(few),
            1.2,
            at_most=True,
        ),
    ]


async def _read(stack: Stack, project: str, key: str, config: str) -> float:
    return (await _start_and_read(stack, project, key, config))[1]


async def _start_and_read(stack: Stack, project: str, key: str, config: str) -> tuple[float, float]:
    """Seconds until a new web process answers, and its p50 in ms on one connection."""
    port = free_port()
    secret = (stack.folder / "data" / "secret_key").read_text().strip()
    environ = {
        **stack.environ,
        "DATABASE_URL": stack.database_url,
        "NATS_URL": stack.nats_url,
        "GUARDIAN_SECRET_KEY": secret,
        "GUARDIAN_PORT": str(port),
    }
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "web", cwd=ROOT, env=environ
    )
    try:
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    url = f"http://127.0.0.1:{port}{project}/configs/{config}"
                    async with session.get(url, headers={"X-API-Key": key}) as response:
                        if response.status == 200:
                            break
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.02)
        took = time.perf_counter() - started
        figures = await asyncio.to_thread(
            load,
            {
                "host": "127.0.0.1",
                "port": port,
                "seconds": 2.0,
                "headers": {"X-API-Key": key},
                "gets": [f"{project}/configs/{config}"],
            },
        )
        return took, figures["p50_ms"]
    finally:
        process.terminate()
        await process.wait()
