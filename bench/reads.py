"""Reads against a bare aiohttp handler with the same bytes, on one web process."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack

import aiohttp

from bench import etcd
from bench.results import Row, median
from bench.stack import Api, child, free_port, load, running_stack, wait_until_open

CONNECTIONS = 64
SECONDS = 3.0
MORE_ROUNDS = 2
"""Than other parts: single rounds of these differ by a third."""


async def measure_reads(rounds: int, small: bool) -> list[Row]:
    """GET, 304 and linearizable GET, 64 connections."""
    with running_stack() as stack:
        async with aiohttp.ClientSession() as session:
            api = Api(session, stack.base_url)
            await api.sign_in()
            project, key = await api.project()
            paths = [f"{project}/configs/k.{n}" for n in range(CONNECTIONS)]
            for number, path in enumerate(paths):
                content = {"limit": number, "name": "x" * 200}
                await api.call("PUT", path, json={"content": content, "version": 0})
            body = json.dumps(await api.call("GET", paths[0]), separators=(",", ":")).encode()
        file = stack.folder / "body.json"
        file.write_bytes(body)
        bare_port = free_port()
        headers = {"X-API-Key": key}
        plans = {
            "bare": (bare_port, paths, headers),
            "get": (stack.port, paths, headers),
            "304": (stack.port, paths, {**headers, "If-None-Match": '"1"'}),
            "linearizable": (stack.port, [f"{p}?consistency=linearizable" for p in paths], headers),
        }
        seen: dict[str, list[float]] = {name: [] for name in plans}
        ranges: list[float] = []
        with ExitStack() as beside:
            beside.enter_context(child("-m", "bench.bare", str(bare_port), str(file)))
            etcd_ports = beside.enter_context(etcd.start(1)) if etcd.installed() else []
            await wait_until_open(bare_port)
            for _ in range(rounds + MORE_ROUNDS):
                for port in etcd_ports:
                    found = await asyncio.to_thread(etcd.measure_ranges, port, body, SECONDS)
                    ranges.append(found["per_s"])
                for name, (port, gets, sent) in plans.items():
                    plan = {
                        "host": "127.0.0.1",
                        "port": port,
                        "seconds": SECONDS,
                        "headers": sent,
                        "gets": gets,
                    }
                    figures = await asyncio.to_thread(load, plan)
                    wanted = {"304"} if name == "304" else {"200"}
                    assert set(figures["statuses"]) == wanted, figures
                    seen[name].append(figures["per_s"])
    above = "the same beside a range of etcd's HTTP gateway (one member)"
    return [
        _row("GET config by API key, 64 connections", seen["get"], seen["bare"], 0.65),
        *([_row(above, seen["get"], ranges, 1)] if ranges else []),
        _row("the same, 304 by If-None-Match", seen["304"], seen["bare"], 0.75),
        _row("linearizable GET, 64 connections", seen["linearizable"], seen["get"], 0.5),
    ]


def _row(what: str, ours: list[float], limit: list[float], floor: float) -> Row:
    ratio = median([one / other for one, other in zip(ours, limit, strict=True)])
    return Row(what, f"{median(ours):,.0f}/s", f"{median(limit):,.0f}/s", ratio, floor)
