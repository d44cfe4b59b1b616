"""Goal: what an operator can get wrong is one line and the promised exit code, never a traceback.

Method: the real commands, each with one thing wrong, in this process where that is the same: each
command is held to what its own process does once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from consensus.jetstream import JetStreamLog
from consensus.jetstream_layout import GROUP_ROOM
from projections.checkpoint import Checkpoint, create_checkpoint, move_checkpoint
from scripts import demo
from tests.support.broker import database_of
from tests.support.commands import Ended, run_alone, run_here

_PROJECTOR = ("projector",)
_CREATE = ("users", "create", "ada@example.com")
_NOT_MIGRATED = "the database is not migrated (`guardian release`): relation"
_NOWHERE = "postgresql://u:hush@127.0.0.1:1/nowhere"
_ONLY = {"PATH": "/usr/bin:/bin", "GUARDIAN_DATA_DIR": "/nonexistent/guardian"}
"""All the environment that a command gets beside what its test is about."""


def _ends(
    run: Callable[..., Ended], code: int, line: str, *arguments: str, end: str = "", **environ: str
) -> str:
    """The command ends with this code, and on standard error with one line that begins, and ends,
    so. All of its standard error."""
    done = run(*arguments, environ=_ONLY | environ)
    told = [text for text in done.err.splitlines() if text.startswith("error: ")]
    assert (done.code, len(told)) == (code, 1), done.err
    assert told[0].startswith(f"error: {line}"), told
    assert told[0].endswith(end), told
    assert "Traceback" not in done.err
    assert "hush" not in done.err
    return done.err


_fails = partial(_ends, run_here)
_fails_alone = partial(_ends, run_alone)


def _fails_late(code: int, line: str, *command: str, end: str = "", **environ: str) -> str:
    """Behind good settings: the projector has set up its log by then."""
    run = run_alone if command == _PROJECTOR else run_here
    return _ends(run, code, line, *command, end=end, **environ)


@pytest.fixture
async def bare_database_url(database_url: str) -> str:
    """A database that is not migrated."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    return database_url


@pytest.fixture
def log_environ(nats_url: str, stream_name: str) -> dict[str, str]:
    """Variables that name a Raft group that works."""
    return {"NATS_URL": nats_url, "GUARDIAN_STREAM": stream_name}


@pytest.fixture
async def stranger_url(database_url: str) -> AsyncIterator[str]:
    """The migrated database for a role that has no rights in it."""
    connection = await asyncpg.connect(database_url)
    role = "stranger_" + database_url.partition("test_")[2][:16]
    await connection.execute(f"CREATE ROLE {role} LOGIN")
    yield _as_role(database_url, role)
    await connection.execute(f"DROP ROLE {role}")
    await connection.close()


def _as_role(url: str, role: str) -> str:
    return f"postgresql://{role}@" + url.partition("@")[2]


def test_a_database_without_tables(bare_database_url: str, log_environ: dict[str, str]) -> None:
    environ = {"DATABASE_URL": bare_database_url, **log_environ}
    for command in (_CREATE, _PROJECTOR, ("audit", "verify"), ("projections", "verify")):
        _fails_late(1, _NOT_MIGRATED, *command, **environ)


@pytest.mark.parametrize("command", [_CREATE, _PROJECTOR])
def test_a_database_or_role_that_is_not_there(
    command: tuple[str, ...], database_url: str, log_environ: dict[str, str]
) -> None:
    missing = database_of(database_url, "nowhere")
    line = 'the database: database "nowhere" does not exist'
    _fails_late(1, line, *command, **log_environ, DATABASE_URL=missing)
    wrong = _as_role(database_url, "nobody_of_us")
    line = 'the database: role "nobody_of_us" does not exist'
    _fails_late(1, line, *command, **log_environ, DATABASE_URL=wrong)


def test_a_role_without_rights(stranger_url: str, log_environ: dict[str, str]) -> None:
    line = "the database: permission denied for"
    commands = (("migrate", "version"), ("migrate", "down"), ("release",), _CREATE)
    for command in commands:
        _fails(1, line, *command, **log_environ, DATABASE_URL=stranger_url)


