"""Whether this process and what it stands on are well: liveness, readiness, the Raft group."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any, TypeVar

from aiohttp import web

from app.api.access import superuser
from app.api.requests import json_response
from app.services import SERVICES, Services
from consensus.log import LogStatus, LogUnavailable
from projections.database import DATABASE_AWAY
from projections.projector import LOCK_CLASS, LOCK_OBJECT
from projections.revisions import APPLICATION

CHECK_TIMEOUT_S = 2.0
"""How long each dependency is waited for."""

_Answer = TypeVar("_Answer")
_asked: set[asyncio.Task[Any]] = set()

_PROJECTOR = """
SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = $1 AND objid = $2) AS active,
    (SELECT notification_id FROM checkpoints WHERE application_name = $3) AS applied_position,
    (SELECT skipped FROM checkpoints WHERE application_name = $3) AS skipped,
    h.reason, h.detail, h.position, h.halted_at
FROM (SELECT 1) AS one LEFT JOIN projector_halts h ON h.application_name = $3
"""


async def healthz(request: web.Request) -> web.Response:
    """This process answers."""
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Each dependency with its reason; 503 unless all are well."""
    services = request.app[SERVICES]
    projector, log = await asyncio.gather(_projector(services), _log_status(services))
    trouble = str(log) if isinstance(log, Exception) else log.trouble
    checks: dict[str, dict[str, Any]] = {
        "database": _check("reason" not in projector, projector.get("reason")),
        "projector": _check(bool(projector.get("active")), _projector_reason(projector)),
        "log": _check(trouble is None, trouble),
        "read_model": _check(services.model.live, "not following the database"),
    }
    ready = all(check["ok"] for check in checks.values())
    return json_response({"ready": ready, "checks": checks}, 200 if ready else 503)


async def cluster(request: web.Request) -> web.Response:
    """The Raft group, the projector and this process's read model, for superusers."""
    await superuser(request)
    services = request.app[SERVICES]
    projector, log = await asyncio.gather(_projector(services), _log_status(services))
    raft: dict[str, Any] = {"leader": None, "term": None, "members": [], "reason": str(log)}
    lag = None
    applied = projector.get("applied_position")
    if isinstance(log, LogStatus):
        raft = {
            "leader": log.leader,
            "term": log.term,
            "members": [asdict(member) for member in log.members],
            "first_position": log.first_position,
            "last_position": log.last_position,
        }
        if applied is not None:
            lag = log.behind(applied)
    return json_response(
        {
            "raft": raft,
            "projector": {**projector, "lag": lag},
            "read_model": {"position": services.model.position, "live": services.model.live},
        }
    )


def _check(ok: bool, reason: str | None) -> dict[str, Any]:
    return {"ok": True} if ok else {"ok": False, "reason": reason}


def _projector_reason(projector: dict[str, Any]) -> str:
    if halt := projector.get("halted"):
        return f"halted: {halt['reason']}: {halt['detail']}"
    return str(projector.get("reason") or "no projector is active")


async def _projector(services: Services) -> dict[str, Any]:
    try:
        row = await _in_time(
            services.pool.fetchrow(_PROJECTOR, LOCK_CLASS, LOCK_OBJECT, APPLICATION)
        )
    except DATABASE_AWAY as error:
        return {"active": None, "applied_position": None, "reason": f"database away: {error!r}"}
    assert row is not None
    halted = None
    if row["reason"] is not None:
        halted = {name: row[name] for name in ("reason", "detail", "position", "halted_at")}
    return {
        "active": row["active"] and halted is None,
        "applied_position": row["applied_position"] or 0,
        "skipped": row["skipped"] or 0,
        "halted": halted,
    }


async def _log_status(services: Services) -> LogStatus | Exception:
    try:
        return await _in_time(services.log.status())
    except (LogUnavailable, TimeoutError) as error:
        return error


async def _in_time(question: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Its answer. Raises TimeoutError, and does not wait for the question's own end then: of one to
    a frozen PostgreSQL, that is when the server has confirmed that it is cancelled."""
    task = asyncio.create_task(question)
    _asked.add(task)
    task.add_done_callback(_ended)
    try:
        await asyncio.wait({task}, timeout=CHECK_TIMEOUT_S)
    finally:
        task.cancel()  # also where its caller is; nothing where it has ended
    if task.done():
        return task.result()
    raise TimeoutError(f"no answer within {CHECK_TIMEOUT_S:g} s")


def _ended(task: asyncio.Task[Any]) -> None:
    _asked.discard(task)
    if not task.cancelled():
        task.exception()  # perhaps nobody asks any more


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/v1/cluster", cluster),
    ]
