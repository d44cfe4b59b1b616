"""What is refused before anything is restored, or backed up over it: the rules, without servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from app import backup
from app.backup_folder import (
    DUMP,
    FORMAT,
    LOG,
    MANIFEST,
    BackupError,
    Manifest,
    open_folder,
    part_of,
    read_manifest,
    write_manifest,
)
from app.settings import Settings
from consensus.jetstream_layout import Layout
from consensus.jetstream_snapshot import StreamEnd, StreamExists
from tests.support.service import settings_for

SETTINGS = settings_for("postgresql://127.0.0.1/shop", "nats://127.0.0.1", "s")
WHOLE = StreamEnd(1200, None, groups=True, position_step=100, begun_behind=0)
"""Of the backup's log, whose database stands at 1000."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished backup, of a release that did not write down the last change set."""
    made = tmp_path / "backup"
    made.mkdir()
    for name in (DUMP, LOG):
        (made / name).write_text(name)
    manifest = Manifest(FORMAT, "2026-01-01", "s", "1", checkpoint=1000, finished_at="2026-01-02")
    manifest.database, manifest.log = part_of(made / DUMP), part_of(made / LOG)
    manifest.log_config = {"name": "s", "subjects": Layout("s", groups=True).subjects}
    manifest.log_state = {"last_seq": 12}
    write_manifest(made, manifest)
    return made


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"last_position": 1100}, "it ends at 1100, where the backup's goes up to 1200"),
        ({"change_behind": 1300}, "newer than the backup: it holds a change set at 1300"),
        ({"groups": False}, "it was made without groups, the backup's with"),
        ({"begun_behind": 1100}, "begun anew behind position 1100, where the backup's database"),
    ],
)
async def test_a_log_that_is_there_and_is_not_the_backups_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], why: str
) -> None:
    async def there(*_: object) -> StreamEnd:
        return replace(WHOLE, **changes)

    monkeypatch.setattr(backup, "stream_end", there)
    with pytest.raises(StreamExists, match=why):
        await backup.restore(SETTINGS, folder)


async def test_what_is_no_finished_backup_of_this_stream_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    async def refused(why: str, folder: Path = folder, settings: Settings = SETTINGS) -> None:
        with pytest.raises(BackupError, match=why):
            await backup.restore(settings, folder)

    await refused("holds no finished backup", tmp_path)
    await refused("the backup is of the stream 's'", settings=replace(SETTINGS, stream="other"))
    with pytest.raises(BackupError, match="holds a finished backup of 2026-01-02"):
        await backup.back_up(SETTINGS, folder)
    for name in (LOG, DUMP):
        (folder / name).write_text("x" * len(name))  # as many bytes
        await refused(f"{name} is not the file that was backed up")
    with pytest.raises(BackupError, match="is not empty and holds no backup of ours"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"{", "is broken, or not of a backup of ours"),
        (b"", "is broken, or not of a backup of ours"),
        (b'["format"]', "is broken, or not of a backup of ours"),
        (b'{"stream": "s"}', "is broken, or not of a backup of ours"),
        (b'{"format": 2}', "holds a backup of format 2"),
        (b'{"format": 1}', "is broken, or not of a backup of ours"),
        (b'{"format": 1, "database": null, "log": null}', "is broken, or not of a backup of ours"),
        (b'{"format": 1, "database": 7, "log": null}', "is broken, or not of a backup of ours"),
        (b'{"format": 1, "database": {"a": 1}, "log": 0}', "is broken, or not of a backup of ours"),
    ],
)
def test_a_manifest_that_is_not_ours_is_told(tmp_path: Path, manifest: bytes, why: str) -> None:
    (tmp_path / MANIFEST).write_bytes(manifest)
    with pytest.raises(BackupError, match=why):
        read_manifest(tmp_path)


def test_a_backup_is_for_whoever_makes_it_alone(tmp_path: Path, folder: Path) -> None:
    made = tmp_path / "deep" / "new"
    assert open_folder(made) is None
    assert made.stat().st_mode & 0o777 == 0o700
    finished = open_folder(folder)
    assert finished is not None
    assert orjson.loads((folder / MANIFEST).read_bytes())["checkpoint"] == finished.checkpoint


async def test_a_database_that_was_only_migrated_is_not_the_backups(database_url: str) -> None:
    """Not even of a backup that was made before the first entry was applied."""
    connection = await asyncpg.connect(database_url)
    manifest = Manifest(FORMAT, "2026-01-01", "s", "1")
    with pytest.raises(BackupError, match="the database is not empty; restore into a new one"):
        await backup._find_database(connection, manifest)
    await connection.close()
