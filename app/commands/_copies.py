"""What `guardian backup` and `guardian restore` have in common: how they talk and fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.commands import KnownFailures, attached_settings

if TYPE_CHECKING:
    from app.backup_folder import Manifest
    from app.settings import Settings

Work = Callable[["Settings", Path, Callable[[str], None]], Awaitable["Manifest"]]


def run(work: Work, folder: Path) -> Manifest:
    """Do it, with the progress on standard error; a failure ends the command with one line."""

    def say(line: str) -> None:
        click.echo(line, err=True)

    settings = attached_settings()

    async def main() -> Manifest:
        return await work(settings, folder, say)

    with KnownFailures():
        return asyncio.run(main())


def show(manifest: Manifest, as_json: bool, sentence: str) -> None:
    """Print what was done: a sentence, or for machines the manifest and where its log ends."""
    import orjson

    whole = {**asdict(manifest), "last_position": manifest.last_position}
    click.echo(orjson.dumps(whole).decode() if as_json else sentence)
