"""The commands of `guardian`: one module each, loaded by name (see app.cli).

A module `users.py` here is the command `guardian users`; it must define `command`, a
`click.Command` or `click.Group`. It may import at its top only what is cheap: the list of
commands in `guardian --help` loads every module.

Exit codes: 0 fine, 1 found wrong or failed, 2 misuse.
"""

from __future__ import annotations

import os
from typing import IO, Any

import click

from app.settings import Settings, SettingsError, load_settings


class Failure(click.ClickException):
    """Ends a command with one line on standard error and exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.format_message()}", file=file, err=True)


class Misuse(Failure):
    """The caller asked for what cannot be: exit code 2."""

    exit_code = 2


def settings_of_environment() -> Settings:
    """The settings of this process; a bad variable ends the command with exit code 2."""
    try:
        return load_settings(os.environ)
    except SettingsError as error:
        raise Misuse(str(error)) from error


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
