"""The drill: back up under load, destroy everything, restore, replay the tail, compare."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import orjson
import pytest

from app import backup as backup_module
from app.backup import back_up, restore
from app.backup_folder import BackupError, Manifest
from app.embedded.postgres import Postgres
from app.embedded.raft import RaftGroup
from app.migrations import up
from app.raft_log import access_of, connect_log
from app.settings import Settings
from consensus import jetstream_snapshot
from consensus.jetstream_snapshot import StreamExists
from consensus.jetstream_stream import StreamMismatch
from tests.support.servers import ask
from tests.support.service import Client, run_service, settings_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

_REVISIONS = """
SELECT project_id, config_key, version, position, change_id, state, hash, created_at
FROM config_revisions WHERE position <= $1 ORDER BY sequence
"""


class Load:
    """Writers that remember what was acknowledged."""

    def __init__(self, admin: Client, project: str, writers: int = 4) -> None:
        self.acknowledged: dict[tuple[str, int], int] = {}
        """From key and version to the position."""
        self._stop = False
        self._wrote = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._write(admin, f"{project}/configs/k{n}", f"k{n}"))
            for n in range(writers)
        ]

    async def _write(self, admin: Client, path: str, key: str) -> None:
        version = 0
        while not self._stop:
            answer = await admin("PUT", path, json={"content": "x" * 500, "version": version})
            assert answer.status in (200, 201), answer.body
            version += 1
            self.acknowledged[key, version] = int(answer.headers["Guardian-Position"])
            self._wrote.set()

    async def reach(self, writes: int) -> None:
        while len(self.acknowledged) < writes:
            self._wrote.clear()
            await self._wrote.wait()

    async def stop(self) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)


async def guardian(
    settings: Settings, *arguments: str, largest_file: int = resource.RLIM_INFINITY
) -> tuple[int, str, str]:
    limit = (resource.RLIMIT_FSIZE, (largest_file, largest_file))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=partial(resource.setrlimit, *limit),
        env={
            **os.environ,
            "DATABASE_URL": settings.require_database_url(),
            "NATS_URL": settings.require_nats_url(),
            "GUARDIAN_STREAM": settings.stream,
        },
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def revisions(url: str, last_position: int) -> list[Any]:
    connection = await asyncpg.connect(url)
    rows = [tuple(row) for row in await connection.fetch(_REVISIONS, last_position)]
    await connection.close()
    return rows


async def content_of(settings: Settings, path: str) -> Any:
    """A config's content, once the service on these settings has applied all of the log."""
    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        return (await admin("GET", f"{path}?consistency=linearizable")).json["content"]


async def test_the_drill(short_path: Path) -> None:
    group, postgres = RaftGroup(short_path / "raft"), Postgres(short_path / "postgres")
    group.start()
    postgres.start()
    folder = short_path / "backup"
    settings = settings_for(postgres.url(), group.url, "guardian")
    try:
        await up(postgres.url())
        async with run_service(settings) as service:
            admin = await service.anonymous.sign_in()
            project, _ = await service.project(admin)
            load = Load(admin, project)
            await load.reach(40)
            folder.mkdir(mode=0o755)  # as an operator may have made it
            code, output, errors = await guardian(settings, "backup", str(folder), "--json")
            assert code == 0, errors
            assert {file.stat().st_mode & 0o077 for file in folder.iterdir()} == {0}
            manifest = orjson.loads(output)
            await load.reach(len(load.acknowledged) + 20)
            await load.stop()
        last = manifest["last_position"]
        assert 0 < manifest["checkpoint"] <= last
        before = await revisions(postgres.url(), last)
        assert before
    finally:
        group.stop()
        postgres.stop()

    # Everything is destroyed.
    shutil.rmtree(short_path / "raft")
    shutil.rmtree(short_path / "postgres")
    group, postgres = RaftGroup(short_path / "raft2"), Postgres(short_path / "postgres2")
    group.start()
    postgres.start()
    settings = replace(settings, database_url=postgres.url(), nats_url=group.url)
    try:
        code, output, errors = await guardian(settings, "restore", str(folder))
        assert code == 0, errors
        code, _, errors = await guardian(settings, "restore", str(folder))  # once more: a no-op
        assert code == 0, errors
        async with run_service(settings) as service:
            admin = await service.anonymous.sign_in()
            answer = await admin("GET", f"{project}/configs/k0?consistency=linearizable")
            assert answer.status == 200
            # The tail between the dump and the end of the snapshot was replayed.
            assert await revisions(postgres.url(), last) == before
            restored = {(row[1], row[2]): row[3] for row in before}
            for place, position in load.acknowledged.items():
                assert position > last or restored[place] == position
            version = answer.json["version"]
            answer = await admin(
                "PUT", f"{project}/configs/k0", json={"content": 1, "version": version}
            )
            assert answer.status == 200
            assert int(answer.headers["Guardian-Position"]) > last
        code, output, errors = await guardian(
            settings, "log", "replay", "--into", postgres.url("again"), "--json"
        )
        assert code == 0, output + errors
    finally:
        group.stop()
        postgres.stop()


