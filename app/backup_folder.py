"""The folder of a backup: its manifest, and the two files that it vouches for."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from consensus.jetstream_snapshot import Snapshot

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


def open_folder(folder: Path) -> Manifest | None:
    """The unfinished or finished backup in a folder; None if it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    manifest = read_manifest(folder)
    if manifest is None and any(folder.iterdir()):
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
    """Replace the folder's manifest, whole or not at all."""
    scratch = folder / f"{MANIFEST}.new"
    scratch.write_bytes(orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2))
    scratch.replace(folder / MANIFEST)


def now() -> str:
    """This moment, as a manifest writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
