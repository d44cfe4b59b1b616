"""`guardian projector`: applies the Raft log to the database; any number may stand by."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import click

from app.commands import KnownFailures, settings_of_environment

if TYPE_CHECKING:
    from app.settings import Settings


@click.command()
def command() -> None:
    """Project the log until SIGTERM or Ctrl-C. Exits with 1 and the evidence if it must halt."""
    with KnownFailures():
        settings = settings_of_environment()
        settings.require_database_url(), settings.require_nats_url()

        import uvloop

        from app.logs import configure_logs

        configure_logs(settings.log_level)
        uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    from app.raft_log import connect_log
    from projections.projector import Projector

    dsn = settings.require_database_url()
    log = await connect_log(settings)
    try:
        task = asyncio.create_task(Projector(log, dsn).run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        await asyncio.gather(task, return_exceptions=False)
    except asyncio.CancelledError:
        pass
    finally:
        await log.close()
