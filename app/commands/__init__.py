"""The commands of `guardian`: one module each, loaded by name (see app.cli).

A module `users.py` here is the command `guardian users`; it must define `command`, a
`click.Command` or `click.Group`. It may import at its top only what is cheap: the list of
commands in `guardian --help` loads every module.

Exit codes: 0 fine, 1 found wrong or failed, 2 misuse. Each does its work inside `KnownFailures`:
what an operator can cause is one line, and a traceback is a bug of ours.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import IO, Any

import click

from app.settings import Settings, SettingsError, load_settings, unknown_variables


class Failure(click.ClickException):
    """Ends a command with one line on standard error and exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.format_message()}", file=file, err=True)


class Misuse(Failure):
    """The caller asked for what cannot be: exit code 2."""

    exit_code = 2


class KnownFailures:
    """Turns the failures that an operator can cause or meet into Failure and Misuse.

    Anything else passes: it is a bug, and its traceback is the evidence. What the errors are
    defined beside is imported only when there is one.
    """

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, click.ClickException):
            told = _as_misuse(error) or _as_failure(error)
            if told is not None:
                raise told from error


def _as_misuse(error: Exception) -> Misuse | None:
    if isinstance(error, SettingsError):  # before anything is loaded: the most common of all
        return Misuse(str(error))

    from asyncpg.exceptions import ClientConfigurationError

    from app.migrations import InvalidRequest, LosesData, UnknownVersion
    from consensus.jetstream_snapshot import StreamExists
    from consensus.log import AccessUnusable
    from projections.log_beginning import ProjectorRuns, ServicesRun

    if isinstance(error, ClientConfigurationError):
        return Misuse(f"the database's URL: {error}")
    if isinstance(error, AccessUnusable):
        return Misuse(f"NATS_URL, GUARDIAN_NATS_CREDENTIALS: {error}")
    kinds = (InvalidRequest, LosesData, UnknownVersion)
    running = (StreamExists, ProjectorRuns, ServicesRun)
    return Misuse(str(error)) if isinstance(error, kinds + running) else None


def _as_failure(error: Exception) -> Failure | None:
    import asyncpg

    from app.backup_folder import BackupError
    from app.embedded.processes import EmbeddedError
    from app.errors import Duplicate, Unavailable
    from app.migrations import MigrationError
    from consensus.log import LogError
    from domain.errors import BrokenInvariant, UndecodableEntry
    from projections.halts import ProjectorHalted
    from projections.replay import LogNotWhole
    from projections.rights import RightsMissing

    first_line = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, LogError):
        return Failure(f"the log: {error}")
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
        return Failure(f"the database is not migrated (`guardian release`): {first_line}")
    if isinstance(error, OSError) and error.filename is not None:  # a file; a connection has none
        return Failure(f"{error.filename}: {error.strerror}")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return Failure(f"the database: {first_line} (docs/DEPLOYMENT.md, Least privileges)")
    if isinstance(error, ProjectorHalted):
        return Failure(f"{error} (docs/RUNBOOK.md, {error.reason})")
    if isinstance(error, OSError | asyncpg.PostgresError | asyncpg.InterfaceError):
        return Failure(f"the database: {first_line}")
    own = (BackupError, EmbeddedError, MigrationError, Duplicate, Unavailable)
    found = (UndecodableEntry, BrokenInvariant, LogNotWhole, RightsMissing)
    return Failure(str(error)) if isinstance(error, own + found) else None


def settings_of_environment() -> Settings:
    """The settings of this process; a bad variable ends the command with exit code 2.

    One that is not known is told first: it may be the reason why another is missing.
    """
    for name, nearest in unknown_variables(os.environ).items():
        hint = f"; did you mean {nearest}?" if nearest else ""
        click.echo(f"warning: {name}: no such setting, it does nothing{hint}", err=True)
    try:
        settings = load_settings(os.environ)
        if settings.database_url is not None:
            check_database_url("DATABASE_URL", settings.database_url)
        return settings
    except SettingsError as error:
        raise Misuse(str(error)) from error


_OTHER_ARGUMENTS = (
    *("host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile"),
    *("direct_tls", "server_settings", "target_session_attrs", "krbsrvname", "gsslib"),
)


def check_database_url(variable: str, url: str) -> None:
    """Raise SettingsError for what asyncpg refuses without asking any server.

    At the start of a process only: one that runs waits for a file of certificates that is being
    replaced as it does for the server, so nothing tells it that a parameter can never be right.
    """
    from asyncpg import connect_utils
    from asyncpg.exceptions import ClientConfigurationError

    try:
        parse = connect_utils._parse_connect_dsn_and_args  # type: ignore[attr-defined]
        parse(dsn=url, **dict.fromkeys(_OTHER_ARGUMENTS))
    except ClientConfigurationError as error:
        raise SettingsError(variable, str(error)) from error
    except OSError as error:  # ssl.SSLError is one
        problem = f"a file that it names for TLS cannot be used: {error.strerror or error}"
        raise SettingsError(variable, problem) from error


def attached_settings() -> Settings:
    """Like `settings_of_environment`; what it leaves open comes from the `guardian up` that
    runs in the same data folder. Ends the command if there is no database after that.
    """
    from app.embedded.data_folder import attached
    from app.embedded.processes import EmbeddedError

    try:
        settings = attached(settings_of_environment())
        settings.require_database_url()
    except SettingsError as error:
        raise Misuse(f"{error}, and no `make run` is running here") from error
    except EmbeddedError as error:
        raise Failure(str(error)) from error
    return settings
