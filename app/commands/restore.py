"""`guardian restore DIR`: a new database and a new log from a backup."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(folder: Path, as_json: bool) -> None:
    """Restore the backup in FOLDER into an empty database and a Raft group without the stream.

    Stop every web process and projector first: they would make an empty stream. Call it
    again if it was interrupted.
    """
    from app.backup import restore
    from app.commands import _copies

    manifest = _copies.run(restore, folder)
    _copies.show(
        manifest,
        as_json,
        f"restored: the database at position {manifest.checkpoint}, the log up to"
        f" {manifest.last_position}; start the services, and the projector does the rest",
    )
