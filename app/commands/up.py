"""`guardian up`: the whole product on this machine, as `make run` does."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.commands import KnownFailures, Misuse, settings_of_environment

if TYPE_CHECKING:
    from app.embedded.supervisor import Supervisor
    from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
REMIND_AFTER_S = 15.0
EXTRA_ARGUMENTS = {"web": ("--embedded",)}
"""On a laptop any secret key will do."""


@click.command("up")
@click.option("--parent", type=int, help="Stop when this process, our parent, ends.")
def command(parent: int | None) -> None:
    """Start PostgreSQL, the Raft group, projector and web; stop them all with Ctrl-C.

    DATABASE_URL and NATS_URL name servers to use instead of our own.
    """
    from app.embedded.processes import die_with
    from app.embedded.supervisor import Stopped, stop_signals

    settings = settings_of_environment()
    if parent is not None:
        die_with(parent)
    try:
        with KnownFailures(), stop_signals():
            _up(settings)
    except Stopped as stopped:
        click.echo(f"stopped ({stopped})")


def _up(settings: Settings) -> None:
    from app.commands.release import prepare_database
    from app.embedded.data_folder import announced, open_data_folder, secret_key
    from app.embedded.processes import folder_lock
    from app.embedded.supervisor import Supervisor

    _check(settings)
    port = _free_port("GUARDIAN_PORT", settings.host, settings.port)
    settings = replace(settings, port=port)
    for own in settings.process_ports:
        if own == port:
            raise Misuse(f"GUARDIAN_PROCESS_PORT: a web process would get {port}, GUARDIAN_PORT")
        _free_port("GUARDIAN_PROCESS_PORT", settings.host, own)
    folder = open_data_folder(settings)
    supervisor = Supervisor(lambda line: click.echo(line, err=True))
    with ExitStack() as stack:
        stack.enter_context(folder_lock(folder))
        stack.callback(supervisor.stop)
        settings = _start_servers(settings, folder, supervisor, stack)
        settings = replace(settings, secret_key=settings.secret_key or secret_key(folder))
        stack.enter_context(announced(folder, settings))
        asyncio.run(prepare_database(settings))
        _start_services(settings, folder, supervisor)
        _wait_until_ready(settings, supervisor, folder)
        supervisor.run()


def _check(settings: Settings) -> None:
    """Raise SettingsError for what a child would refuse, over and over again, or the release."""
    from app.access.tokens import KeyRing, SecretKeyUnusable
    from app.first_user import check_first_sign_in
    from app.settings import MAX_PORT, SettingsError

    check_first_sign_in(settings)
    # Not where settings are loaded: a child has the port that it was given, and our number of them.
    if settings.process_ports and settings.process_ports[-1] > MAX_PORT:
        raise SettingsError(
            "GUARDIAN_PROCESS_PORT",
            f"web process {settings.web_concurrency} would get {settings.process_ports[-1]};"
            f" the highest port is {MAX_PORT}",
        )
    if settings.secret_key is not None:
        try:
            KeyRing.parse(settings.secret_key)
        except SecretKeyUnusable as error:
            raise SettingsError("GUARDIAN_SECRET_KEY", str(error)) from error


def _start_servers(
    settings: Settings, folder: Path, supervisor: Supervisor, stack: ExitStack
) -> Settings:
    """Start the servers that the settings do not name; the settings that name all."""
    from app.embedded.data_folder import server_folder_mode
    from app.embedded.postgres import Postgres
    from app.embedded.processes import folder_lock, make_folder
    from app.embedded.raft import RaftGroup

    if settings.nats_url is None:
        home = make_folder(folder / "raft")
        stack.enter_context(folder_lock(home))
        group = RaftGroup(home)
        # First, and without waiting: its election takes seconds in which the rest can start.
        group.supervise(supervisor)
        settings = replace(settings, nats_url=group.url, nats_monitor_urls=group.monitor_urls)
    if settings.database_url is None:
        home = make_folder(folder / "postgres", server_folder_mode())
        stack.enter_context(folder_lock(home))
        postgres = Postgres(home)
        supervisor.add(
            "postgres", postgres.start, lambda: postgres.child, postgres.stop, stop_last=True
        )
        settings = replace(settings, database_url=postgres.url())
    return settings


def _start_services(settings: Settings, folder: Path, supervisor: Supervisor) -> None:
    from app.embedded.data_folder import log_file
    from app.embedded.processes import Child

    environ = {
        **os.environ,
        "DATABASE_URL": settings.require_database_url(),
        "NATS_URL": settings.require_nats_url(),
        "GUARDIAN_NATS_MONITOR_URLS": ",".join(settings.nats_monitor_urls),
        "GUARDIAN_SECRET_KEY": settings.require_secret_key(),
        "GUARDIAN_HOST": settings.host,
        "GUARDIAN_PORT": str(settings.port),
        "PYTHONPATH": str(ROOT),
    }

    def add(name: str, log_name: str, **own: str) -> None:
        def make() -> Child:
            return Child(
                log_name,
                [sys.executable, "-m", "app.cli", name, *EXTRA_ARGUMENTS.get(name, ())],
                log=log_file(folder, log_name),
                env=environ | own,
                cwd=Path.cwd(),
            )

        supervisor.add_command(log_name, make)

    add("projector", "projector")
    for number in range(settings.web_concurrency):
        # All listen on the same port (SO_REUSEPORT), and each on its own if there are such.
        own = settings.process_port and settings.process_port + number
        add("web", f"web-{number + 1}" if number else "web", GUARDIAN_PROCESS_PORT=str(own))


def _wait_until_ready(settings: Settings, supervisor: Supervisor, folder: Path) -> None:
    """Wait for GET /readyz to answer 200, however long it takes, and say what it waits for."""
    from app.embedded.processes import get

    address = f"http://{_reachable(settings.host)}:{settings.port}"
    remind_at = time.monotonic() + REMIND_AFTER_S
    while (answer := get(f"{address}/readyz"))[0] != 200:
        supervisor.check()
        supervisor.pause()
        if time.monotonic() > remind_at:
            remind_at += REMIND_AFTER_S
            reason = answer[1].decode(errors="replace").strip() or "web does not answer"
            click.echo(f"not ready yet: {reason[:500]} (logs: {folder / 'logs'})", err=True)
    click.echo(f"Config Guardian is ready: {address}   (logs: {folder / 'logs'})")


def _reachable(host: str) -> str:
    """The name under which this machine reaches what listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host


def _free_port(variable: str, host: str, port: int) -> int:
    """`port`, or a free one for 0. A taken one ends the command before anything starts."""
    from app.embedded.raft import free_ports

    port = port or free_ports(1)[0]
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise Misuse(
            f"GUARDIAN_HOST, {variable}: cannot listen on {host}:{port}: {error.strerror}"
        ) from error
