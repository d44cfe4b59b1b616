"""What is there when all is healed: rows, every process's answers, the product's own proofs."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import aiohttp
import asyncpg
import orjson

from consensus.jetstream import JetStreamLog
from consensus.log import EntryKind
from domain.change_set import decode_change_set
from domain.config import Config
from projections.fingerprint import differences, fingerprints
from tests.faults.cluster import STREAM, Cluster
from tests.faults.history import FinalState, Recorded, Register

_REVISIONS = """
SELECT project_id, config_key, version, position, change_id, change_index, comment, event
FROM config_revisions ORDER BY sequence
"""


async def final_state(cluster: Cluster, keys: dict[str, str]) -> FinalState:
    """Gather all of it. The cluster is healed, and no client writes any more."""
    final = FinalState()
    for name, url in cluster.web_urls.items():
        final.processes[name] = await _configs_of(url, keys)
    connection = await asyncpg.connect(cluster.postgres.url())
    try:
        final.revisions = [
            Recorded(
                (row["project_id"], row["config_key"]),
                row["version"],
                row["position"],
                row["change_id"],
                row["change_index"],
                row["comment"],
                row["event"] == Config.Deleted.TOPIC,
            )
            for row in await connection.fetch(_REVISIONS)
        ]
        if halt := await connection.fetchrow("SELECT * FROM projector_halts"):
            final.findings.append(f"the projector halted: {dict(halt)}")
    finally:
        await connection.close()
    final.findings += await _compare_with_log(cluster, final.revisions)
    final.findings += await _own_proofs(cluster)
    return final


async def _configs_of(url: str, keys: dict[str, str]) -> dict[Register, int]:
    found: dict[Register, int] = {}
    async with aiohttp.ClientSession() as session:
        for project, key in keys.items():
            path = f"/v1/projects/{project}/configs?limit=500&consistency=linearizable&timeout=30"
            async with session.get(url + path, headers={"X-API-Key": key}) as answer:
                body = await answer.json(content_type=None)
                assert answer.status == 200, body
            found |= {(project, item["key"]): item["version"] for item in body["items"]}
    return found


async def _compare_with_log(cluster: Cluster, revisions: list[Recorded]) -> list[str]:
    """Every recorded change set is in the Raft log, at its position; and no log entry twice."""
    log = await JetStreamLog.connect(cluster.raft.url.split(","), STREAM)
    try:
        end = await log.barrier(timeout=30)
        reader = log.reader(0)
        ids: Counter[str] = Counter()
        places: dict[str, int] = {}
        position = 0
        while position < end:
            for entry in await reader.next_batch(timeout=30):
                position = entry.position
                if entry.kind is EntryKind.CHANGE:
                    change_id = decode_change_set(entry.data).id
                    ids[change_id] += 1
                    places.setdefault(change_id, position)
    finally:
        await log.close()
    findings = [
        f"revision of change set {r.change_id} at {r.position} is at {places.get(r.change_id)}"
        " in the log"
        for r in revisions
        if places.get(r.change_id) != r.position
    ]
    # The same id twice is allowed (a retry long after), as long as it is recorded once;
    # the checker sees to that.
    return findings[:20]


async def _own_proofs(cluster: Cluster) -> list[str]:
    """`projections verify`, `audit verify`, `log status`, and a replay of the whole log."""
    findings = []
    for command in (("projections", "verify"), ("audit", "verify"), ("log", "status")):
        try:
            await cluster.guardian(*command)
        except RuntimeError as error:
            findings.append(str(error))
    other = cluster.postgres.url("replayed")
    try:
        report = orjson.loads(await cluster.guardian("log", "replay", "--into", other, "--json"))
        assert report["compared_position"] > 0
    except RuntimeError as error:
        findings.append(await _explain(cluster, other, str(error)))
    return findings


async def _explain(cluster: Cluster, other: str, error: str) -> str:
    with contextlib.suppress(OSError, asyncpg.PostgresError):
        live, replayed = await asyncpg.connect(cluster.postgres.url()), await asyncpg.connect(other)
        async with live.transaction(), replayed.transaction():
            found = differences(await fingerprints(live), await fingerprints(replayed))
        return f"{error} {found}"
    return error


def keep_evidence(folder: Path, target: Path) -> None:
    """Copy the logs of all processes to where they outlive the run."""
    target.mkdir(parents=True, exist_ok=True)
    for log in [*folder.glob("*.log"), *folder.glob("raft/*/server.log")]:
        name = f"{log.parent.name}-{log.name}" if log.name == "server.log" else log.name
        (target / name).write_bytes(log.read_bytes()[-2_000_000:])
    postgres = folder / "postgres" / "postgres.log"
    if postgres.exists():
        (target / "postgres.log").write_bytes(postgres.read_bytes()[-2_000_000:])
