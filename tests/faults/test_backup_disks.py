"""Goal: a backup is on the disk when it says so, and a disk that takes no more is told by its file.

Method: the command itself under a limit of a file's size, which is to it what a full disk is; and
what the operating system was asked to keep, in its order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app import backup as backup_module
from app.backup import back_up
from app.backup_folder import DUMP, LOG, MANIFEST
from app.settings import Settings
from tests.faults import test_backup
from tests.faults.test_backup import cut_short, guardian

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
filled = test_backup.filled
BEHIND_THE_DUMP = (backup_module, "save_stream")


@pytest.mark.parametrize(
    ("largest_file", "error"),
    [
        (100, "{folder}/manifest.new: File too large"),
        (2000, "pg_dump was ended by SIGXFSZ: no word"),
    ],
)
async def test_a_full_disk_is_told_and_the_next_call_goes_on(
    filled: tuple[Settings, str], short_path: Path, largest_file: int, error: str
) -> None:
    """It was "the database: [Errno 28] …", and what was begun stood in the way of the next call."""
    settings, _ = filled
    folder = short_path / "backup"
    call = ("backup", str(folder))
    code, output, errors = await guardian(settings, *call, largest_file=largest_file)
    assert (code, output) == (1, "")
    assert errors.splitlines()[-1] == f"error: {error.format(folder=folder)}"
    code, _, errors = await guardian(settings, *call)
    assert code == 0, errors
    assert {file.name for file in folder.iterdir()} == {MANIFEST, DUMP, LOG}


async def test_a_disk_that_is_full_behind_the_dump(
    filled: tuple[Settings, str], short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = filled
    folder = short_path / "backup"
    await cut_short(back_up(settings, folder), BEHIND_THE_DUMP, monkeypatch)
    code, _, errors = await guardian(settings, "backup", str(folder), largest_file=100)
    assert (code, errors.splitlines()[-1]) == (1, f"error: {folder}/log.new: File too large")
    code, _, errors = await guardian(settings, "backup", str(folder))
    assert (code, "dumping" in errors) == (0, False), errors


async def test_a_dump_that_is_not_whole_any_more_is_made_again(
    filled: tuple[Settings, str], short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next call said "backed up", and `restore` refused the file."""
    settings, _ = filled
    damages: tuple[Callable[[Path], None], ...] = (partial(os.truncate, length=1000), Path.unlink)
    for number, damage in enumerate(damages):
        folder = short_path / str(number)
        await cut_short(back_up(settings, folder), BEHIND_THE_DUMP, monkeypatch)
        damage(folder / DUMP)
        said: list[str] = []
        manifest = await back_up(settings, folder, said.append)
        assert said[:2] == [
            f"{folder / DUMP} is not the file that was made",
            "dumping the database",
        ]
        assert manifest.database is not None
        assert (folder / DUMP).stat().st_size == manifest.database.bytes


async def test_what_is_backed_up_is_on_the_disk(
    filled: tuple[Settings, str], short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of power behind "backed up" could leave an empty manifest, or none of the names."""
    done: list[tuple[str, int | str]] = []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        done.append(("kept", os.fstat(descriptor).st_ino))
        sync(descriptor)

    def replace(self: Path, target: Path) -> Any:
        done.append(("kept before its name", self.stat().st_ino))
        done.append(("named", target.name))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    folder = short_path / "backup"
    await back_up(filled[0], folder)

    inode = folder.stat().st_ino
    assert done[0] == ("kept", short_path.stat().st_ino)
    steps = [done[at : at + 4] for at in range(1, len(done), 4)]
    names = [MANIFEST, DUMP, MANIFEST, LOG, MANIFEST]
    for step, name in zip(steps, names, strict=True):
        file = step[0][1]
        assert step == [
            ("kept", file),
            ("kept before its name", file),
            ("named", name),
            ("kept", inode),
        ]
