"""`guardian migrate`: moves the database between versions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from app.commands import KnownFailures, Misuse, settings_of_environment

T = TypeVar("T")


def _run(work: Callable[[str], Coroutine[Any, Any, T]]) -> T:
    """Run `work` with a database's URL: ours, where no DATABASE_URL is set."""
    from app.embedded.data_folder import database

    with KnownFailures(), database(settings_of_environment()) as url:
        return asyncio.run(work(url))


@click.group("migrate")
def command() -> None:
    """Move the database between the versions of db/migrations.

    DATABASE_URL says which; without it, the one of `guardian up` in this folder.
    """


@command.command()
@click.argument("count", type=click.IntRange(min=1), required=False)
def up(count: int | None) -> None:
    """Apply COUNT migrations, all pending ones by default."""
    from app import migrations

    names = _run(lambda url: migrations.up(url, count))
    for name in names:
        click.echo(f"applied {name}")
    if not names:
        click.echo("nothing to apply")


@command.command()
@click.argument("count", type=click.IntRange(min=1), default=1)
def down(count: int) -> None:
    """Roll the last COUNT migrations back (one by default).

    Before that it says what no later `up` brings back, and asks whoever is at a terminal.
    """
    from app import migrations

    for name in _run(lambda url: migrations.down(url, count, warn=_warn)):
        click.echo(f"rolled back {name}")


def _warn(lost: str) -> None:
    click.echo(f"warning: {lost}", err=True)
    if sys.stdin.isatty():
        click.confirm("Is there a backup, and shall it go on?", abort=True, err=True)


@command.command()
def version() -> None:
    """Print the current version, and how many migrations are pending."""
    from app import migrations

    async def look(url: str) -> tuple[list[str], int]:
        return await migrations.applied(url), len(await migrations.pending(url))

    versions, pending = _run(look)
    names = {m.version: m.name for m in migrations.migrations()}
    click.echo(names[versions[-1]] if versions else "none")
    if pending:
        click.echo(f"{pending} pending")


@command.command()
@click.argument("name")
def create(name: str) -> None:
    """Write an empty migration NAME with the next number."""
    from app import migrations

    try:
        click.echo(migrations.create(name))
    except migrations.MigrationError as error:
        raise Misuse(str(error)) from error


@command.command()
@click.argument("version")
def force(version: str) -> None:
    """Record VERSION as the current one and run nothing (0: none)."""
    from app import migrations

    click.echo(f"version is now {_run(lambda url: migrations.force(url, version))}")
