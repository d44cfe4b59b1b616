"""Goal: a web process waits for its dependencies, or ends with one line that says why.

Method: the real command beside a PostgreSQL that comes late, refuses or is not migrated. That a
background task which breaks ends the process is shown on the tasks' holder itself.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from functools import partial

import asyncpg
import pytest

from app import migrations
from app.background import Background
from app.embedded.postgres import Postgres
from tests.consensus.contract import eventually
from tests.support.processes import Command
from tests.support.servers import PostgresAddress


def run_web_command(
    started: list[Command], database_url: str, nats_url: str, stream: str, **more: str
) -> Command:
    environ = {
        "DATABASE_URL": database_url,
        "NATS_URL": nats_url,
        "GUARDIAN_STREAM": stream,
        "GUARDIAN_PORT": "0",
        "GUARDIAN_SECRET_KEY": "a secret key of the tests that is long enough",
        **more,
    }
    started.append(Command("web", "--embedded", environ=environ))
    return started[-1]


def test_it_waits_for_a_database_that_comes_late(
    private_postgres: Postgres, nats_url: str, stream_name: str, started: list[Command]
) -> None:
    """Race: PostgreSQL still refused connections, and the web process died of it."""
    asyncio.run(migrations.up(private_postgres.url()))
    private_postgres.stop()
    web = run_web_command(started, private_postgres.url(), nats_url, stream_name)
    web.wait_for("database_awaited")
    private_postgres.start()
    # It follows the database as soon as it has one, which only a process that lives does.
    asyncio.run(_followed(private_postgres))
    assert web.process.poll() is None
    assert web.end(signal.SIGTERM) == 0


async def _followed(server: Postgres) -> None:
    connection = await asyncpg.connect(server.url())
    query = (
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE application_name LIKE 'guardian-follower %'"
    )
    await eventually(partial(connection.fetchval, query))
    await connection.close()


def test_a_database_without_tables_is_one_line(
    empty_database_url: str, nats_url: str, stream_name: str, started: list[Command]
) -> None:
    asyncio.run(migrations.create_database(empty_database_url))
    web = run_web_command(started, empty_database_url, nats_url, stream_name)
    web.wait_for("error: the database is not migrated (`guardian release`): ")
    assert web.process.wait(30) == 1
    assert not any("Traceback" in line for line in web.lines)


def test_a_database_that_is_not_there_is_one_line(
    postgres_server: PostgresAddress, nats_url: str, stream_name: str, started: list[Command]
) -> None:
    web = run_web_command(started, postgres_server.url("nowhere"), nats_url, stream_name)
    web.wait_for('error: the database: database "nowhere" does not exist')
    assert web.process.wait(30) == 1
    assert not any("Traceback" in line for line in web.lines)


def test_it_says_where_it_listens(
    database_url: str, nats_url: str, stream_name: str, started: list[Command]
) -> None:
    """Under honcho, which gives it a port of its own, nothing told which."""
    web = run_web_command(started, database_url, nats_url, stream_name)
    said = json.loads(web.wait_for('"event":"listening"'))
    port = int(said["address"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        assert web.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("host", "variables"),
    [
        ("127.0.0.1", "GUARDIAN_HOST, GUARDIAN_PORT"),
        ("127.0.0.1", "GUARDIAN_HOST, GUARDIAN_PROCESS_PORT"),
        ("nowhere.invalid", "GUARDIAN_HOST, GUARDIAN_PORT"),
    ],
)
def test_a_place_to_listen_on_that_cannot_be_had_is_one_line(
    database_url: str,
    nats_url: str,
    stream_name: str,
    started: list[Command],
    host: str,
    variables: str,
) -> None:
    """It was told as a failure of the database."""
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        place = {"GUARDIAN_HOST": host, variables.rpartition(" ")[2]: str(port)}
        web = run_web_command(started, database_url, nats_url, stream_name, **place)
        web.wait_for(f"error: {variables}: cannot listen on {host}:{port}: ")
        assert web.process.wait(30) == 2
    assert not any("Traceback" in line for line in web.lines)


async def test_what_breaks_while_it_starts_is_raised_to_who_starts_it() -> None:
    background = Background()
    background.start(_break())
    with pytest.raises(LookupError, match="a bug"):
        await background.started(asyncio.Event())
    await background.stop()


def test_what_breaks_later_ends_the_process() -> None:
    async def main() -> None:
        background = Background()
        ready, never = asyncio.Event(), asyncio.Event()
        ready.set()
        await background.started(ready)
        background.start(_break())
        await never.wait()

    with pytest.raises(SystemExit, match="a background task broke: LookupError"):
        asyncio.run(main())


async def _break() -> None:
    raise LookupError("a bug")
