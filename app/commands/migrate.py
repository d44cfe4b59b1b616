"""`guardian migrate`: moves the database between versions."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from app.commands import Failure, Misuse, settings_of_environment

T = TypeVar("T")


def _run(work: Coroutine[Any, Any, T]) -> T:
    from app.migrations import InvalidRequest, MigrationError, UnknownVersion

    try:
        return asyncio.run(work)
    except (InvalidRequest, UnknownVersion) as error:
        raise Misuse(str(error)) from error
    except MigrationError as error:
        raise Failure(str(error)) from error


def _database_url() -> str:
    url = settings_of_environment().database_url
    if url is None:
        raise Misuse("DATABASE_URL: is not set")
    return url


@click.group("migrate")
def command() -> None:
    """Move the database (DATABASE_URL) between the versions of db/migrations."""


@command.command()
@click.argument("count", type=click.IntRange(min=1), required=False)
def up(count: int | None) -> None:
    """Apply COUNT migrations, all pending ones by default."""
    from app import migrations

    names = _run(migrations.up(_database_url(), count))
    for name in names:
        click.echo(f"applied {name}")
    if not names:
        click.echo("nothing to apply")


@command.command()
@click.argument("count", type=click.IntRange(min=1), default=1)
def down(count: int) -> None:
    """Roll the last COUNT migrations back (one by default)."""
    from app import migrations

    for name in _run(migrations.down(_database_url(), count)):
        click.echo(f"rolled back {name}")


@command.command()
def version() -> None:
    """Print the current version, and how many migrations are pending."""
    from app import migrations

    url = _database_url()
    versions = _run(migrations.applied(url))
    names = {m.version: m.name for m in migrations.migrations()}
    click.echo(names.get(versions[-1], versions[-1]) if versions else "none")
    if pending := _run(migrations.pending(url)):
        click.echo(f"{len(pending)} pending")


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

    click.echo(f"version is now {_run(migrations.force(_database_url(), version))}")
