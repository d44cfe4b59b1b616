"""`make bench-flame`: flame graphs of the read and of the write path, into docs/flame/.

py-spy samples the processes from outside while the load generator drives them; only the time that
holds the interpreter counts.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench.stack import ROOT, Api, Stack, load, running_stack

CONNECTIONS = 64
SECONDS = 8.0
RECORD_S = 5
RATE_HZ = 250
GRAPHS = {"read-web": ("gets", "web"), "write-web": ("puts", "web")} | {
    "write-projector": ("puts", "projector")
}
"""By file name: the load, and the process that is looked at."""


def process_of(name: str) -> psutil.Process:
    """The stack's process of this command."""
    for process in psutil.Process().children(recursive=True):
        if process.cmdline()[1:4] == ["-m", "app.cli", name]:
            return process
    raise SystemExit(f"no {name} process was found")


async def record(stack: Stack, folder: Path) -> None:
    """One graph after the other."""
    async with aiohttp.ClientSession() as session:
        api = Api(session, stack.base_url)
        header = await api.sign_in()
        for name, (kind, process) in GRAPHS.items():
            project, key = await api.project(name)
            paths = [f"{project}/configs/k.{n}" for n in range(CONNECTIONS)]
            for path in paths:
                body = {"content": {"limit": 1, "name": "x" * 200}, "version": 0}
                await api.call("PUT", path, json=body)
            plan: dict[str, Any] = {"host": "127.0.0.1", "port": stack.port, "seconds": SECONDS}
            if kind == "gets":
                plan |= {"headers": {"X-API-Key": key}, "gets": paths}
            else:
                plan |= {"headers": header, "puts": [(path, 1) for path in paths]}
            running = asyncio.create_task(asyncio.to_thread(load, plan))
            await asyncio.sleep(1)
            await asyncio.to_thread(_sample, process_of(process), folder / f"{name}.svg")
            await running


def _sample(process: psutil.Process, file: Path) -> None:
    program = Path(sys.executable).parent / "py-spy"
    where = ["--pid", str(process.pid), "--output", str(file)]
    how = ["--duration", str(RECORD_S), "--rate", str(RATE_HZ), "--gil", "--function"]
    subprocess.run([program, "record", *where, *how, "--format", "flamegraph"], check=True)
    # Its title is the command line, with the folders of this machine.
    graph = re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\g<1>{file.stem}", file.read_text())
    file.write_text(graph)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "flame")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    with running_stack() as stack:
        asyncio.run(record(stack, given.into))


if __name__ == "__main__":
    main()
