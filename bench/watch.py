"""`make bench-watch`: many watchers on one web process; how late the last one hears of a commit,
and what a watcher costs in memory.

Starts the whole product, opens the watchers from a process of their own, and commits at a fixed
rate. Times are measured from the moment the PUT was sent (so they hold the commit itself) and
from its answer (the acknowledged commit). Everything shares the machine's processors.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from bench.results import Row
from bench.stack import ROOT, Api, Stack, running_stack

CONTENT = {"limit": 100, "note": "x" * 200}
MAX_MEMORY_KB = 30.0
MAX_LAST_MS = 100.0
"""Promised for 1,000 watchers at 20 commits/s: p99 of acknowledged commit to last watcher."""


LATENESS_UP_TO = 1_000


@dataclass(frozen=True)
class Run:
    """One line of the table."""

    watchers: int
    commits_per_s: float
    commits: int


@dataclass(frozen=True)
class Figures:
    """What a run measured; times in ms."""

    memory_kb: float
    cpu_us: float
    """Processor time of the web process for each event that it delivered, commits included."""
    sent_to_median: list[float]
    sent_to_last: list[float]
    answered_to_last: list[float]


RUNS = (Run(1_000, 20, 400), Run(10_000, 1, 30))


def quantile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def web_process(stack: Stack) -> psutil.Process:
    """The process that serves the stack's port."""
    for process in psutil.Process().children(recursive=True):
        if process.cmdline()[1:4] == ["-m", "app.cli", "web"]:
            return process
    raise SystemExit("no web process was found")


async def measure(stack: Stack, run: Run) -> Figures:
    """Open the watchers, commit, collect."""
    process = web_process(stack)
    async with aiohttp.ClientSession() as session:
        api = Api(session, stack.base_url)
        await api.sign_in()
        project, key = await api.project(f"watch {run.watchers}")
        version = await _commit(api, project, 0)
        before = process.memory_info().rss
        clients = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.watch_clients", "127.0.0.1", str(stack.port)),
            *(f"{project}/watch", key, str(run.watchers)),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=1 << 24,
        )
        assert clients.stdin is not None
        assert clients.stdout is not None
        assert (await clients.stdout.readline()).strip() == b"ready"
        memory_kb = (process.memory_info().rss - before) / run.watchers / 1024
        busy = sum(process.cpu_times()[:2])
        sent: dict[int, float] = {}
        answered: list[float] = []
        for number in range(run.commits):
            start = time.monotonic()
            answer = await api.call(
                "PUT",
                f"{project}/configs/watched",
                json={"content": {**CONTENT, "number": number}, "version": version},
            )
            answered.append((time.monotonic() - start) * 1000)
            sent[answer["position"]] = start
            version = answer["version"]
            await asyncio.sleep(max(0, start + 1 / run.commits_per_s - time.monotonic()))
        clients.stdin.write(json.dumps(sent).encode() + b"\n")
        result = json.loads(await clients.stdout.readline())
        assert result["ended"] == 0, f"{result['ended']} watchers were cut"
        busy = sum(process.cpu_times()[:2]) - busy
        clients.stdin.close()
        await clients.wait()
    pairs = zip(result["figures"], answered, strict=True)
    return Figures(
        memory_kb,
        busy / (run.watchers * run.commits) * 1e6,
        [median for median, _ in result["figures"]],
        [last for _, last in result["figures"]],
        [max(0.0, last - answer) for (_, last), answer in pairs],
    )


async def _commit(api: Api, project: str, version: int) -> int:
    body = {"content": CONTENT, "version": version}
    answer = await api.call("PUT", f"{project}/configs/watched", json=body)
    return int(answer["version"])


async def measure_watch(rounds: int, small: bool) -> list[Row]:
    """The promises, as rows of `make bench`. One round: a run is hundreds of commits."""
    allow_many_files()
    rows = []
    for run in RUNS:
        with running_stack() as stack:
            figures = await measure(stack, run)
        last = quantile(figures.answered_to_last, 0.99)
        many = run.watchers > LATENESS_UP_TO
        rows.append(
            Row(
                f"{run.watchers:,} watchers, {run.commits_per_s:g} commits/s: memory of each"
                if many
                else f"{run.watchers:,} watchers, {run.commits_per_s:g} commits/s: commit to the"
                " last of them, p99",
                f"{figures.memory_kb:.1f} KB, last one p99 {last:.0f} ms"
                if many
                else f"{last:.0f} ms",
                f"{MAX_MEMORY_KB:g} KB" if many else f"{MAX_LAST_MS:g} ms",
                figures.memory_kb / MAX_MEMORY_KB if many else last / MAX_LAST_MS,
                1,
                at_most=True,
            )
        )
    return rows


def allow_many_files() -> None:
    """Each watcher is a file of the web process and of the clients' process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def show(figures: dict[Run, Figures]) -> None:
    """Print the table."""
    table = Table(title="one web process; ms as p50 / p99 over commits")
    for heading in (
        "watchers",
        "commits/s",
        "KB per watcher",
        "µs of CPU per event",
        "PUT sent → median watcher",
        "PUT sent → last watcher",
        "answered → last watcher",
    ):
        table.add_column(heading, justify="right")
    for run, found in figures.items():
        columns = (found.sent_to_median, found.sent_to_last, found.answered_to_last)
        table.add_row(
            f"{run.watchers:,}",
            f"{run.commits_per_s:g}",
            f"{found.memory_kb:.1f}",
            f"{found.cpu_us:.1f}",
            *(f"{quantile(c, 0.5):.1f} / {quantile(c, 0.99):.1f}" for c in columns),
        )
    Console(width=120).print(table)


def missed(figures: dict[Run, Figures]) -> list[str]:
    """The promises that were not kept."""
    found = [
        f"{run.watchers} watchers: {figure.memory_kb:.1f} KB each, promised {MAX_MEMORY_KB:g}"
        for run, figure in figures.items()
        if figure.memory_kb > MAX_MEMORY_KB
    ]
    for run, figure in figures.items():
        last = quantile(figure.answered_to_last, 0.99)
        if run.watchers <= LATENESS_UP_TO and last > MAX_LAST_MS:
            found.append(f"{run.watchers} watchers: p99 {last:.0f} ms, promised {MAX_LAST_MS:g}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, help="one run with so many, not the usual two")
    parser.add_argument("--rate", type=float, default=20, help="commits/s of that run")
    parser.add_argument("--commits", type=int, default=200, help="commits of that run")
    given = parser.parse_args()
    runs = RUNS if given.watchers is None else (Run(given.watchers, given.rate, given.commits),)
    allow_many_files()
    figures: dict[Run, Figures] = {}
    for run in runs:
        # A stack for each, so that the memory of one run is not reused by the next.
        with running_stack(GUARDIAN_REQUESTS_PER_SECOND="0") as stack:
            print(f"… {run.watchers:,} watchers", flush=True)
            figures[run] = asyncio.run(measure(stack, run))
    show(figures)
    if problems := missed(figures):
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
