"""`guardian embedded`: one of the embedded servers alone, in the foreground."""

from __future__ import annotations

import asyncio

import click

from app.commands import KnownFailures, settings_of_environment


@click.group("embedded")
def command() -> None:
    """Run a server of one's own in the foreground, under GUARDIAN_DATA_DIR."""


@command.command()
def postgres() -> None:
    """Run PostgreSQL and print its DATABASE_URL."""
    from app.embedded.data_folder import open_data_folder, server_folder_mode
    from app.embedded.postgres import Postgres
    from app.embedded.processes import folder_lock, make_folder
    from app.embedded.supervisor import Stopped, Supervisor, stop_signals
    from app.migrations import create_database

    supervisor = Supervisor(lambda line: click.echo(line, err=True))
    try:
        with KnownFailures(), stop_signals():
            data = open_data_folder(settings_of_environment())
            folder = make_folder(data / "postgres", server_folder_mode())
            with folder_lock(folder):
                server = Postgres(folder)
                try:
                    supervisor.add("postgres", server.start, lambda: server.child, server.stop)
                    asyncio.run(create_database(server.url()))
                    click.echo(f"DATABASE_URL='{server.url()}'")
                    supervisor.run()
                finally:
                    supervisor.stop()
    except Stopped:
        return


@command.command()
def raft() -> None:
    """Run a three-member Raft group and print its NATS_URL."""
    from app.embedded.data_folder import open_data_folder
    from app.embedded.processes import folder_lock, make_folder
    from app.embedded.raft import RaftGroup
    from app.embedded.supervisor import Stopped, Supervisor, stop_signals

    supervisor = Supervisor(lambda line: click.echo(line, err=True))
    try:
        with KnownFailures(), stop_signals():
            folder = make_folder(open_data_folder(settings_of_environment()) / "raft")
            with folder_lock(folder):
                group = RaftGroup(folder)
                try:
                    group.supervise(supervisor)
                    group.wait_for_leader()
                    click.echo(f"NATS_URL='{group.url}'")
                    click.echo(f"GUARDIAN_NATS_MONITOR_URLS='{','.join(group.monitor_urls)}'")
                    supervisor.run()
                finally:
                    supervisor.stop()
    except Stopped:
        return