def test_rights_that_are_missing_say_where_they_come_from(
    stranger_url: str, log_environ: dict[str, str]
) -> None:
    """A restored database has none until db/grants.sql was run on it."""
    environ = {**log_environ, "DATABASE_URL": stranger_url}
    denied, user = "the database: permission denied", "the database user stranger_"
    for command, line in (
        (_PROJECTOR, user),
        (_CREATE, denied),
        (("projections", "verify"), denied),
    ):
        end = "(docs/DEPLOYMENT.md, Least privileges)"
        _fails_late(1, line, *command, **environ, end=end)


async def test_a_halt_names_its_page(database_url: str, log_environ: dict[str, str]) -> None:
    connection = await asyncpg.connect(database_url)
    await create_checkpoint(connection)
    await move_checkpoint(connection, Checkpoint(), Checkpoint(position=500))
    await connection.close()
    end = " (docs/RUNBOOK.md, log-behind-checkpoint)"
    environ = {**log_environ, "DATABASE_URL": database_url}
    line = "log-behind-checkpoint: the log ends at"
    _fails_late(1, line, *_PROJECTOR, **environ, end=end)


_STARTING = {
    "projector": ("projector",),
    "web": ("web",),
    "up": ("up",),
    "release": ("release",),
    "migrate": ("migrate", "version"),
    "users": _CREATE,
    "audit": ("audit", "verify"),
    "projections": ("projections", "verify"),
    "log": ("log", "status"),
    "backup": ("backup", "/nonexistent/backup"),
}
_NEVER_RIGHT = {
    "sslmode=foo": "`sslmode` parameter must be one of",
    "target_session_attrs=foo": "target_session_attrs is expected to be one of",
    "sslmode=verify-full&sslrootcert=/nowhere": "a file that it names for TLS cannot be used: No",
}


@pytest.mark.parametrize("command", _STARTING)
@pytest.mark.parametrize("parameters", _NEVER_RIGHT)
def test_a_url_that_can_never_be_right(command: str, parameters: str) -> None:
    """The projector waited for it as for a database that is away; and before anything is asked."""
    _fails(
        2,
        f"DATABASE_URL: {_NEVER_RIGHT[parameters]}",
        *_STARTING[command],
        DATABASE_URL=f"{_NOWHERE}?{parameters}",
        NATS_URL="nats://127.0.0.1:1",
        GUARDIAN_SECRET_KEY="0123456789abcdef0123456789abcdef",
    )


def test_a_url_of_another_database_that_can_never_be_right(log_environ: dict[str, str]) -> None:
    replay = ("log", "replay", "--into", f"{_NOWHERE}?sslmode=foo")
    _fails(2, "--into: `sslmode`", *replay, **log_environ, DATABASE_URL=_NOWHERE)


def test_a_demo_of_nothing(log_environ: dict[str, str]) -> None:
    """`make demo` without what it shows ended in a traceback, or after a minute."""
    alone = partial(_ends, partial(run_alone, module="scripts.demo"))
    here = partial(_ends, partial(run_here, main=demo.main))
    address = "http://127.0.0.1:1"
    alone(2, "DATABASE_URL: is not set, and no `make run`")
    here(2, "GUARDIAN_PORT: must be a whole number", GUARDIAN_PORT="x")
    environ = {**log_environ, "DATABASE_URL": _NOWHERE}
    here(2, "--url: nowhere is not an http address", "--url", "nowhere", **environ)
    line = f"no service answers at {address}; is `make run` running, with the same GUARDIAN_PORT?"
    alone(1, line, "--url", address, **environ)


def test_a_database_without_a_log(tmp_path: Path) -> None:
    for command in (("log", "status"), ("backup", str(tmp_path / "backup"))):
        _fails(2, "NATS_URL: is not set", *command, DATABASE_URL=_NOWHERE)