@pytest.fixture
async def filled(database_url: str, nats_url: str, stream_name: str) -> tuple[Settings, str]:
    """Settings of a small installation that has stopped; the path of one config."""
    settings = settings_for(database_url, nats_url, stream_name)
    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        path = f"{project}/configs/k"
        assert (await admin("PUT", path, json={"content": 1, "version": 0})).status == 201
    return settings, path


async def cut_short(
    work: Awaitable[object],
    place: tuple[ModuleType, str],
    monkeypatch: pytest.MonkeyPatch,
    when: Callable[..., bool] = lambda *_: True,
) -> None:
    """`work`, which ends where it calls the function at `place` (the first time for which `when`
    holds)."""
    function = getattr(*place)

    async def interrupted(*arguments: Any, **options: Any) -> Any:
        if when(*arguments):
            raise InterruptedError
        return await function(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(*place, interrupted)
        with pytest.raises(InterruptedError):
            await work


async def test_an_interrupted_backup_goes_on(
    filled: tuple[Settings, str], short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = filled
    folder = short_path / "backup"

    await cut_short(back_up(settings, folder), (backup_module, "save_stream"), monkeypatch)
    with pytest.raises(BackupError, match="no finished backup"):
        await restore(settings, folder)
    said: list[str] = []
    manifest = await back_up(settings, folder, said.append)
    assert not any("dumping" in line for line in said)
    assert manifest.finished_at
    with pytest.raises(BackupError, match="holds a finished backup"):
        await back_up(settings, folder)


async def test_an_interrupted_restore_goes_on(
    filled: tuple[Settings, str],
    short_path: Path,
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, path = filled
    folder = short_path / "backup"
    await back_up(settings, folder)

    ask("delete_streams", settings.stream)
    target = replace(settings, database_url=empty_database_url)
    await cut_short(restore(target, folder), (backup_module, "_restore_database"), monkeypatch)
    said: list[str] = []
    await restore(target, folder, said.append)
    assert "the log is there already" in said
    assert await content_of(target, path) == 1


async def test_a_restore_that_was_interrupted_within_the_log_begins_anew(
    filled: tuple[Settings, str],
    short_path: Path,
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The servers keep some entries or none, and every repetition was refused for them."""
    settings, path = filled
    await back_up(settings, folder := short_path / "backup")
    ask("delete_streams", settings.stream)
    target = replace(settings, database_url=empty_database_url)
    place = (jetstream_snapshot, "_hand_over")
    await cut_short(
        restore(target, folder), place, monkeypatch, lambda client, subject, data: not data
    )
    with pytest.raises(StreamMismatch, match="a restore of it is under way or was interrupted"):
        await connect_log(target)
    said: list[str] = []
    await restore(target, folder, said.append)
    assert "the log is there already" not in said
    assert await content_of(target, path) == 1


async def test_a_restore_while_the_servers_wait_for_another_says_so(
    filled: tuple[Settings, str],
    short_path: Path,
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, _ = filled
    await back_up(settings, folder := short_path / "backup")
    ask("delete_streams", settings.stream)
    target = replace(settings, database_url=empty_database_url)

    await cut_short(restore(target, folder), (jetstream_snapshot, "_hand_over"), monkeypatch)
    with pytest.raises(StreamExists, match="call again in half a minute"):
        await restore(target, folder)
    # No list of streams has it yet, so it would not be deleted behind the test.
    connection = await access_of(target).connect()
    await connection.jetstream(30.0).delete_stream(settings.stream)
    await connection.close()


async def test_nothing_is_restored_over_anything(
    filled: tuple[Settings, str], short_path: Path, empty_database_url: str
) -> None:
    settings, _ = filled
    folder = short_path / "backup"
    manifest = await back_up(settings, folder)
    assert isinstance(manifest, Manifest)
    ask("delete_streams", settings.stream)
    # A service that was started too early made an empty stream.
    await up(empty_database_url)
    async with run_service(replace(settings, database_url=empty_database_url)):
        pass
    with pytest.raises(StreamExists, match="there is a stream"):
        await restore(replace(settings, database_url=empty_database_url), folder)
    (folder / "log.snapshot").write_bytes(b"another file")
    with pytest.raises(BackupError, match="is not the file that was backed up"):
        await restore(settings, folder)


async def test_a_restore_over_a_running_or_newer_installation_is_refused(
    filled: tuple[Settings, str], short_path: Path, empty_database_url: str
) -> None:
    """It said "restored", with exit code 0, and restored nothing."""
    settings, path = filled
    older, newer = short_path / "older", short_path / "newer"
    await back_up(settings, older)
    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        code, output, errors = await guardian(settings, "restore", str(older))
        assert (code, output) == (2, "")
        assert "error: a projector runs; stop them all" in errors
        assert (await admin("PUT", path, json={"content": 2, "version": 1})).status == 200
    await back_up(settings, newer)
    for target in (settings, replace(settings, database_url=empty_database_url)):
        code, output, errors = await guardian(target, "restore", str(older))
        assert (code, output) == (2, "")
        assert "it is newer than the backup: it holds a change set at" in errors
    # The stream alone was made away with: the database is newer still.
    ask("delete_streams", settings.stream)
    code, output, errors = await guardian(settings, "restore", str(older))
    assert (code, output) == (1, "")
    assert "error: the database is not empty: it stands at position" in errors
    # Nothing was changed: there is no stream yet, and the database is the newer backup's.
    said: list[str] = []
    await restore(settings, newer, said.append)
    assert "the database is there already" in said
    assert "the log is there already" not in said
    assert await content_of(settings, path) == 2


async def test_a_lost_database_is_restored_beside_a_log_that_is_newer(
    filled: tuple[Settings, str], short_path: Path, empty_database_url: str
) -> None:
    """RUNBOOK, log-diverged 3: the log is right and stays."""
    settings, path = filled
    await back_up(settings, folder := short_path / "backup")
    async with run_service(settings) as service:
        admin = await service.anonymous.sign_in()
        assert (await admin("PUT", path, json={"content": 2, "version": 1})).status == 200
    target = replace(settings, database_url=empty_database_url)
    code, output, errors = await guardian(target, "restore", str(folder), "--database-only")
    assert code == 0, errors
    assert "the log kept" in output
    assert await content_of(target, path) == 2
    ask("delete_streams", settings.stream)
    code, _, errors = await guardian(settings, "restore", str(folder), "--database-only")
    assert (code, "that the database could follow" in errors) == (1, True), errors


async def test_another_streams_name_is_refused_before_anything_is_restored(
    filled: tuple[Settings, str], short_path: Path, empty_database_url: str
) -> None:
    """The log was restored under the new name, the rest failed, and so did every repetition."""
    settings, path = filled
    await back_up(settings, folder := short_path / "backup")
    ask("delete_streams", settings.stream)
    target = replace(settings, database_url=empty_database_url)
    renamed = replace(target, stream=f"{settings.stream}_new")
    code, output, errors = await guardian(renamed, "restore", str(folder))
    assert (code, output) == (1, "")
    assert errors == (
        f"error: the backup is of the stream {settings.stream!r}; GUARDIAN_STREAM must name it,"
        f" and not {renamed.stream!r}\n"
    )
    await restore(target, folder)
    assert await content_of(target, path) == 1
