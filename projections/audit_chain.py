"""The hash chain over each project's revisions: tamper evidence.

Each revision's hash covers the one before it, so one bad byte, a missing or a swapped
revision shows at its place; `audit_heads` holds where the chain ends, so a cut tail shows too.
Pure: must never touch a database.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

GENESIS = bytes(32)
"""What the first revision of a project stands on."""


def revision_hash(
    previous: bytes,
    *,
    project_id: str,
    key: str,
    version: int,
    topic: str,
    position: int,
    change_id: str,
    change_index: int,
    created_at: datetime,
    state: bytes,
) -> bytes:
    """SHA-256 (FIPS 180-4) over the previous hash and all that makes this revision.

    Every field is preceded by its length, so no two different revisions read alike. The
    author and the comment are inside `state`, the exact committed bytes.
    """
    fields = (
        project_id.encode(),
        key.encode(),
        b"%d" % version,
        topic.encode(),
        b"%d" % position,
        change_id.encode(),
        b"%d" % change_index,
        created_at.isoformat(timespec="microseconds").encode(),
        state,
    )
    digest = hashlib.sha256(previous)
    for field in fields:
        digest.update(b"%d:" % len(field))
        digest.update(field)
    return digest.digest()
