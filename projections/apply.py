"""One batch of log entries to the database: gather what the rule needs, decide, write.

What is written is all or nothing, and only where what it was decided from still holds. So what the
batch before has left need not be gathered.
"""

from __future__ import annotations

from collections.abc import Sequence

from consensus.log import EntryKind
from domain.change_set import Head
from domain.config import Config, config_id, split_config_id
from domain.errors import BrokenInvariant
from projections.batch import (
    BatchResult,
    Chain,
    DecodedEntry,
    Touched,
    World,
    apply_entries,
    touched_by,
)
from projections.batch_write import ChainEnd, Foundation, write_batch
from projections.checkpoint import COLUMNS as CHECKPOINT_COLUMNS
from projections.checkpoint import Checkpoint, move_checkpoint
from projections.recent import Recent
from projections.revisions import APPLICATION, Connection

PLANNED_ONCE = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # An older server takes a plan that is switched off for so dear that it compiles it.
    "jit": "off",
}
"""Settings of a session that applies batches. To plan its statements takes longer than to run them,
so they are planned once; perhaps while the tables are empty, and then every row looks cheap to
read. All they need is found by an index."""

# One round trip for all that the rule needs. Where a config stands is asked of its revisions, never
# of `configs`: a projection that somebody damaged must not change an outcome.
GATHER = f"""
SELECT
    (SELECT array_agg(id) FROM projects WHERE id = ANY($1::text[]) AND deleted_at IS NULL)
        AS projects,
    (SELECT array_agg(id) FROM users WHERE id = ANY($2::text[]) AND deleted_at IS NULL) AS users,
    (SELECT array_agg((k.project_id, k.key, r.version, r.event))
     FROM unnest($3::text[], $4::text[]) AS k (project_id, key)
     CROSS JOIN LATERAL (SELECT version, event FROM config_revisions
         WHERE project_id = k.project_id AND config_key = k.key
         ORDER BY version DESC LIMIT 1) AS r) AS heads,
    (SELECT array_agg((h.project_id, h.revisions, h.head_hash, h.head_position, r.hash))
     FROM audit_heads h
     LEFT JOIN config_revisions r ON r.sequence = h.head_sequence
     WHERE h.project_id = ANY($1::text[])) AS chains,
    (SELECT array_agg(change_id) FROM config_revisions
     WHERE change_id = ANY($5::text[]) AND change_index = 0) AS applied,
    (SELECT array_agg(change_id) FROM rejected_changes
     WHERE change_id = ANY($5::text[])) AS rejected,
    {CHECKPOINT_COLUMNS}
FROM checkpoints WHERE application_name = $6
"""  # noqa: S608


class BrokenChain(BrokenInvariant):
    """What is recorded of a project is not what was recorded; nothing may be put on top."""


async def apply_batch(
    connection: Connection,
    before: Checkpoint,
    decoded: Sequence[DecodedEntry],
    recent: Recent | None = None,
) -> Checkpoint:
    """Apply entries that follow `before` directly, all or none; return the new checkpoint.

    With `recent`, what the batches before on this connection have left is not asked for again.

    Raises BrokenInvariant if the database's checkpoint is not `before`: somebody else
    writes here, against the advisory lock. Raises BrokenChain if the history was changed.
    """
    if all(item.entry.kind is EntryKind.BARRIER for item in decoded):
        return await _pass_barriers(connection, before, decoded)
    recent = recent or Recent()
    touched = touched_by(decoded)
    while True:
        world = recent.world(touched, before.last_time)
        if world is None:
            world = await _gather(connection, before, touched)
        foundation = Foundation.of(touched, world)
        result = apply_entries(world, decoded)
        after = _after(before, result)
        ends = _chain_ends(before, result)
        if await write_batch(connection, before, after, foundation, result, ends):
            recent.keep(world)
            return after
        # Something that it was decided from is not so (any more): that is seen now.
        recent.forget()


async def _pass_barriers(
    connection: Connection, before: Checkpoint, decoded: Sequence[DecodedEntry]
) -> Checkpoint:
    """Move over what changes nothing in one round trip: readers wait for it."""
    after = _after(before, apply_entries(World(last_time=before.last_time), decoded))
    await move_checkpoint(connection, before, after)
    return after


def _after(before: Checkpoint, result: BatchResult) -> Checkpoint:
    return Checkpoint(
        position=result.position,
        last_sequence=before.last_sequence + len(result.revisions),
        change_position=result.change_position or before.change_position,
        change_digest=result.change_digest or before.change_digest,
        last_time=result.last_time,
        skipped=before.skipped + result.skipped,
    )


async def _gather(connection: Connection, before: Checkpoint, touched: Touched) -> World:
    world = World(last_time=before.last_time)
    pairs = list(map(split_config_id, touched.configs))
    row = await connection.fetchrow(
        GATHER,
        list(touched.projects),
        list(touched.users),
        [project_id for project_id, _ in pairs],
        [key for _, key in pairs],
        list(touched.changes),
        APPLICATION,
    )
    stored = Checkpoint(*row[6:]) if row else None
    if row is None or stored != before:
        raise BrokenInvariant(f"the checkpoint is {stored}, the projector left {before}")
    world.projects.update(row["projects"] or ())
    world.users.update(row["users"] or ())
    world.known_changes.update(row["applied"] or (), row["rejected"] or ())
    for project_id, key, version, topic in row["heads"] or ():
        world.heads[config_id(project_id, key)] = Head(version, topic == Config.Deleted.TOPIC)
    for project_id, revisions, head_hash, head_position, last_hash in row["chains"] or ():
        if head_hash != last_hash:
            found = "not there" if last_hash is None else last_hash.hex()
            raise BrokenChain(
                f"the hash chain of project {project_id} ends in {head_hash.hex()} at position"
                f" {head_position}, but that revision is {found}"
            )
        # One that is gone must not be remembered, though its rows may still be there.
        if project_id in world.projects:
            world.chains[project_id] = Chain(revisions, head_hash, head_position)
    for originator_id in world.heads:
        project_id, _ = split_config_id(originator_id)
        if project_id in world.projects and project_id not in world.chains:
            raise BrokenChain(f"project {project_id} has revisions, but no end of its hash chain")
    return world


def _chain_ends(before: Checkpoint, result: BatchResult) -> list[ChainEnd]:
    # Of a project's own last revision, so that it does not depend on how the log was cut.
    sequences = {
        split_config_id(str(revision.originator_id))[0]: before.last_sequence + number
        for number, revision in enumerate(result.revisions, start=1)
    }
    return [
        (project, chain.revisions, chain.head_hash, chain.head_position, sequences[project])
        for project, chain in result.chains.items()
    ]
