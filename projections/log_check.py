"""Whether the log is still the one that this database was made from.

Compares bytes, never only positions: a log that lost its end soon grows past the checkpoint
again (every barrier is an entry), and then only its contents tell.
"""

from __future__ import annotations

import hashlib

from consensus.log import Entry, EntryKind, Log, LogUnavailable
from projections.checkpoint import Checkpoint
from projections.halts import ProjectorHalted

BARRIER_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 10.0


async def compare_with_log(log: Log, checkpoint: Checkpoint, first_position: int = 1) -> None:
    """Raise ProjectorHalted unless the log holds what was applied last, byte for byte.

    And unless it holds no other change set between that and the checkpoint, goes on from there, and
    does not begin before `first_position`, where the database's log was begun anew. Raises
    LogUnavailable when the log cannot be read now.
    """
    # Where nothing is to be compared (nothing was applied yet, or barriers alone), only this tells.
    # A log that is begun anew begins with the message behind the checkpoint's.
    status = await log.status()
    if checkpoint.position + status.position_step < status.begins_at:
        raise ProjectorHalted(
            "log-diverged",
            f"the log begins at {status.begins_at}, but {checkpoint.position} was applied: it was"
            " begun anew behind changes that this database does not hold",
            checkpoint.position,
        )
    if status.begins_at < first_position:
        raise ProjectorHalted(
            "log-diverged",
            f"the log begins at {status.begins_at}, but that of this database was begun anew at"
            f" {first_position}: it is another one",
            checkpoint.position,
        )
    if checkpoint.position == 0:
        return
    # A leader that was just elected may not have applied all that is committed, so its last
    # position proves nothing; a barrier is behind everything that is.
    barrier = await log.barrier(timeout=BARRIER_TIMEOUT_S)
    end = barrier - log.position_step
    if end < checkpoint.position:
        raise ProjectorHalted(
            "log-behind-checkpoint",
            f"the log ends at {end}, but {checkpoint.position} was applied",
            checkpoint.position,
        )
    found = False
    reader = log.reader(max(0, checkpoint.change_position - 1))
    try:
        position = 0
        while position < checkpoint.position:
            batch = await reader.next_batch(timeout=READ_TIMEOUT_S)
            if not batch:
                raise LogUnavailable(f"the log was not delivered up to its barrier at {barrier}")
            for entry in batch:
                position = entry.position
                if position <= checkpoint.position and entry.kind is EntryKind.CHANGE:
                    _compare(entry, checkpoint)
                    found = True
    finally:
        await reader.close()
    if checkpoint.change_digest is not None and not found:
        raise ProjectorHalted(
            "log-diverged",
            f"the log has no entry at {checkpoint.change_position} any more",
            checkpoint.change_position,
        )


def _compare(entry: Entry, checkpoint: Checkpoint) -> None:
    digest = hashlib.sha256(entry.data).digest()
    if entry.position != checkpoint.change_position:
        raise ProjectorHalted(
            "log-diverged",
            f"the log holds a change set at {entry.position} (SHA-256 {digest.hex()}) that was"
            f" not applied when the checkpoint moved to {checkpoint.position}",
            entry.position,
        )
    if digest != checkpoint.change_digest:
        raise ProjectorHalted(
            "log-diverged",
            f"the entry at {entry.position} has SHA-256 {digest.hex()},"
            f" applied was {(checkpoint.change_digest or b'').hex() or 'none'}",
            entry.position,
        )
