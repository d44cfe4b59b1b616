# ruff: noqa: T201
"""One fault run: `python -m tests.faults.run --minutes 30 --seed 1`. Exits with 1 if it found
anything wrong. As root it moves into a mount namespace of its own first, for the small disks.

Prints the seed, which replays the same schedule of faults, and a table at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import asyncpg
import orjson

from app.access.api_keys import generate_api_key
from app.embedded.processes import die_with
from tests.faults.checker import Verdict, check
from tests.faults.clients import Clients
from tests.faults.cluster import ROOT, Cluster
from tests.faults.final_state import final_state, keep_evidence
from tests.faults.nemesis import SHORT, Nemesis, kinds_here, schedule
from tests.faults.report import Row, rows, stale_pauses, table
from tests.support.rows import insert_project, insert_user

CLIENTS = 12
WARM_UP_WRITES = 20
CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 0x4000 | 0x40000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--broken", default=None, help="a deliberately broken build")
    parser.add_argument("--short", action="store_true", help="begin with the kinds that matter")
    parser.add_argument("--parent", type=int, default=None)
    options = parser.parse_args()
    if options.parent is not None:
        die_with(options.parent)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}: make test-faults FAULTS_MINUTES={options.minutes:g} FAULTS_SEED={seed}")
    _own_mounts()
    verdict = asyncio.run(_run(options, seed))
    wrong = verdict.all()
    for sentence in wrong[:40]:
        print(f"WRONG {sentence}")
    print(f"{len(wrong)} things are wrong" if wrong else "nothing is wrong")
    sys.exit(1 if wrong else 0)


def _own_mounts() -> None:
    """Mounts made from now on are seen by us and our children alone, and end with us."""
    if os.geteuid() == 0 and sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) == 0:
            libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None)


async def _run(options: argparse.Namespace, seed: int) -> Verdict:
    folder = Path(tempfile.mkdtemp(prefix="gf-"))
    evidence = ROOT / "test-output" / f"faults-{seed}"
    try:
        async with Cluster(folder, broken=options.broken) as cluster:
            supervisor = asyncio.create_task(cluster.restart_the_fallen())
            try:
                verdict = await _work(options, seed, cluster, evidence)
            finally:
                supervisor.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await supervisor
        return verdict
    finally:
        keep_evidence(folder, evidence)
        shutil.rmtree(folder, ignore_errors=True)


async def _work(
    options: argparse.Namespace, seed: int, cluster: Cluster, evidence: Path
) -> Verdict:
    clients = Clients(list(cluster.web_urls.values()), await _projects(cluster), seed)
    await clients.start(options.clients)
    for _ in range(WARM_UP_WRITES):
        assert await clients.wait_for_write(30), "no write at the beginning"
    nemesis = Nemesis(cluster, clients)
    first = SHORT if options.short else ()
    planned = schedule(seed, kinds_here(cluster), first=first)
    began = time.monotonic()
    try:
        await nemesis.run(planned, began + options.minutes * 60)
    finally:
        await cluster.heal()
        ended = time.monotonic()
        await clients.stop()
    await cluster.ready()
    final = await final_state(cluster, clients.keys)
    verdict = check(clients.history, final)
    found = rows(nemesis.happened, clients)
    _print(found, cluster, clients, verdict, ended - began)
    _save(evidence, seed, found, cluster, clients, verdict)
    return verdict


async def _projects(cluster: Cluster) -> dict[str, str]:
    """Two projects, each with an editor's key."""
    connection = await asyncpg.connect(cluster.postgres.url())
    keys: dict[str, str] = {}
    await insert_user(connection, "u")
    for project in ("p1", "p2"):
        await insert_project(connection, project, "u")
        key = generate_api_key()
        await connection.execute(
            "INSERT INTO api_keys (id, project_id, name, role_level, key_hash)"
            " VALUES ($1, $2, 'faults', 'editor', $3)",
            f"key-{project}",
            project,
            key.hash,
        )
        keys[project] = key.plain
    await connection.close()
    return keys


def _print(
    found: list[Row], cluster: Cluster, clients: Clients, verdict: Verdict, seconds: float
) -> None:
    print(table(found))
    history = clients.history
    done = len(clients.acknowledged_at)
    print(
        f"{sum(row.times for row in found)} faults in {seconds:.0f} s,"
        f" {history.operations} operations, {done} writes acknowledged,"
        f" {len(verdict.lost)} lost, {len(verdict.doubled)} doubled,"
        f" {len(verdict.phantom)} phantoms, {len(verdict.torn)} torn,"
        f" {len(verdict.order)} not linearizable, {len(verdict.stale)} too old,"
        f" {len(verdict.diverged)} diverged"
    )
    print(stale_pauses(found))
    for note in cluster.notes:
        print(f"not tested here: {note}")
    for end in cluster.ends[:10]:
        print(f"ended by itself: {end}")


def _save(
    evidence: Path,
    seed: int,
    found: list[Row],
    cluster: Cluster,
    clients: Clients,
    verdict: Verdict,
) -> None:
    evidence.mkdir(parents=True, exist_ok=True)
    report = {
        "seed": seed,
        "rows": [asdict(row) for row in found],
        "operations": clients.history.operations,
        "acknowledged": len(clients.acknowledged_at),
        "wrong": verdict.all(),
        "ended_by_themselves": cluster.ends,
        "notes": cluster.notes,
    }
    (evidence / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
