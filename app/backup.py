"""Back the database and the log up as one pair, and restore it.

The dump comes first and the log's snapshot after it, so the log always holds what the dump's
checkpoint stands on: the projector goes on from the one in the other. Both go on working
meanwhile. Interrupted, either command goes on where it was when it is called again. Must never
restore over anything, nor say that it restored what it only found.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg
import orjson

from app.embedded.postgres import binaries
from app.embedded.processes import EmbeddedError
from app.migrations import applied, create_database
from app.settings import Settings
from app.web import connect_log, log_tls
from consensus.jetstream_snapshot import (
    Access,
    Snapshot,
    StreamExists,
    load_stream,
    save_stream,
    stream_end,
)
from projections.checkpoint import Checkpoint, read_checkpoint
from projections.log_beginning import keep_projectors_off
from projections.log_check import compare_with_log

FORMAT = 1
MANIFEST, DUMP, LOG = "manifest.json", "database.dump", "log.snapshot"
BARRIER_TIMEOUT_S = 30.0
Say = Callable[[str], None]


class BackupError(Exception):
    """A backup or restore cannot go on; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup."""

    bytes: int
    sha256: str


@dataclass(slots=True)
class Manifest:
    """What a backup holds. A part that is None was not made yet."""

    format: int
    begun_at: str
    stream: str
    migration: str
    checkpoint: int = 0
    """The dump's: how far the log is applied in it."""
    database: Part | None = None
    log: Part | None = None
    log_config: dict[str, Any] | None = None
    log_state: dict[str, Any] | None = None
    log_bound: int = 0
    """The log's file holds nothing behind this; what came while it was made may be in it."""
    finished_at: str | None = None

    @property
    def last_position(self) -> int:
        """The log's last position in this backup: everything up to there is restored."""
        if self.log_config is None or self.log_state is None:
            return 0
        return Snapshot(self.log_config, self.log_state, 0).last_position


async def back_up(settings: Settings, folder: Path, say: Say = lambda line: None) -> Manifest:
    """Write a backup into `folder`, or finish one that was interrupted.

    Raises BackupError, SettingsError, LogError, asyncpg's errors.
    """
    dsn = settings.require_database_url()
    settings.require_nats_url()  # before a dump that nothing would follow
    manifest = _open(folder)
    if manifest is None:
        versions = await applied(dsn)
        manifest = Manifest(FORMAT, _now(), settings.stream, versions[-1] if versions else "0")
        _write(folder, manifest)
    elif manifest.finished_at is not None:
        raise BackupError(f"{folder} holds a finished backup of {manifest.finished_at}")
    if manifest.database is None:
        say("dumping the database")
        manifest.checkpoint = await _dump(dsn, folder / DUMP)
        manifest.database = await asyncio.to_thread(_part, folder / DUMP)
        _write(folder, manifest)
    if manifest.log is None:
        say(f"saving the log (the dump is at position {manifest.checkpoint})")
        snapshot, bound = await _save_log(settings, folder / LOG, manifest.checkpoint)
        manifest.log_config, manifest.log_state = snapshot.config, snapshot.state
        manifest.log_bound = bound
        manifest.log = await asyncio.to_thread(_part, folder / LOG)
    manifest.finished_at = _now()
    _write(folder, manifest)
    return manifest


