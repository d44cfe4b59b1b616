"""What `guardian up` keeps in GUARDIAN_DATA_DIR beside the servers' data.

The secret key, and while it runs, how to reach what it started, so that `guardian migrate`
and the others find the same servers from another terminal. Must never make any of it
readable for other users.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from app.embedded.postgres import Postgres
from app.embedded.processes import EmbeddedError, folder_lock, make_folder
from app.embedded.raft import write_private
from app.migrations import create_database
from app.settings import Settings

RUNNING = "running.json"
LOG_KEEP_BYTES = 10 * 1024 * 1024


def open_data_folder(settings: Settings) -> Path:
    """The data folder, made when it is new; its absolute path."""
    return make_folder(settings.data_dir, server_folder_mode())


def secret_key(folder: Path) -> str:
    """The key that signs tokens of an installation that names none; made once."""
    file = folder / "secret_key"
    if not file.exists():
        write_private(file, secrets.token_urlsafe(48))
    return file.read_text(encoding="ascii").strip()


def log_file(folder: Path, name: str) -> Path:
    """Where the child `name` writes; an old file that grew big is set aside first."""
    file = make_folder(folder / "logs") / f"{name}.log"
    if file.exists() and file.stat().st_size > LOG_KEEP_BYTES:
        file.replace(file.with_suffix(".log.1"))
    return file


@contextmanager
def announced(folder: Path, settings: Settings) -> Iterator[None]:
    """While inside, `attached` in other processes finds the servers of `settings`."""
    write_private(
        folder / RUNNING,
        json.dumps(
            {
                "database_url": settings.database_url,
                "nats_url": settings.nats_url,
                "nats_monitor_urls": settings.nats_monitor_urls,
                "secret_key": settings.secret_key,
            }
        ),
    )
    try:
        yield
    finally:
        (folder / RUNNING).unlink(missing_ok=True)


def attached(settings: Settings) -> Settings:
    """`settings`, with what they leave open taken from the `guardian up` that runs here, if any."""
    folder = settings.data_dir.absolute()
    if not settings.embedded or not _is_held(folder):
        return settings
    with suppress(FileNotFoundError):
        found = json.loads((folder / RUNNING).read_text(encoding="utf-8"))
        return replace(
            settings,
            database_url=settings.database_url or found["database_url"],
            nats_url=settings.nats_url or found["nats_url"],
            nats_monitor_urls=settings.nats_monitor_urls or tuple(found["nats_monitor_urls"]),
            secret_key=settings.secret_key or found["secret_key"],
        )
    return settings


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """A database URL: the one set, that of a running `guardian up`, or our own server's.

    In the last case PostgreSQL runs for as long as the block does. Raises EmbeddedError.
    """
    if (url := attached(settings).database_url) is not None:
        yield url
        return
    folder = make_folder(open_data_folder(settings) / "postgres", server_folder_mode())
    server = Postgres(folder)
    if _is_held(folder):  # by `guardian embedded postgres`
        yield server.url()
        return
    with folder_lock(folder):
        try:
            server.start()
            asyncio.run(create_database(server.url()))
            yield server.url()
        finally:
            server.stop()


def server_folder_mode() -> int:
    """Mode of the folders above PostgreSQL's: it runs as another user when we are root."""
    return 0o711 if os.geteuid() == 0 else 0o700


def _is_held(folder: Path) -> bool:
    """Whether a process holds the folder's lock (see `folder_lock`)."""
    try:
        with (folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except PermissionError as error:
        raise EmbeddedError(f"{folder} belongs to another user") from error
    except NotADirectoryError as error:
        raise EmbeddedError(f"{folder} is no folder, or under a file") from error
    return False
