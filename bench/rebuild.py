"""Rebuild against one SQL statement that finds the newest revisions; a page of history, long
and short."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import Any

import aiohttp
import asyncpg

from bench.fill import fill
from bench.results import Row, median
from bench.stack import ROOT, Api, Stack, load, running_stack

CONFIGS, VERSIONS = 100_000, 10
LONG, SHORT = 100_000, 100
LARGE_BYTES, LARGE_CONFIGS, LARGE_VERSIONS = 256_000, 200, 10
MEMORY_LIMIT_MB = 300

_ONE_STATEMENT = """
CREATE TEMPORARY TABLE newest AS
SELECT DISTINCT ON (project_id, config_key) * FROM config_revisions
ORDER BY project_id, config_key, version DESC
"""


async def measure_history_and_rebuild(rounds: int, small: bool) -> list[Row]:
    """Both need a database with a long history."""
    with running_stack() as stack:
        async with aiohttp.ClientSession() as session:
            api = Api(session, stack.base_url)
            await api.sign_in()
            project, key = await api.project()
            long, _ = await api.project("long history")
            large, _ = await api.project("large contents")
        history = await _history(stack, project, long, key, rounds)
        divisor = 10 if small else 1
        await fill(stack.database_url, project.split("/")[-1], CONFIGS // divisor, VERSIONS)
        rebuilds = []
        for _ in range(rounds):
            sql_s = await _one_statement(stack.database_url)
            rebuilds.append((*await asyncio.to_thread(_rebuild, stack), sql_s))
        id_ = large.split("/")[-1]
        sizes = (LARGE_CONFIGS, LARGE_VERSIONS)
        await fill(stack.database_url, id_, *sizes, content_bytes=LARGE_BYTES)
        _, of_large = await asyncio.to_thread(_rebuild, stack, "--project", id_)
    revisions = CONFIGS // divisor * VERSIONS
    return [
        history,
        Row(
            f"rebuild of {revisions:,} revisions, verified",
            f"{median([ours for ours, _, _ in rebuilds]):.1f} s",
            f"{median([sql for _, _, sql in rebuilds]):.1f} s for one SQL statement",
            median([ours / sql for ours, _, sql in rebuilds]),
            1.5,
            at_most=True,
        ),
        Row(
            "memory of that rebuild",
            f"{max(memory for _, memory, _ in rebuilds):.0f} MB",
            f"{MEMORY_LIMIT_MB} MB",
            max(memory for _, memory, _ in rebuilds) / MEMORY_LIMIT_MB,
            1,
            at_most=True,
        ),
        Row(
            f"memory of a rebuild of {LARGE_CONFIGS * LARGE_VERSIONS:,} revisions of 250 KiB",
            f"{of_large:.0f} MB",
            f"{MEMORY_LIMIT_MB} MB",
            of_large / MEMORY_LIMIT_MB,
            1,
            at_most=True,
        ),
    ]


async def _history(stack: Stack, project: str, long: str, key: str, rounds: int) -> Row:
    async with aiohttp.ClientSession() as session:
        api = Api(session, stack.base_url)
        header = await api.sign_in()
    await fill(stack.database_url, long.split("/")[-1], 1, LONG, "long.")
    await fill(stack.database_url, long.split("/")[-1], 1, SHORT, "short.")
    ratios, times = [], []
    for _ in range(rounds):
        figures: dict[str, Any] = {}
        for name in ("long", "short"):
            plan = {
                "host": "127.0.0.1",
                "port": stack.port,
                "seconds": 2.0,
                "headers": header,
                "gets": [f"{long}/configs/{name}.k.0/revisions?limit=50"],
            }
            figures[name] = await asyncio.to_thread(load, plan)
            assert set(figures[name]["statuses"]) == {"200"}, figures
        ratios.append(figures["long"]["p50_ms"] / figures["short"]["p50_ms"])
        times.append((figures["long"]["p50_ms"], figures["short"]["p50_ms"]))
    return Row(
        f"history page, one config with {LONG:,} revisions, p50",
        f"{median([one for one, _ in times]):.1f} ms",
        f"{median([one for _, one in times]):.1f} ms with {SHORT}",
        median(ratios),
        1.5,
        at_most=True,
    )


async def _one_statement(dsn: str) -> float:
    connection = await asyncpg.connect(dsn)
    try:
        started = time.perf_counter()
        await connection.execute(_ONE_STATEMENT, timeout=600)
        return time.perf_counter() - started
    finally:
        await connection.close()


def _rebuild(stack: Stack, *options: str) -> tuple[float, float]:
    """Seconds, and the largest resident memory in MB, of the admin command."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "projections", "rebuild", "--json", *options],
        cwd=ROOT,
        env={**stack.environ, "DATABASE_URL": stack.database_url},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, status
    return time.perf_counter() - started, usage.ru_maxrss / 1024