async def restore(
    settings: Settings,
    folder: Path,
    say: Say = lambda line: None,
    *,
    database_only: bool = False,
) -> Manifest:
    """Make the log and the database of `settings` from a backup; then start the services.

    The stream must not exist and the database must be empty, unless they hold this backup and
    nothing newer: a restore that was interrupted goes on. With `database_only` the stream must
    exist and stays; the projector will apply what it holds beyond the dump. Whatever is refused
    is refused before anything is changed. Raises BackupError, ProjectorRuns, LogError, asyncpg's
    errors.
    """
    manifest = _read(folder)
    if manifest is None or manifest.finished_at is None:
        raise BackupError(f"{folder} holds no finished backup")
    if settings.stream != manifest.stream:
        # The snapshot's entries have subjects that begin with the name of their stream.
        raise BackupError(
            f"the backup is of the stream {manifest.stream!r}; GUARDIAN_STREAM must name it,"
            f" and not {settings.stream!r}"
        )
    say("checking the files")
    for name, part in ((DUMP, manifest.database), (LOG, manifest.log)):
        if await asyncio.to_thread(_part, folder / name) != part:
            raise BackupError(f"{folder / name} is not the file that was backed up")
    dsn = settings.require_database_url()
    log_is_there = await _find_log(settings, manifest, database_only=database_only)
    await create_database(dsn)
    async with _connected(dsn) as connection:
        await keep_projectors_off(connection)  # up to the end, should one be started too early
        database_is_there = await _find_database(connection, manifest)
        if log_is_there:
            say("the log is there already")
        else:
            await _restore_log(settings, folder / LOG, manifest, say)
        if database_is_there:
            say("the database is there already")
        else:
            await _restore_database(dsn, folder / DUMP, manifest, say)
        say("comparing them")
        log = await connect_log(settings)
        try:
            await compare_with_log(log, await read_checkpoint(connection))
        finally:
            await log.close()
    return manifest


# The log


async def _save_log(settings: Settings, file: Path, checkpoint: int) -> tuple[Snapshot, int]:
    """The snapshot, and a position behind which it holds nothing."""
    scratch = file.with_suffix(".new")
    log = await connect_log(settings)
    try:
        # A leader that was just elected may not have applied all that is committed: the
        # snapshot is asked for behind a barrier. The one after it is behind all that is in it.
        await log.barrier(timeout=BARRIER_TIMEOUT_S)
        with scratch.open("wb") as sink:
            snapshot = await save_stream(access_of(settings), settings.stream, sink)
            await asyncio.to_thread(os.fsync, sink.fileno())
        bound = await log.barrier(timeout=BARRIER_TIMEOUT_S)
    finally:
        await log.close()
    if snapshot.last_position < checkpoint:
        raise BackupError(
            f"the log ends at {snapshot.last_position}, but {checkpoint} was applied: see"
            " docs/RUNBOOK.md, log-behind-checkpoint"
        )
    scratch.replace(file)
    return snapshot, bound


async def _find_log(settings: Settings, manifest: Manifest, *, database_only: bool) -> bool:
    """Whether the log is there; raises StreamExists for one that is not this backup's."""
    bound = max(manifest.last_position, manifest.log_bound)
    there = await stream_end(access_of(settings), settings.stream, bound)
    name = repr(settings.stream)
    if there is None:
        if database_only:
            raise BackupError(f"there is no stream {name} that the database could follow")
        return False
    if database_only:
        return True  # compared with the database at the end
    if there.last_position < manifest.last_position:
        raise StreamExists(
            f"there is a stream {name} already, and it ends at {there.last_position}, where the"
            f" backup's goes up to {manifest.last_position}"
        )
    if there.change_behind is not None:
        raise StreamExists(
            f"there is a stream {name} already, and it is newer than the backup: it holds a change"
            f" set at {there.change_behind} (--database-only keeps it)"
        )
    return True


async def _restore_log(settings: Settings, file: Path, manifest: Manifest, say: Say) -> None:
    assert manifest.log_config is not None
    assert manifest.log_state is not None
    assert manifest.log is not None
    say(f"restoring the log up to position {manifest.last_position}")
    snapshot = Snapshot(manifest.log_config, manifest.log_state, manifest.log.bytes)
    with file.open("rb") as source:
        end = await load_stream(access_of(settings), settings.stream, snapshot, source)
    if end < manifest.last_position:
        raise BackupError(f"the restored log ends at {end}, not at {manifest.last_position}")


def access_of(settings: Settings) -> Access:
    """How these settings reach the Raft group."""
    return Access(settings.nats_servers, settings.nats_credentials, log_tls(settings))


# The database


