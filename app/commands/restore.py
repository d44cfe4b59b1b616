"""`guardian restore DIR`: a new database and a new log from a backup."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from app.commands import Failure, Misuse, attached_settings


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(folder: Path, as_json: bool) -> None:
    """Restore the backup in FOLDER into an empty database and a Raft group without the stream.

    Stop every web process and projector first: they would make an empty stream. Call it
    again if it was interrupted.
    """
    import asyncpg
    import orjson

    from app.backup import BackupError, restore
    from app.migrations import MigrationError
    from consensus.jetstream_snapshot import StreamExists
    from consensus.log import LogError
    from domain.errors import BrokenInvariant

    def say(line: str) -> None:
        click.echo(line, err=True)

    settings = attached_settings()
    try:
        manifest = asyncio.run(restore(settings, folder, say))
    except StreamExists as error:
        raise Misuse(str(error)) from error
    except (BackupError, MigrationError, BrokenInvariant) as error:
        raise Failure(str(error)) from error
    except LogError as error:
        raise Failure(f"the log: {error}") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Failure(f"the database: {error}") from error
    if as_json:
        click.echo(orjson.dumps(manifest).decode())
    else:
        click.echo(
            f"restored: the database at position {manifest.checkpoint}, the log up to"
            f" {manifest.last_position}; start the services, and the projector does the rest"
        )
