"""The whole service in the test's own event loop, on the run's real servers.

Everything is reached through HTTP, like a client would; the parts are at hand for tests that
must look behind (`service.app`, `service.projector`).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import uuid_utils
from aiohttp import web
from multidict import CIMultiDict

from app.access.passwords import CHEAP_PARAMETERS, PasswordHashing, PasswordPool
from app.raft_log import connect_log
from app.serve import start_runner
from app.services import SERVICES
from app.settings import Settings
from app.tables import users
from consensus.log import Log
from projections.projector import Projector
from tests.support import leaks

EMAIL, PASSWORD = "admin@example.org", "correct horse battery"


@dataclass
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Client:
    """A caller with credentials."""

    session: aiohttp.ClientSession
    base_url: str
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, method: str, path: str, **kwargs: Any) -> Answer:
        headers = CIMultiDict(self.headers)
        headers.update(kwargs.pop("headers", {}))
        url = self.base_url + path
        leaks.note(kwargs.get("json"))
        async with self.session.request(method, url, headers=headers, **kwargs) as response:
            answer = Answer(response.status, response.headers, await response.read())
        if path.startswith("/v1/") and answer.headers.get("Content-Type") == "application/json":
            leaks.note(answer.json)
        return answer

    def with_headers(self, **headers: str) -> Client:
        return Client(self.session, self.base_url, headers)

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> Client:
        answer = await self("POST", "/v1/auth/login", json={"email": email, "password": password})
        assert answer.status == 200, answer.body
        token = answer.json["access_token"]
        return self.with_headers(Authorization=f"Bearer {token}")


@dataclass
class Service:
    """A web process and a projector."""

    settings: Settings
    log: Log
    projector: Projector
    projector_task: asyncio.Task[None]
    app: web.Application
    anonymous: Client

    async def project(self, admin: Client, name: str = "shop") -> tuple[str, str]:
        """A new project: its path, and its key."""
        answer = await admin("POST", "/v1/projects", json={"name": name})
        assert answer.status == 201, answer.body
        return f"/v1/projects/{answer.json['id']}", answer.json["api_key"]

    async def hears(self) -> None:
        """Return when this process has heard of all that was committed before, also of who lost
        access: one connection is told of commits in their order, and of a barrier behind them."""
        services = self.app[SERVICES]
        await services.model.wait_for(await services.log.barrier(timeout=10), 10)

    async def user(self, admin: Client, name: str) -> Client:
        """A new user of that name, signed in."""
        email, password = f"{name}@example.org", f"the password of {name}"
        answer = await admin("POST", "/v1/users", json={"email": email, "password": password})
        assert answer.status == 201, answer.body
        return await self.anonymous.sign_in(email, password)


def settings_for(database_url: str, nats_url: str, stream: str) -> Settings:
    """Settings of a test's service."""
    return Settings(
        database_url=database_url,
        nats_url=nats_url,
        stream=stream,
        data_dir=Path("unused"),
        secret_key="a secret key of the tests that is long enough",
        admin_email=EMAIL,
        admin_password=PASSWORD,
        port=0,
    )


@asynccontextmanager
async def run_web(
    settings: Settings, hashing: PasswordHashing | None = None, shutdown_timeout: float = 1.0
) -> AsyncIterator[tuple[web.Application, str]]:
    """One web process's application, served on a free port of the loopback.

    Its passwords cost next to nothing unless `hashing` says otherwise: with the product's own
    hash the sign-in that every test begins with takes a fifth of a second of both cores.
    """
    runner = await start_runner(settings, shutdown_timeout=shutdown_timeout)
    try:
        async with PasswordPool(hashing or PasswordHashing(CHEAP_PARAMETERS)) as passwords:
            runner.app[SERVICES].passwords = passwords
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield runner.app, f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@functools.cache
def _password_hash() -> str:
    return PasswordHashing(CHEAP_PARAMETERS).hash_password(PASSWORD)


async def ensure_superuser(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        if not await users.count_superusers(connection):
            user_id = str(uuid_utils.uuid7())
            await users.insert_user(connection, user_id, EMAIL, _password_hash(), True)
    finally:
        await connection.close()


@asynccontextmanager
async def run_service(settings: Settings) -> AsyncIterator[Service]:
    """The service with its first superuser, EMAIL and PASSWORD."""
    await ensure_superuser(settings.require_database_url())
    log = await connect_log(settings)
    projector = Projector(log, settings.require_database_url())
    task = asyncio.create_task(projector.run())
    try:
        async with run_web(settings) as (app, base_url), aiohttp.ClientSession() as session:
            yield Service(settings, log, projector, task, app, Client(session, base_url))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await log.close()