async def _dump(dsn: str, file: Path) -> int:
    """pg_dump of one snapshot; the checkpoint inside it."""
    scratch = file.with_suffix(".new")
    async with (
        _connected(dsn) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        checkpoint = await read_checkpoint(connection)
        await _run(
            dsn,
            "pg_dump",
            *("--format=custom", "--no-owner", "--no-privileges"),
            *(f"--snapshot={snapshot}", f"--file={scratch}"),
        )
    scratch.replace(file)
    return checkpoint.position


async def _find_database(connection: asyncpg.Connection, manifest: Manifest) -> bool:
    """Whether this backup's database is there; raises BackupError for another one."""
    if not await connection.fetchval(
        "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
    ):
        return False
    checkpoint = Checkpoint()
    if await connection.fetchval("SELECT to_regclass('checkpoints')") is not None:
        checkpoint = await read_checkpoint(connection)
    if checkpoint.position == 0:  # of every database that was only migrated
        raise BackupError("the database is not empty; restore into a new one")
    if checkpoint.position != manifest.checkpoint:
        raise BackupError(
            f"the database is not empty: it stands at position {checkpoint.position}, the backup"
            f" at {manifest.checkpoint}; restore into a new one"
        )
    return True


async def _restore_database(dsn: str, file: Path, manifest: Manifest, say: Say) -> None:
    say(f"restoring the database at position {manifest.checkpoint}")
    # One transaction: interrupted, the database is as empty as before.
    await _run(
        dsn,
        "pg_restore",
        *("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"),
        *(f"--dbname={_database(dsn)}", str(file)),
    )


async def _run(dsn: str, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; the URL's parts reach it through its environment."""
    process = await asyncio.create_subprocess_exec(
        _program(program),
        *arguments,
        env={**os.environ, **_libpq_environ(dsn)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise BackupError(f"{program} ended with {process.returncode}: {'; '.join(lines[-3:])}")


def _program(name: str) -> str:
    """PostgreSQL 18's own, which dumps every older server; else what is on PATH."""
    try:
        return str(binaries() / name)
    except EmbeddedError:
        found = shutil.which(name)
        if found is None:
            raise BackupError(f"{name} is not installed") from None
        return found


def _database(dsn: str) -> str:
    return unquote(urlsplit(dsn).path.lstrip("/"))


def _libpq_environ(dsn: str) -> dict[str, str]:
    """Never in an argument list, which every user of the machine can read."""
    parts = urlsplit(dsn)
    known = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    known |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    environ = {known[name]: value for name, value in parse_qsl(parts.query) if name in known}
    given = {
        "PGHOST": unquote(parts.hostname or ""),
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": _database(dsn),
    }
    return environ | {variable: value for variable, value in given.items() if value}


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    # Idle while the servers' programs work: for as long as they take.
    connection = await asyncpg.connect(dsn, server_settings={"idle_session_timeout": "0"})
    try:
        yield connection
    finally:
        connection.terminate()


# The files


def _part(file: Path) -> Part:
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256")
    return Part(file.stat().st_size, digest.hexdigest())


def _open(folder: Path) -> Manifest | None:
    """The unfinished or finished backup in a folder; None if it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    manifest = _read(folder)
    if manifest is None and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty and holds no backup of ours")
    return manifest


def _read(folder: Path) -> Manifest | None:
    foreign = BackupError(f"{folder / MANIFEST} is broken, or not of a backup of ours")
    try:
        found = orjson.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise foreign from error
    if not isinstance(found, dict) or "format" not in found:
        raise foreign
    if found["format"] != FORMAT:
        raise BackupError(f"{folder} holds a backup of format {found['format']!r}")
    try:
        for name in ("database", "log"):
            found[name] = Part(**found[name]) if found[name] else None
        return Manifest(**found)
    except (KeyError, TypeError) as error:
        raise foreign from error


def _write(folder: Path, manifest: Manifest) -> None:
    scratch = folder / f"{MANIFEST}.new"
    scratch.write_bytes(orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2))
    scratch.replace(folder / MANIFEST)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
