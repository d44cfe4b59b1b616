"""How a process reaches the Raft log that its settings name.

Beside `app.web`, and not in it: the projector and the commands of an operator need nothing of the
web service, and to load that was up to half of their start.
"""

from __future__ import annotations

import ssl

from app.settings import Settings, SettingsError
from consensus.jetstream import JetStreamLog
from consensus.jetstream_snapshot import Access
from consensus.log import Log

START_TIMEOUT_S = 30.0
"""How long a process that starts waits for the Raft group, and for PostgreSQL."""


async def connect_log(settings: Settings) -> Log:
    """The Raft log of these settings. Raises LogUnavailable, AccessUnusable, SettingsError."""
    return await JetStreamLog.connect(
        settings.nats_servers,
        settings.stream,
        monitor_urls=settings.nats_monitor_urls,
        credentials=settings.nats_credentials,
        tls=_tls(settings),
        timeout=START_TIMEOUT_S,
    )


def access_of(settings: Settings) -> Access:
    """What a connection to the Raft group itself needs. Raises SettingsError."""
    return Access(settings.nats_servers, settings.nats_credentials, _tls(settings))


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """How the Raft group proves who it is. Raises SettingsError for a file of no certificates."""
    if settings.nats_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.nats_ca)
    except OSError as error:  # SSLError is one
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(
            "GUARDIAN_NATS_CA", f"{settings.nats_ca} holds no certificates in PEM ({reason})"
        ) from error
