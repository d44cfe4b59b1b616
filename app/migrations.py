"""Moves the database between the versions of db/migrations, by dbmate in a subprocess.

dbmate runs the SQL; this module adds what it lacks (N steps, `force`, sequential names) and
turns its failures into one clear line. Must never put a password into an argument list, a
message or a log: the URL reaches dbmate through its environment.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

from app.migration_losses import losses

DIRECTORY = Path(__file__).resolve().parent.parent / "db" / "migrations"
CONNECT_TIMEOUT_S = 10.0
LOCK_TIMEOUT_MS = 2000
"""How long a migration waits for a table: who comes behind it waits as well, and a web process that
waits for 3 s takes the database for silent. An autovacuum gives way after a second. `lock_timeout`
in DATABASE_URL goes before."""
MIGRATOR_CLASS, MIGRATOR_OBJECT = 0x4347, 2
"""The advisory lock of whoever migrates ("CG"; the projector's is 1)."""
_FILE = re.compile(r"([0-9]+)_([a-z0-9_]+)\.sql")

# Without the right to see them, another user's sessions have no times here.
_AT_WORK = """
SELECT application_name, pid, extract(epoch FROM clock_timestamp() - xact_start)::int
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
ORDER BY xact_start LIMIT 3
"""


class MigrationError(Exception):
    """A migration command failed; the message is one line that says what to do about it."""


class DbmateMissing(MigrationError):
    """The dbmate binary is neither beside the interpreter nor on PATH."""


class DatabaseUnreachable(MigrationError):
    """No connection to the database could be made."""


class UnknownVersion(MigrationError):
    """A version was named, or is in the database, that no migration file has."""


class InvalidRequest(MigrationError):
    """A count or a name that makes no sense; nothing was done."""


class LosesData(MigrationError):
    """What would be rolled back holds what this database must not lose; nothing was done."""


class MigrationFailed(MigrationError):
    """dbmate ran and said no; the failed migration was rolled back."""


class LocksHeld(MigrationFailed):
    """Somebody held a table for too long; the migration that wanted it was rolled back."""


@dataclass(frozen=True, slots=True, order=True)
class Migration:
    """One file of the migrations directory."""

    version: str
    """As the file has it, with leading zeros: `001`."""
    path: Path

    @property
    def name(self) -> str:
        """The file name without `.sql`."""
        return self.path.stem


def migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """Every migration, oldest first. Raises MigrationError for a number used twice."""
    found: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named like 001_create_users_table.sql")
        if (other := found.get(int(match.group(1)))) is not None:
            raise MigrationError(f"{path.name} and {other.path.name} have the same number")
        found[int(match.group(1))] = Migration(match.group(1), path)
    return [found[number] for number in sorted(found)]


def create(name: str, directory: Path = DIRECTORY) -> Path:
    """Write an empty migration with the next number and return its path."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,79}", name):
        raise InvalidRequest("a migration's name is lower-case letters, digits and underscores")
    known = migrations(directory)
    number = int(known[-1].version) + 1 if known else 1
    path = directory / f"{number:03}_{name}.sql"
    with path.open("x", encoding="utf-8") as file:
        file.write("-- migrate:up\n\n\n-- migrate:down\n\n")
    return path


async def create_database(database_url: str) -> None:
    """Make the database that the URL names if its server has none of that name."""
    try:
        async with _connection(database_url):
            return
    except DatabaseUnreachable as error:
        if not isinstance(error.__cause__, asyncpg.InvalidCatalogNameError):
            raise
    parts = urlsplit(database_url)
    async with _connection(urlunsplit(parts._replace(path="/postgres"))) as connection:
        environ = await _dbmate_environ(database_url, connection)
    await _dbmate(environ, "create")


async def applied(database_url: str) -> list[str]:
    """The versions that the database has, oldest first; empty for a database without any."""
    async with _connection(database_url) as connection:
        return await _applied(connection)


async def pending(database_url: str, directory: Path = DIRECTORY) -> list[Migration]:
    """What `up` would apply. Raises UnknownVersion for a database of a newer release."""
    return _pending(await applied(database_url), directory)


async def up(database_url: str, count: int | None = None, directory: Path = DIRECTORY) -> list[str]:
    """Apply the next `count` migrations (all by default); return their names.

    Creates the database if the server has none of that name. Safe to run at the same
    time from several processes: one waits for the other. Raises LocksHeld: what was applied
    before the migration that it names stays.
    """
    if count is not None and count < 1:
        raise InvalidRequest("the number of migrations must be 1 or more")
    await create_database(database_url)
    async with _only_migrator(database_url) as connection:
        before = await _applied(connection)
        steps = _pending(before, directory)[:count]
        if steps:
            # dbmate only knows "all": it gets a directory that ends where we want to end.
            wanted = {*before, *(step.version for step in steps)}
            with tempfile.TemporaryDirectory(prefix="guardian-migrations-") as scratch:
                for migration in migrations(directory):
                    if migration.version in wanted:
                        (Path(scratch) / migration.path.name).symlink_to(migration.path.resolve())
                await _migrate(database_url, connection, scratch, "migrate")
    return [step.name for step in steps]


async def down(
    database_url: str,
    count: int = 1,
    directory: Path = DIRECTORY,
    *,
    warn: Callable[[str], None] = lambda lost: None,
) -> list[str]:
    """Roll the last `count` migrations back, newest first; return their names.

    Before anything is done, `warn` is told what no `up` brings back, if there is such; what it
    raises ends the call. Raises LosesData where what is left would contradict the log.
    """
    if count < 1:
        raise InvalidRequest("the number of migrations must be 1 or more")
    async with _only_migrator(database_url) as connection:
        before = await _applied(connection)
        if count > len(before):
            raise InvalidRequest(f"cannot roll back {count}: {len(before)} migrations are applied")
        by_version = _known(before, directory)
        steps = [by_version[version] for version in reversed(before[-count:])]
        await _tell_losses(connection, [step.name for step in steps], warn)
        for _ in steps:
            await _migrate(database_url, connection, str(directory), "rollback")
    return [step.name for step in steps]


async def _tell_losses(
    connection: asyncpg.Connection, steps: Sequence[str], warn: Callable[[str], None]
) -> None:
    found = await losses(connection, steps)
    if forbidden := [told for told, loss in found if loss.forbidden]:
        raise LosesData(
            f"nothing was rolled back, and nothing can be: {'; '.join(forbidden)}; without them"
            " the database would follow a log that it must not"
        )
    if found:
        warn(f"no `up` will bring these back: {'; '.join(told for told, _ in found)}")


async def force(database_url: str, version: str, directory: Path = DIRECTORY) -> str:
    """Make the database say that it is at `version` (`5`, `005`, or `0` for none).

    Runs no migration: for a database that was repaired by hand. Returns the version with
    its leading zeros. Raises UnknownVersion.
    """
    known = migrations(directory)
    number = int(version) if re.fullmatch(r"[0-9]{1,9}", version) else -1
    if number != 0 and number not in {int(m.version) for m in known}:
        raise UnknownVersion(f"there is no migration {version}; the newest is {_newest(known)}")
    wanted = [m.version for m in known if int(m.version) <= number]
    async with _connection(database_url) as connection, connection.transaction():
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version varchar NOT NULL PRIMARY KEY)"
        )
        await connection.execute("DELETE FROM schema_migrations")
        await connection.execute(
            "INSERT INTO schema_migrations (version) SELECT unnest($1::varchar[])", wanted
        )
    return wanted[-1] if wanted else "0"


async def _applied(connection: asyncpg.Connection) -> list[str]:
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return []
    rows = await connection.fetch("SELECT version FROM schema_migrations")
    return sorted((row["version"] for row in rows), key=lambda version: (len(version), version))


def _known(versions: Sequence[str], directory: Path) -> dict[str, Migration]:
    """The files by version; raises UnknownVersion if one of `versions` is not among them."""
    by_version = {m.version: m for m in migrations(directory)}
    if strangers := [version for version in versions if version not in by_version]:
        raise UnknownVersion(
            f"the database has migration {strangers[0]}, which this release does not know; "
            f"its newest is {_newest(list(by_version.values()))}"
        )
    return by_version


def _pending(before: Sequence[str], directory: Path) -> list[Migration]:
    by_version = _known(before, directory)
    return [m for m in by_version.values() if m.version not in before]


def _newest(known: Sequence[Migration]) -> str:
    return known[-1].version if known else "none"


@asynccontextmanager
async def _connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            database_url, timeout=CONNECT_TIMEOUT_S
        )
    except asyncpg.InvalidCatalogNameError as error:
        raise DatabaseUnreachable(f"{_place(database_url)} does not exist") from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DatabaseUnreachable(
            f"{_place(database_url)} cannot be reached: {_redact(reason, database_url)}"
        ) from error
    except ValueError as error:
        raise DatabaseUnreachable("DATABASE_URL is not a valid URL") from error
    try:
        yield connection
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


@asynccontextmanager
async def _only_migrator(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection; who else migrates this database waits here, as long as it takes."""
    async with _connection(database_url) as connection:
        await connection.fetchval(
            "SELECT pg_advisory_lock($1, $2)", MIGRATOR_CLASS, MIGRATOR_OBJECT
        )
        yield connection


async def _migrate(
    database_url: str, connection: asyncpg.Connection, directory: str, command: str
) -> None:
    """Let dbmate run the migrations of `directory`. Raises MigrationFailed, LocksHeld."""
    environ = await _dbmate_environ(database_url, connection)
    try:
        await _dbmate(environ, "--migration-lock", "-d", directory, command)
    except MigrationFailed as error:
        if "due to lock timeout" not in str(error):
            raise
        rows = await connection.fetch(_AT_WORK)
        names = ", ".join(f"{who} (pid {pid}, for {seconds} s)" for who, pid, seconds in rows)
        raise LocksHeld(
            f"{error}; so that the service does not wait behind it, it was rolled back."
            f" In a transaction: {names or 'nobody now'}. Try again when that is over"
        ) from error


async def _dbmate_environ(database_url: str, connection: asyncpg.Connection) -> dict[str, str]:
    """The environment that dbmate gets: the URL in its dialect.

    Its driver demands TLS where the URL does not say; libpq and asyncpg prefer it. So it
    is told what the connection that we just made has.
    """
    parts = urlsplit(database_url)
    query = dict(parse_qsl(parts.query))
    host = unquote(parts.netloc.rpartition("@")[2])
    if host.startswith("/"):  # a percent-encoded socket directory: dbmate wants it as ?host=
        query.setdefault("host", host)
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[0] + "@")
    if "sslmode" not in query:
        encrypted = await connection.fetchval(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        )
        query["sslmode"] = "require" if encrypted else "disable"
    query.setdefault("lock_timeout", str(LOCK_TIMEOUT_MS))
    url = urlunsplit(parts._replace(scheme="postgres", query=urlencode(query)))
    return {**os.environ, "DATABASE_URL": url}


