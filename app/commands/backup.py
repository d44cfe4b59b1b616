"""`guardian backup DIR`: the database and the log, as one pair, while everything goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from app.commands import Failure, attached_settings


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(folder: Path, as_json: bool) -> None:
    """Write a backup into FOLDER, which is new or holds one that was interrupted."""
    import asyncpg
    import orjson

    from app.backup import BackupError, back_up
    from app.migrations import MigrationError
    from consensus.log import LogError

    def say(line: str) -> None:
        click.echo(line, err=True)

    settings = attached_settings()
    try:
        manifest = asyncio.run(back_up(settings, folder, say))
    except (BackupError, MigrationError) as error:
        raise Failure(str(error)) from error
    except LogError as error:
        raise Failure(f"the log: {error}") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Failure(f"the database: {error}") from error
    if as_json:
        click.echo(orjson.dumps(manifest).decode())
    else:
        click.echo(
            f"backed up: the database at position {manifest.checkpoint},"
            f" the log up to {manifest.last_position}"
        )
