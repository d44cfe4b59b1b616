"""Back the database and the log up as one pair, and restore it.

The dump comes first and the log's snapshot after it, so the log always holds what the dump's
checkpoint stands on: the projector goes on from the one in the other. Both go on working
meanwhile. Interrupted, either command goes on where it was when it is called again. Must never
restore over anything, nor say that it restored what it only found.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

from app.backup_folder import (
    DUMP,
    FORMAT,
    LOG,
    BackupError,
    Manifest,
    is_whole,
    now,
    open_folder,
    part_of,
    read_manifest,
    replace,
    scratch_of,
    write_manifest,
    writing,
)
from app.embedded.postgres import binaries
from app.embedded.processes import EmbeddedError
from app.migrations import applied, create_database
from app.raft_log import access_of, connect_log
from app.settings import Settings
from consensus.jetstream_snapshot import (
    Snapshot,
    StreamExists,
    load_stream,
    save_stream,
    stream_end,
)
from projections.checkpoint import Checkpoint, read_checkpoint
from projections.halts import ProjectorHalted
from projections.log_beginning import keep_projectors_off
from projections.log_check import compare_with_log

BARRIER_TIMEOUT_S = 30.0
Say = Callable[[str], None]


async def back_up(settings: Settings, folder: Path, say: Say = lambda line: None) -> Manifest:
    """Write a backup into `folder`, or finish one that was interrupted.

    Raises BackupError, SettingsError, LogError, asyncpg's errors.
    """
    dsn = settings.require_database_url()
    settings.require_nats_url()  # before a dump that nothing would follow
    manifest = open_folder(folder)
    if manifest is None:
        versions = await applied(dsn)
        manifest = Manifest(FORMAT, now(), settings.stream, versions[-1] if versions else "0")
        write_manifest(folder, manifest)
    elif manifest.finished_at is not None:
        raise BackupError(f"{folder} holds a finished backup of {manifest.finished_at}")
    if manifest.database and not await asyncio.to_thread(
        is_whole, folder / DUMP, manifest.database
    ):
        say(f"{folder / DUMP} is not the file that was made")
        manifest.database = None
    if manifest.database is None:
        say("dumping the database")
        checkpoint = await _dump(dsn, folder / DUMP)
        manifest.checkpoint = checkpoint.position
        manifest.change_position = checkpoint.change_position
        if checkpoint.change_digest is not None:
            manifest.change_digest = checkpoint.change_digest.hex()
        manifest.database = await asyncio.to_thread(part_of, folder / DUMP)
        write_manifest(folder, manifest)
    if manifest.log is None:
        say(f"saving the log (the dump is at position {manifest.checkpoint})")
        snapshot, bound = await _save_log(settings, folder / LOG, manifest.checkpoint)
        manifest.log_config, manifest.log_state = snapshot.config, snapshot.state
        manifest.log_bound = bound
        manifest.log = await asyncio.to_thread(part_of, folder / LOG)
    manifest.finished_at = now()
    write_manifest(folder, manifest)
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
    manifest = read_manifest(folder)
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
        if await asyncio.to_thread(part_of, folder / name) != part:
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
    scratch = scratch_of(file)
    log = await connect_log(settings)
    try:
        # A leader that was just elected may not have applied all that is committed: the
        # snapshot is asked for behind a barrier. The one after it is behind all that is in it.
        await log.barrier(timeout=BARRIER_TIMEOUT_S)
        with writing(scratch) as sink:
            snapshot = await save_stream(access_of(settings), settings.stream, sink)
        bound = await log.barrier(timeout=BARRIER_TIMEOUT_S)
    finally:
        await log.close()
    if snapshot.last_position < checkpoint:
        raise BackupError(
            f"the log ends at {snapshot.last_position}, but {checkpoint} was applied: see"
            " docs/RUNBOOK.md, log-behind-checkpoint"
        )
    await asyncio.to_thread(replace, scratch, file)
    return snapshot, bound


async def _find_log(settings: Settings, manifest: Manifest, *, database_only: bool) -> bool:
    """Whether the log is there; raises StreamExists for one that is not this backup's."""
    backed_up = manifest.log_snapshot
    assert backed_up is not None
    bound = max(manifest.last_position, manifest.log_bound)
    there = await stream_end(access_of(settings), settings.stream, bound)
    name = repr(settings.stream)
    if there is None:
        if database_only:
            raise BackupError(f"there is no stream {name} that the database could follow")
        return False
    if there.groups != backed_up.groups:  # their positions count different things
        forms = ("with", "without") if there.groups else ("without", "with")
        raise StreamExists(
            f"there is a stream {name} already, and it was made {forms[0]} groups, the backup's"
            f" {forms[1]}: see docs/RUNBOOK.md, Backup and restore"
        )
    # The database that it was begun behind may have ended within a message: so far the last one
    # counts as held.
    if manifest.checkpoint <= there.begun_behind - there.position_step:
        raise StreamExists(
            f"there is a stream {name} already, and it was begun anew behind position"
            f" {there.begun_behind}, where the backup's database ends at {manifest.checkpoint}:"
            " what was between is in neither (docs/RUNBOOK.md, Backup and restore)"
        )
    await _compare_with_dump(settings, manifest)
    if database_only:
        return True
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


async def _compare_with_dump(settings: Settings, manifest: Manifest) -> None:
    """Raises StreamExists if the stream that is there lacks what the dump was made from."""
    if manifest.change_position is None:
        return  # an old backup: its database is compared once it is there
    checkpoint = Checkpoint(
        manifest.checkpoint,
        change_position=manifest.change_position,
        change_digest=bytes.fromhex(manifest.change_digest) if manifest.change_digest else None,
    )
    log = await connect_log(settings)
    try:
        await compare_with_log(log, checkpoint)
    except ProjectorHalted as error:
        raise StreamExists(
            f"there is a stream {settings.stream!r} already, and it is not what the backup's"
            f" database was made from: {error}"
        ) from error
    finally:
        await log.close()


async def _restore_log(settings: Settings, file: Path, manifest: Manifest, say: Say) -> None:
    snapshot = manifest.log_snapshot
    assert snapshot is not None
    say(f"restoring the log up to position {manifest.last_position}")
    with file.open("rb") as source:
        end = await load_stream(access_of(settings), settings.stream, snapshot, source)
    if end < manifest.last_position:
        raise BackupError(f"the restored log ends at {end}, not at {manifest.last_position}")


# The database


async def _dump(dsn: str, file: Path) -> Checkpoint:
    """pg_dump of one snapshot; the checkpoint inside it."""
    scratch = scratch_of(file)
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
    await asyncio.to_thread(replace, scratch, file)
    return checkpoint


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
        lines = errors.decode(errors="replace").strip().splitlines()[-3:]
        raise BackupError(f"{program} {_end(process.returncode)}: {'; '.join(lines) or 'no word'}")


def _end(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with {code}"


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