def find_dbmate() -> str:
    """Path of the dbmate binary: beside the interpreter, else on PATH. Raises DbmateMissing."""
    beside = Path(sys.executable).parent / "dbmate"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("dbmate")
    if found is None:
        raise DbmateMissing("dbmate was not found beside the interpreter or on PATH: `make venv`")
    return found


async def _dbmate(environ: dict[str, str], *arguments: str) -> None:
    """Run dbmate to its end. A migration may take as long as it takes: no timeout."""
    process = await asyncio.create_subprocess_exec(
        find_dbmate(),
        *("--env-file", os.devnull, "--env", "DATABASE_URL", "--no-dump-schema"),
        *arguments,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
        reason = "; ".join(lines[-2:]) or f"dbmate ended with {process.returncode}"
        raise MigrationFailed(_redact(reason, environ["DATABASE_URL"]))


def _place(database_url: str) -> str:
    """The database that a URL leads to, without user and password."""
    parts = urlsplit(database_url)
    host = unquote(parts.netloc.rpartition("@")[2])
    host = host or dict(parse_qsl(parts.query)).get("host", "localhost")
    return f"database {parts.path.lstrip('/') or '(default)'} at {host}"


def _redact(text: str, database_url: str) -> str:
    password = urlsplit(database_url).password
    for secret in {database_url, password or "", unquote(password or "")} - {""}:
        text = text.replace(secret, "****")
    return text