def test_what_the_log_cannot_be_reached_with(tmp_path: Path, log_environ: dict[str, str]) -> None:
    junk = tmp_path / "junk"
    junk.write_text("junk\n")
    environ = {**log_environ, "DATABASE_URL": _NOWHERE}
    for command in (_PROJECTOR, ("log", "status")):
        fails = partial(_fails_late, 2)
        line = f"GUARDIAN_NATS_CA: {junk} holds no certificates in PEM"
        fails(line, *command, **environ, GUARDIAN_NATS_CA=str(junk))
        line = f"NATS_URL, GUARDIAN_NATS_CREDENTIALS: {junk} holds no NATS credentials"
        fails(line, *command, **environ, GUARDIAN_NATS_CREDENTIALS=str(junk))
        line = "NATS_URL, GUARDIAN_NATS_CREDENTIALS: give at least one NATS server, all with the"
        several = {**environ, "NATS_URL": "nats://a:hush@127.0.0.1:1,nats://a:b@127.0.0.1:2"}
        fails(line, *command, **several)


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        data = {"GUARDIAN_DATA_DIR": str(folder)}
        _fails(1, f"the folder {folder} cannot be made: ", "up", **data, GUARDIAN_PORT="0")
        for command in (("log", "status"), ("migrate", "version")):
            _fails(1, f"{folder} is no folder, or under a file", *command, **data)
    data = {"GUARDIAN_DATA_DIR": "/proc/nothing/here"}
    _fails(1, "the folder /proc/nothing/here cannot be made: ", "embedded", "raft", **data)


@pytest.mark.parametrize("text", ["", '{"format": 1, "begun', "[]", '{"a": 1}', '{"format":1}'])
def test_a_manifest_that_is_none(tmp_path: Path, text: str, log_environ: dict[str, str]) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(text)
    environ = {**log_environ, "DATABASE_URL": _NOWHERE}
    for command in ("backup", "restore"):
        line = f"{file} is broken, or not of a backup of ours"
        _fails(1, line, command, str(tmp_path), **environ)


@pytest.mark.parametrize("command", ["web", "projector"])
def test_a_bad_or_missing_variable(command: str) -> None:
    _fails(2, "GUARDIAN_PORT: must be a whole number", command, GUARDIAN_PORT="eighty")
    _fails(2, "DATABASE_URL: is not set", command)
    _fails(2, "NATS_URL: is not set", command, DATABASE_URL=_NOWHERE)


@pytest.mark.parametrize("command", _STARTING)
def test_a_variable_that_is_mistyped_is_told_and_refuses_nothing(command: str) -> None:
    """It left a service without its limit, and nothing said so."""
    environ = {
        "GUARDIAN_PORT": "eighty",
        "GUARDIAN_REQUEST_PER_SECOND": "hush",
        "GUARDIAN_OF_SOMETHING_ELSE": "",
    }
    line = "GUARDIAN_PORT: must be a whole number"  # behind it: a typo may be the reason
    told = _fails(2, line, *_STARTING[command], **environ)
    assert told.splitlines()[0] == (
        "warning: GUARDIAN_REQUEST_PER_SECOND: no such setting, it does nothing;"
        " did you mean GUARDIAN_REQUESTS_PER_SECOND?"
    )
    assert "GUARDIAN_OF_SOMETHING_ELSE" not in told
    given = _ONLY | environ
    here, alone = (run(*_STARTING[command], environ=given) for run in (run_here, run_alone))
    assert here == alone


def test_a_secret_key_that_web_refuses() -> None:
    servers = {"DATABASE_URL": _NOWHERE, "NATS_URL": "nats://127.0.0.1:1"}
    key = f"new:{'k' * 35},old:hush"
    _fails(2, "GUARDIAN_SECRET_KEY: secret key", "web", **servers, GUARDIAN_SECRET_KEY=key)


def test_a_file_is_not_called_the_database(tmp_path: Path, log_environ: dict[str, str]) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "backup"
    environ = {**log_environ, "DATABASE_URL": _NOWHERE}
    _fails(1, f"{folder}: Not a directory", "backup", str(folder), **environ)


async def test_a_reason_that_says_nothing(
    database_url: str, log_environ: dict[str, str], stream_name: str
) -> None:
    """Nothing is deleted, and nothing recorded for ever."""
    servers = log_environ["NATS_URL"].split(",")
    log = await JetStreamLog.connect(servers, stream_name)
    assert await log.append("first", b"x", timeout=10) == GROUP_ROOM
    environ = {**log_environ, "DATABASE_URL": database_url}
    begin = ("log", "begin-anew", "--replace", "--reason", " ")
    await asyncio.to_thread(_fails_alone, 2, "--reason: say why", *begin, **environ)
    assert await log.append("second", b"x", timeout=10) == 2 * GROUP_ROOM  # the stream of before
    await log.close()
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM log_beginnings") == 0
    await connection.close()
