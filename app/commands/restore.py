"""`guardian restore DIR`: a new database and a new log from a backup."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--database-only", is_flag=True, help="Keep the stream that is there; it holds what is newer."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(folder: Path, database_only: bool, as_json: bool) -> None:
    """Restore the backup in FOLDER into an empty database and a Raft group without the stream.

    Stop every web process and projector first: they would make an empty stream. Call it
    again if it was interrupted: what it made before is kept, anything else refused.
    """
    from app.backup import restore
    from app.commands import _copies
    from app.migrations import migrations

    manifest = _copies.run(partial(restore, database_only=database_only), folder)
    log = "the log kept" if database_only else f"the log up to {manifest.last_position}"
    behind = sum(int(step.version) > int(manifest.migration) for step in migrations())
    migrate = f"run `guardian migrate up` ({behind} pending), then " if behind else ""
    _copies.show(
        manifest,
        as_json,
        f"restored: the database at position {manifest.checkpoint}, {log};"
        f" {migrate}start the services, and the projector does the rest",
    )
