"""The folder of a backup: its manifest, and the two files that it vouches for."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from consensus.jetstream_snapshot import Snapshot

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

FORMAT = 1
MANIFEST, DUMP, LOG = "manifest.json", "database.dump", "log.snapshot"


class BackupError(Exception):
    """A backup or restore cannot go on; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup."""

    bytes: int
    sha256: str


@dataclass(slots=True)
class Manifest:
    """What a backup holds. A part that is None was not made yet."""

    format: int
    begun_at: str
    stream: str
    migration: str
    checkpoint: int = 0
    """The dump's: how far the log is applied in it."""
    database: Part | None = None
    log: Part | None = None
    log_config: dict[str, Any] | None = None
    log_state: dict[str, Any] | None = None
    change_position: int | None = None
    """The last change set that is applied in the dump, 0 for none; None: made before this was
    written down."""
    change_digest: str | None = None
    """SHA-256 of that change set's entry, in hexadecimal."""
    log_bound: int = 0
    """The log's file holds nothing behind this; what came while it was made may be in it."""
    finished_at: str | None = None

    @property
    def log_snapshot(self) -> Snapshot | None:
        """What the log's file holds; None if it was not made yet."""
        if self.log_config is None or self.log_state is None or self.log is None:
            return None
        return Snapshot(self.log_config, self.log_state, self.log.bytes)

    @property
    def last_position(self) -> int:
        """The log's last position in this backup: everything up to there is restored."""
        if self.log_config is None or self.log_state is None:
            return 0
        return Snapshot(self.log_config, self.log_state, 0).last_position


def part_of(file: Path) -> Part:
    """A file as it is now."""
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256")
    return Part(file.stat().st_size, digest.hexdigest())


def is_whole(file: Path, part: Part) -> bool:
    """Whether a file is there as it was when it was made."""
    return file.exists() and part_of(file) == part


def open_folder(folder: Path) -> Manifest | None:
    """The unfinished or finished backup in a folder; None if it is new."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        _sync(folder.parent)
    manifest = read_manifest(folder)
    begun = scratch_of(folder / MANIFEST)  # of a backup that ended before it had a manifest
    if manifest is None and any(file != begun for file in folder.iterdir()):
        raise BackupError(f"{folder} is not empty and holds no backup of ours")
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder; None if there is none. Raises BackupError for a foreign one."""
    foreign = BackupError(f"{folder / MANIFEST} is broken, or not of a backup of ours")
    try:
        found = orjson.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise foreign from error
    if not isinstance(found, dict) or "format" not in found:
        raise foreign
    if found["format"] != FORMAT:
        raise BackupError(f"{folder} holds a backup of format {found['format']!r}")
    try:
        for name in ("database", "log"):
            found[name] = Part(**found[name]) if found[name] else None
        return Manifest(**found)
    except (KeyError, TypeError) as error:
        raise foreign from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest, whole or not at all; it and what it vouches for will last."""
    scratch = scratch_of(folder / MANIFEST)
    with writing(scratch) as sink:
        sink.write(orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2))
    replace(scratch, folder / MANIFEST)


def scratch_of(file: Path) -> Path:
    """Where a file of a backup is made; whoever goes on writes over it."""
    return file.with_suffix(".new")


def writing(file: Path) -> BinaryIO:
    """The file, opened for writing; an OSError names it."""
    return io.BufferedWriter(_NamedFile(file, "wb"))


def replace(scratch: Path, file: Path) -> None:
    """Give a file that is whole its name; a loss of power takes neither any more."""
    _sync(scratch)
    scratch.replace(file)
    _sync(file.parent)


class _NamedFile(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        with _naming(str(self.name)):
            return super().write(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with _naming(str(path)):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """The system says what failed, but not on which file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def now() -> str:
    """This moment, as a manifest writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
