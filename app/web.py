"""The composition root of the web process: the only place where its objects are wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from aiohttp import web

from app.access.caller_rate import CallerRate
from app.access.directory import CHANNEL as ACCESS_CHANNEL
from app.access.directory import Directory
from app.access.passwords import PasswordPool
from app.access.sign_in_throttle import SignInThrottle
from app.access.tokens import KeyRing
from app.access.upkeep import Upkeep
from app.api.middleware import install, observed
from app.api.routes import all_routes
from app.background import Background
from app.barrier import SharedBarrier
from app.change_writer import ChangeWriter
from app.config_reader import ConfigReader
from app.diffs import Differ
from app.long_poll import LongPolls
from app.metrics import MeteredLog, Metrics
from app.pool import connect_pool
from app.project_deletions import ProjectDeletions
from app.raft_log import START_TIMEOUT_S, connect_log
from app.schema_changes import SchemaChanges
from app.schema_gate import SchemaGate
from app.schema_leases import SchemaLeases
from app.services import SERVICES, Services
from app.settings import Settings
from app.tenant_places import TenantPlaces
from app.tenant_slots import TenantSlots
from app.turns import Turns
from app.validation.pool import ValidatorPool
from app.watch_guard import AccessGuard
from app.watch_history import WatchHistory
from app.watch_hub import WatchHub
from projections.database import Silence
from projections.follower import Follower
from projections.read_model import ReadModel
from projections.rights import require_rights

BODY_OVERHEAD_BYTES = 64 * 1024
"""What a request may hold beside the content."""


def create_app(settings: Settings) -> web.Application:
    """The whole web service; it connects when the application starts."""
    app = web.Application(
        middlewares=[observed],
        client_max_size=settings.max_content_bytes + BODY_OVERHEAD_BYTES,
    )
    app.add_routes(all_routes())
    install(app, settings)

    async def lifespan(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app[SERVICES] = await _start(settings, stack)
            yield

    async def end_streams(app: web.Application) -> None:
        app[SERVICES].watch_hub.close()
        app[SERVICES].long_polls.close()

    app.cleanup_ctx.append(lifespan)
    app.on_shutdown.append(end_streams)
    return app


async def _start(settings: Settings, stack: AsyncExitStack) -> Services:
    dsn = settings.require_database_url()
    ring = KeyRing.parse(settings.require_secret_key())
    metrics = Metrics()
    log = MeteredLog(await connect_log(settings), metrics)
    stack.push_async_callback(log.close)
    silence = Silence()
    pool = await connect_pool(dsn, metrics, silence, timeout_s=START_TIMEOUT_S)
    stack.callback(pool.terminate)
    async with pool.acquire() as connection:
        await require_rights(connection, "guardian_web")
    model = ReadModel(settings.read_model_bytes)
    directory = Directory(pool, ring, lambda: model.live)
    # One connection hears of both, in the order of their commits: who lost access before a change
    # was made is not let in because of that change.
    follower = Follower(dsn, model, {ACCESS_CHANNEL: directory.invalidate}, silence)
    watch_hub, watch_guard = WatchHub(model), AccessGuard(directory)
    upkeep = Upkeep(pool)
    background = Background()
    stack.push_async_callback(background.stop)
    for work in (
        follower.run(),
        follower.warm(),
        watch_hub.run(),
        watch_guard.run(),
        upkeep.run(),
    ):
        background.start(work)
    await background.started(follower.ready)
    metrics.gauge("guardian_read_model_position", "Log position.", lambda: model.position)
    metrics.gauge("guardian_read_model_live", "1: follows the database.", lambda: model.live)
    metrics.gauge("guardian_read_model_bytes", "Of configs in memory.", lambda: model.bytes)
    metrics.gauge("guardian_read_model_warm", "1: took in what fits.", follower.warmed.is_set)
    metrics.gauge("guardian_read_model_complete", "1: holds all.", lambda: model.complete)
    metrics.gauge("guardian_database_connections", "Of the pool.", pool.get_size)
    barrier = SharedBarrier(log, model)
    project_deletions = ProjectDeletions(pool, barrier, directory)
    background.start(project_deletions.run())
    validators = await stack.enter_async_context(ValidatorPool())
    parsers = await stack.enter_async_context(ValidatorPool())
    leases = SchemaLeases(dsn, silence)
    stack.push_async_callback(leases.close)
    gate = SchemaGate(pool, leases, validators)
    reader = ConfigReader(model, barrier, pool)
    return Services(
        settings=settings,
        pool=pool,
        log=log,
        model=model,
        follower=follower,
        directory=directory,
        passwords=await stack.enter_async_context(PasswordPool()),
        ring=ring,
        sign_in_throttle=SignInThrottle(pool),
        caller_rate=CallerRate(
            settings.requests_per_second,
            settings.request_burst,
            settings.account_requests_per_second,
        ),
        metrics=metrics,
        upkeep=upkeep,
        validators=validators,
        parsers=parsers,
        schema_changes=SchemaChanges(pool, barrier, validators),
        project_deletions=project_deletions,
        writer=ChangeWriter(
            log, reader, barrier, pool, gate, max_content_bytes=settings.max_content_bytes
        ),
        reader=reader,
        barrier=barrier,
        turns=Turns(),
        differ=Differ(),
        audit_walks=TenantSlots("walks of hash chains", slots=2, tenant_waiting=2, all_waiting=64),
        searches=TenantSlots("searches", slots=2, tenant_waiting=16, all_waiting=256),
        long_polls=LongPolls(model),
        held_places=TenantPlaces("held requests", share=settings.account_watchers),
        watch_places=TenantPlaces("watches", share=settings.account_watchers),
        watch_hub=watch_hub,
        watch_history=WatchHistory(pool, model),
        watch_guard=watch_guard,
    )
