"""`guardian web`: one web process."""

from __future__ import annotations

import gc
import os

import click

from app.commands import Failure
from app.settings import SettingsError, load_settings

GC_THRESHOLDS = (50_000, 20, 50)
"""A document of many small arrays would make the collector walk all that the process holds, again
and again, in the event loop: with Python's own thresholds that takes thrice as long as parsing."""


@click.command()
@click.option("--embedded", is_flag=True, hidden=True, help="Started by `guardian up`.")
def command(embedded: bool) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C."""
    import asyncpg
    import uvloop
    from aiohttp import web

    from app.access.tokens import KeyRing, SecretKeyUnusable, refuse_weak_keys
    from app.errors import Unavailable
    from app.logs import configure_logs
    from app.serve import serve
    from consensus.log import LogError

    try:
        settings = load_settings(os.environ)
        settings.require_database_url(), settings.require_nats_url(), settings.require_secret_key()
        if not embedded:
            refuse_weak_keys(KeyRing.parse(settings.require_secret_key()))
        configure_logs(settings.log_level)
        gc.set_threshold(*GC_THRESHOLDS)
        uvloop.run(serve(settings))
    except web.GracefulExit:
        pass
    except asyncpg.UndefinedTableError as error:
        raise Failure(f"the database is not migrated (`guardian release`): {error}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Failure(f"PostgreSQL refuses us: {error}") from error
    except (SettingsError, SecretKeyUnusable, LogError, Unavailable, OSError) as error:
        raise Failure(str(error)) from error
