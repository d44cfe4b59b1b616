"""`guardian release`: what a new release does once, before its web and projector start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from app.commands import KnownFailures, attached_settings

if TYPE_CHECKING:
    from app.settings import Settings


@click.command("release")
def command() -> None:
    """Migrate, and make the first superuser if there is none (its password is shown once)."""
    with KnownFailures():
        asyncio.run(prepare_database(attached_settings()))


async def prepare_database(settings: Settings) -> None:
    """Migrate, make the first superuser, and print what a person should know of it.

    Raises SettingsError, MigrationError.
    """
    from app import migrations
    from app.first_user import check_first_sign_in, ensure_first_superuser

    url = settings.require_database_url()
    check_first_sign_in(settings)
    await migrations.up(url)
    if (sign_in := await ensure_first_superuser(url, settings)) is None:
        return
    email, password = sign_in
    if settings.admin_password is not None:  # known to whoever set it: keep it out of logs
        click.echo(f"first superuser: {email}  password: that of GUARDIAN_ADMIN_PASSWORD")
    else:  # printed at once: what comes next may fail, and it is stored nowhere
        click.echo(f"first superuser (shown once): {email}  password: {password}")
