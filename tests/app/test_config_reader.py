"""Goal: a read model that holds only a part never answers with an older version than it stands at.

Method: hypothesis interleaves commits, the follower's steps and reads from the table whose answer
comes late, against the list of all commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import config_reader
from app.config_reader import ConfigReader
from app.tables.history import Moment
from projections.read_model import REVISION_BYTES, ReadModel, RecordedRevision
from tests.support.recorded import recorded

KEYS = ("a", "b", "c", "d")
ROOM = 2
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.sampled_from(KEYS)),
        st.tuples(st.just("follow"), st.integers(1, 3)),
        st.tuples(st.just("ask"), st.sets(st.sampled_from(KEYS), min_size=1)),
        st.tuples(st.just("answer"), st.integers(0, 3)),
        st.tuples(st.just("warm"), st.integers(0, 9)),
    ),
    max_size=60,
)


class Table:
    """All commits; questions to it are answered when the test lets them be."""

    def __init__(self) -> None:
        self.revisions: list[RecordedRevision] = []
        self.asked: list[asyncio.Event] = []

    def commit(self, key: str) -> None:
        before = self.newest(key, len(self.revisions))
        number = len(self.revisions) + 1
        self.revisions.append(
            recorded(
                number,
                key=key,
                version=before.version + 1 if before else 1,
                event="config:updated" if before else "config:created",
            )
        )

    def newest(self, key: str, sequence: int) -> RecordedRevision | None:
        found = (r for r in reversed(self.revisions[:sequence]) if r.key == key)
        return next(found, None)

    async def configs_at(
        self, pool: Any, project_id: str, keys: Collection[str], moment: Moment
    ) -> dict[str, RecordedRevision]:
        found = {k: r for k in keys if (r := self.newest(k, moment.sequence)) is not None}
        answered = asyncio.Event()
        self.asked.append(answered)
        await answered.wait()
        return found


A_NEW_VERSION_MAKES_ROOM: list[Any] = [
    *(("commit", key) for key in "aabcb"),
    ("follow", 4),
    ("ask", {"a", "b", "c"}),
    ("follow", 1),
]
"""The new version of `b` falls out in the moment when what was found of `a` is taken in."""


@given(steps=STEPS)
@example(steps=A_NEW_VERSION_MAKES_ROOM)
@settings(deadline=None)
def test_what_is_read_is_the_newest_where_the_model_stands(steps: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        table = Table()
        patch.setattr(config_reader, "configs_at", table.configs_at)
        asyncio.run(_interleave(table, steps))


async def _interleave(table: Table, steps: list[Any]) -> None:
    model = ReadModel(ROOM * (REVISION_BYTES + 2))
    reader = ConfigReader(model, cast(Any, None), cast(Any, SimpleNamespace()))
    reads: list[asyncio.Task[None]] = []

    async def read(keys: set[str]) -> None:
        found = await reader.newest_of("p", sorted(keys))
        # Nothing ran since it returned: both speak of the same moment.
        expected = {k: r for k in keys if (r := table.newest(k, model.sequence)) is not None}
        assert found == expected

    for step, argument in steps:
        if step == "commit":
            table.commit(argument)
        elif step == "follow":
            news = table.revisions[model.sequence :][:argument]
            model.advance(news, (), news[-1].position if news else model.position)
        elif step == "ask":
            reads.append(asyncio.create_task(read(argument)))
        elif step == "answer" and argument < len(table.asked):
            table.asked[argument].set()
        elif step == "warm":
            snapshot = len(table.revisions)
            newest = [r for k in KEYS if (r := table.newest(k, snapshot)) is not None]
            if model.warm(newest) and snapshot <= model.sequence:
                model.warmed()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        _check(model, table)
    while not all(task.done() for task in reads):
        for answered in table.asked:
            answered.set()
        await asyncio.sleep(0)
    await asyncio.gather(*reads)


def _check(model: ReadModel, table: Table) -> None:
    held = model.project("p")
    assert model.bytes == sum(revision.bytes for revision in held.values())
    assert model.bytes <= ROOM * (REVISION_BYTES + 2)
    for key in KEYS:
        newest = table.newest(key, model.sequence)
        assert held.get(key) in ((newest,) if model.complete else (newest, None))
