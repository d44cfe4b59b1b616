"""The adapter with a server that knows its users by JWT (`GUARDIAN_NATS_CREDENTIALS`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consensus.jetstream import JetStreamLog
from consensus.jetstream_layout import GROUP_ROOM
from consensus.log import AccessUnusable, LogUnavailable
from tests.consensus.contract import append, eventually, positions, read
from tests.consensus.lone_server import lone_server
from tests.consensus.nats_accounts import Operator

TIMEOUT_S = 20.0
BAD_FILES = {
    "empty": "",
    "half of it": "-----BEGIN NATS USER JWT-----\n",
    "no seed": "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n",
    "a seed that is none": "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n"
    "-----BEGIN USER NKEY SEED-----\nSUAAAA\n------END USER NKEY SEED------\n",
}


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
async def server(tmp_path: Path, unused_tcp_port: int, operator: Operator) -> AsyncIterator[str]:
    with lone_server(tmp_path, unused_tcp_port, **operator.config) as url:
        yield url


@pytest.fixture
def file(tmp_path: Path, operator: Operator) -> Path:
    file = tmp_path / "user.creds"
    file.write_text(operator.credentials())
    return file


async def connect(url: str, file: Path | None) -> JetStreamLog:
    return await JetStreamLog.connect([url], "log", replicas=1, credentials=file, timeout=TIMEOUT_S)


async def test_a_log_for_which_one_needs_credentials(server: str, file: Path) -> None:
    log = await connect(server, file)
    assert await append(log, b"x") == GROUP_ROOM
    assert positions(await read(log.reader(0), 1)) == [GROUP_ROOM]
    assert (await log.status()).last_position == GROUP_ROOM
    await log.close()


@pytest.mark.parametrize("who", ["nobody", "another operator's user"])
async def test_who_is_not_known_is_refused(who: str, server: str, file: Path) -> None:
    file.write_text(Operator().credentials())
    with pytest.raises(LogUnavailable, match="refuses our credentials"):
        await connect(server, None if who == "nobody" else file)


@pytest.mark.parametrize("what", BAD_FILES)
async def test_a_file_that_cannot_be_used_is_told_before_anything_is_connected(
    what: str, file: Path
) -> None:
    file.write_text(BAD_FILES[what])
    with pytest.raises(AccessUnusable, match=r"user\.creds holds"):
        await connect("nats://127.0.0.1:1", file)


async def test_a_file_that_is_not_there_is_told_before_anything_is_connected(file: Path) -> None:
    file.unlink()
    with pytest.raises(AccessUnusable, match=r"user\.creds cannot be read: No such file"):
        await connect("nats://127.0.0.1:1", file)


@pytest.mark.parametrize("what", [*BAD_FILES, "no file"])
async def test_a_file_that_is_being_replaced_is_read_again(
    what: str, server: str, file: Path, operator: Operator
) -> None:
    log = await connect(server, file)
    assert await append(log, b"1") == GROUP_ROOM
    if what == "no file":
        file.unlink()
    else:
        file.write_text(BAD_FILES[what])
    await log._connection.client.force_reconnect()

    async def read_it() -> bool:
        return "user.creds" in log._connection.last_error

    await eventually(read_it)
    file.write_text(operator.credentials())  # of another user, too
    async with asyncio.timeout(TIMEOUT_S):
        assert await append(log, b"2") == 2 * GROUP_ROOM
    await log.close()
