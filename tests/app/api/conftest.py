"""A service for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.leaks import LogCollector, collected_logs
from tests.support.service import Client, Service, run_service, settings_for


@pytest.fixture(autouse=True)
def logs() -> Iterator[LogCollector]:
    """The log of the test; no test of the API may leave a secret or a content in it."""
    with collected_logs(noting=True) as collector:
        yield collector
    assert collector.leaks() == []


@pytest_asyncio.fixture
async def service(database_url: str, nats_url: str, stream_name: str) -> AsyncIterator[Service]:
    """The whole service, on real servers."""
    async with run_service(settings_for(database_url, nats_url, stream_name)) as running:
        yield running


@pytest_asyncio.fixture
async def admin(service: Service) -> Client:
    """The first superuser, signed in."""
    return await service.anonymous.sign_in()


@pytest_asyncio.fixture
async def configs(service: Service, admin: Client) -> str:
    """The path of a new project's configs."""
    project, _ = await service.project(admin)
    return f"{project}/configs"
