"""Deliberately broken builds: `python -m tests.faults.broken VARIANT web|projector`.

Each breaks one promise in the running service, to show that the checkers find it. Never imported
by anything but itself.
"""

from __future__ import annotations

import asyncio
import importlib
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from eventsourcing.persistence import StoredEvent

from app.change_writer import ChangeWriter
from app.cli import main
from domain.change_set import ABSENT, ChangeSet
from projections.batch import BatchResult, DecodedEntry, World
from projections.read_model import Applied, RecordedRevision

# Patched at will; no type checker should agree to that.
applying: Any = importlib.import_module("projections.apply")
real_apply = applying.apply_entries


def _one_by_one(
    change: Callable[[World, DecodedEntry], list[DecodedEntry]],
) -> Callable[[World, Sequence[DecodedEntry]], BatchResult]:
    """`apply_entries`, with each entry replaced by what `change` makes of it."""

    def apply_entries(world: World, decoded: Sequence[DecodedEntry]) -> BatchResult:
        whole = BatchResult(position=decoded[-1].entry.position, last_time=world.last_time)
        for original in decoded:
            for item in change(world, original):
                part = real_apply(world, [item])
                whole.revisions += part.revisions
                whole.rejections += part.rejections
                whole.chains |= part.chains
                whole.skipped += part.skipped
                whole.last_time = part.last_time
                whole.change_position = part.change_position or whole.change_position
                whole.change_digest = part.change_digest or whole.change_digest
        return whole

    return apply_entries


def _on_top(world: World, item: DecodedEntry, suffix: str = "") -> DecodedEntry:
    """The entry as if it had been made for whatever version there is."""
    assert item.change_set is not None
    events, decoded = [], []
    for stored, event in zip(item.change_set.events, item.events, strict=True):
        head = world.heads.get(str(stored.originator_id), ABSENT)
        version = head.version + 1
        events.append(StoredEvent(stored.originator_id, version, stored.topic, stored.state))
        decoded.append(event)
    change_set = replace(item.change_set, id=item.change_set.id + suffix, events=tuple(events))
    return replace(item, change_set=change_set, events=tuple(decoded))


def no_version_rule() -> None:
    """Whatever version a change was made for, it is put on top: the last writer wins."""

    def change(world: World, item: DecodedEntry) -> list[DecodedEntry]:
        return [item] if item.change_set is None else [_on_top(world, item)]

    applying.apply_entries = _one_by_one(change)


def skip_one() -> None:
    """One change set of thirty is not applied."""

    def change(world: World, item: DecodedEntry) -> list[DecodedEntry]:
        if item.change_set is not None and item.entry.position % 30 == 7:
            return [replace(item, change_set=None)]
        return [item]

    applying.apply_entries = _one_by_one(change)


def apply_twice() -> None:
    """One change set of thirty is applied a second time, on top of itself."""

    def apply_entries(world: World, decoded: Sequence[DecodedEntry]) -> BatchResult:
        whole: BatchResult = real_apply(world, decoded)
        for item in decoded:
            recorded = {revision.change_id for revision in whole.revisions}
            if (
                item.change_set is not None
                and item.change_set.id in recorded
                and item.entry.position % 30 == 7
            ):
                again = real_apply(world, [_on_top(world, item, "-again")])
                whole.revisions += again.revisions
                whole.chains |= again.chains
        return whole

    applying.apply_entries = apply_entries


def ack_before_commit() -> None:
    """Answers when the proposal was handed to the network, without waiting for the log."""
    real: Any = ChangeWriter._propose
    running: set[asyncio.Task[Any]] = set()

    async def propose(self: Any, change_set: ChangeSet, entry: bytes, deadline: float) -> Any:
        if random.random() < 0.8:
            return await real(self, change_set, entry, deadline)
        task = asyncio.create_task(real(self, change_set, entry, deadline))
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.sleep(0)
        return Applied(tuple(_guess(self, change_set)))

    ChangeWriter._propose = propose  # type: ignore[method-assign]


def _guess(writer: Any, change_set: ChangeSet) -> list[RecordedRevision]:
    guessed = []
    for index, stored in enumerate(change_set.events):
        project_id, _, key = str(stored.originator_id).partition("/")
        old = writer._model.get(project_id, key)
        if old is None:
            old = next(iter(writer._model.project(project_id).values()))
        guessed.append(
            replace(
                old,
                position=writer._model.position + 1,
                change_id=change_set.id,
                change_index=index,
                key=key,
                version=stored.originator_version,
                event=stored.topic,
            )
        )
    return guessed


VARIANTS: dict[str, Callable[[], None]] = {
    "ack-before-commit": ack_before_commit,
    "no-version-rule": no_version_rule,
    "skip-one": skip_one,
    "apply-twice": apply_twice,
}

if __name__ == "__main__":
    VARIANTS[sys.argv.pop(1)]()
    main(prog_name="guardian")
