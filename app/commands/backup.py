"""`guardian backup DIR`: the database and the log, as one pair, while everything goes on."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(folder: Path, as_json: bool) -> None:
    """Write a backup into FOLDER, which is new or holds one that was interrupted."""
    from app.backup import back_up
    from app.commands import _copies

    # All contents and password hashes are in it; the folder may be one that others can read.
    os.umask(0o077)
    manifest = _copies.run(back_up, folder)
    _copies.show(
        manifest,
        as_json,
        f"backed up: the database at position {manifest.checkpoint},"
        f" the log up to {manifest.last_position}",
    )
