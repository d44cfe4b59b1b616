"""Servers for the whole run: real ones, shared, each test with a database and a stream of its own.

TEST_DATABASE_URL and TEST_NATS_URL name servers to use instead. A test that kills servers
takes `private_raft_group` or `private_postgres`.
"""

from __future__ import annotations

import os
import re
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from app.embedded.postgres import Postgres
from app.embedded.processes import die_with
from app.embedded.raft import RaftGroup
from tests.support.broker import ADDRESS_VARIABLE, CONTROLLER_VARIABLE, Broker
from tests.support.leaks import LogCollector, collected_logs
from tests.support.servers import PostgresAddress, RaftAddress, ask, own_database

# How long an example takes is the machine's, which runs other tests beside: no test hangs on it.
hypothesis.settings.register_profile(
    "no clock",
    parent=hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("no clock")

_BROKER = pytest.StashKey[Broker]()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # xdist's workers find the controller's
        die_with(int(os.environ[CONTROLLER_VARIABLE]), signal.SIGKILL)
    else:
        broker = Broker()
        broker.start()
        config.stash[_BROKER] = broker
        os.environ[ADDRESS_VARIABLE] = broker.address
        os.environ[CONTROLLER_VARIABLE] = str(os.getpid())


def pytest_unconfigure(config: pytest.Config) -> None:
    if (broker := config.stash.get(_BROKER, None)) is not None:
        broker.stop()


@pytest.fixture(autouse=True)
def logs() -> Iterator[LogCollector]:
    """The log of the test; none may leave a password's hash, a token or a key in it."""
    with collected_logs(noting=False) as collector:
        yield collector
    assert collector.leaks() == []


@pytest.fixture(scope="session")
def postgres_server() -> PostgresAddress:
    """The run's PostgreSQL server."""
    return PostgresAddress(admin_url=ask("postgres"))


@pytest.fixture
def database_url() -> Iterator[str]:
    """A fresh, migrated database of this test alone."""
    with own_database() as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: PostgresAddress) -> Iterator[str]:
    """The URL of a database that does not exist yet; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres_server.url(name)
    ask("drop_database", name)


@pytest.fixture(scope="session")
def raft_group() -> RaftAddress:
    """The run's Raft group."""
    found = ask("raft")
    return RaftAddress(url=found["url"], monitor_urls=tuple(found["monitor_urls"]))


@pytest.fixture
def nats_url(raft_group: RaftAddress) -> str:
    """Client URLs of the run's Raft group, with commas, as NATS_URL has them."""
    return raft_group.url


@pytest.fixture
def stream_name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A stream name of this test alone; streams whose names start with it are deleted."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", request.node.name)[:24]
    name = f"t_{uuid.uuid4().hex[:12]}_{words}".rstrip("_")
    yield name
    ask("delete_streams", name)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary folder with a path short enough for a unix socket, open to other users.

    In the run's own, which is removed even when a run was killed.
    """
    run = Path(os.environ[ADDRESS_VARIABLE]).parent
    with tempfile.TemporaryDirectory(prefix="gt-", dir=run) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def private_raft_group(short_path: Path) -> Iterator[RaftGroup]:
    """A started Raft group of this test alone, as durable as the product's: kill it freely."""
    group = RaftGroup(short_path / "raft")
    group.start()
    yield group
    group.stop()


@pytest.fixture
def private_postgres(short_path: Path) -> Iterator[Postgres]:
    """A started PostgreSQL of this test alone, without any database: kill it freely."""
    server = Postgres(short_path / "postgres")
    server.start()
    yield server
    server.stop()
