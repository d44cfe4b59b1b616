"""`guardian web`: one web process."""

from __future__ import annotations

import gc

import click

from app.commands import KnownFailures, settings_of_environment
from app.settings import Settings, SettingsError

GC_THRESHOLDS = (50_000, 20, 50)
"""A document of many small arrays would make the collector walk all that the process holds, again
and again, in the event loop: with Python's own thresholds that takes thrice as long as parsing."""


@click.command()
@click.option("--embedded", is_flag=True, hidden=True, help="Started by `guardian up`.")
def command(embedded: bool) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C."""
    settings = _settings(embedded)

    import uvloop

    from app.logs import configure_logs
    from app.serve import serve

    configure_logs(settings.log_level)
    gc.set_threshold(*GC_THRESHOLDS)
    with KnownFailures():
        uvloop.run(serve(settings))


def _settings(embedded: bool) -> Settings:
    """All that can be refused, before what serves is loaded: that is most of a start."""
    from app.access.tokens import KeyRing, SecretKeyUnusable, refuse_weak_keys

    with KnownFailures():
        settings = settings_of_environment()
        settings.require_database_url(), settings.require_nats_url()
        try:
            ring = KeyRing.parse(settings.require_secret_key())
            if not embedded:
                refuse_weak_keys(ring)
        except SecretKeyUnusable as error:
            raise SettingsError("GUARDIAN_SECRET_KEY", str(error)) from error
        return settings
