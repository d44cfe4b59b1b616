"""What the handlers need, made once in `app.web`; the type of the application's one key."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg
from aiohttp import web

from app.access.caller_rate import CallerRate
from app.access.directory import Directory
from app.access.passwords import PasswordPool
from app.access.sign_in_throttle import SignInThrottle
from app.access.tokens import KeyRing
from app.access.upkeep import Upkeep
from app.barrier import SharedBarrier
from app.change_writer import ChangeWriter
from app.config_reader import ConfigReader
from app.diffs import Differ
from app.long_poll import LongPolls
from app.metrics import Metrics
from app.project_deletions import ProjectDeletions
from app.schema_changes import SchemaChanges
from app.settings import Settings
from app.tenant_places import TenantPlaces
from app.tenant_slots import TenantSlots
from app.turns import Turns
from app.validation.pool import ValidatorPool
from app.watch_guard import AccessGuard
from app.watch_history import WatchHistory
from app.watch_hub import WatchHub
from consensus.log import Log
from projections.follower import Follower
from projections.read_model import ReadModel


@dataclass(slots=True)
class Services:
    """The parts of one web process."""

    settings: Settings
    pool: asyncpg.Pool
    log: Log
    model: ReadModel
    follower: Follower
    directory: Directory
    passwords: PasswordPool
    ring: KeyRing
    sign_in_throttle: SignInThrottle
    caller_rate: CallerRate
    metrics: Metrics
    upkeep: Upkeep
    validators: ValidatorPool
    parsers: ValidatorPool
    """Checks of large bodies, beside the validators: what is hostile there does not wait here."""
    schema_changes: SchemaChanges
    project_deletions: ProjectDeletions
    writer: ChangeWriter
    reader: ConfigReader
    barrier: SharedBarrier
    turns: Turns
    differ: Differ
    searches: TenantSlots
    """Searches in contents: who waits for one holds no connection."""
    long_polls: LongPolls
    held_places: TenantPlaces
    watch_places: TenantPlaces
    watch_hub: WatchHub
    watch_history: WatchHistory
    watch_guard: AccessGuard
    audit_walks: TenantSlots
    """Walks of hash chains: each keeps a connection and a part of the processor busy."""


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
