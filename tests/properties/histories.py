"""Logs as hypothesis strategies: change sets that race, repeat, or touch what is gone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from consensus.log import Entry, EntryKind
from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import ConfigEvent, config_id, content_event, deleted_event

HELD_PROJECTS = ("p1", "p2")
PROJECTS = (*HELD_PROJECTS, "gone")
HELD_USERS = ("u1",)
USERS = (*HELD_USERS, "gone", None)
KEYS = ("a", "b", "c.d")
CONTENTS: st.SearchStrategy[Any] = st.sampled_from(
    [0, None, False, -0.0, 1e22, "é\u2028", [], {"": {"_type_": [1.0]}}]
)
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Log:
    """Entries in order; positions grow, with gaps."""

    entries: tuple[Entry, ...]

    def batches(self, cuts: list[int]) -> list[tuple[Entry, ...]]:
        """The entries, cut behind each of these indexes."""
        bounds = sorted({0, len(self.entries), *(cut % (len(self.entries) + 1) for cut in cuts)})
        return [self.entries[a:b] for a, b in itertools.pairwise(bounds)]


@st.composite
def events(draw: st.DrawFn, project_id: str, likely: dict[str, int]) -> ConfigEvent:
    """An event whose version is the right one, or nearly."""
    key = draw(st.sampled_from(KEYS))
    originator_id = config_id(project_id, key)
    current = max(0, likely.get(originator_id, 0) + draw(st.sampled_from([0, 0, 0, 0, 0, -1, 1])))
    user = draw(st.sampled_from(USERS))
    common: dict[str, Any] = {
        "timestamp": START,
        "actor": {"user_id": user, "email": f"{user}@example.org"} if user else {"key_id": "k"},
        "comment": draw(st.sampled_from([None, "why"])),
    }
    likely[originator_id] = current + 1
    if current > 0 and draw(st.integers(0, 4)) == 0:
        return deleted_event(originator_id, current, **common)
    return content_event(
        originator_id,
        current,
        draw(st.booleans()),
        content=draw(CONTENTS),
        schema_id=draw(st.sampled_from([None, None, "no-such-schema"])),
        schema_version=None,
        **common,
    )


@st.composite
def logs(draw: st.DrawFn, max_entries: int = 25) -> Log:
    """A log as the engine may hold it."""
    entries: list[Entry] = []
    likely: dict[str, int] = {}
    position, time = 0, START
    for number in range(draw(st.integers(1, max_entries))):
        position += draw(st.sampled_from([1, 1, 1, 2, 7]))
        # Clocks of leaders differ: the log's time may run backwards.
        time += timedelta(microseconds=draw(st.sampled_from([0, 1, 1500, -3_000_000, 60_000_000])))
        kind = draw(st.integers(0, 9))
        if kind == 0:
            entries.append(Entry(position, EntryKind.BARRIER, b"", time))
        elif kind == 1 and entries:
            again = draw(st.sampled_from(entries))
            entries.append(Entry(position, again.kind, again.data, time))
        else:
            project = draw(st.sampled_from(PROJECTS))
            count = draw(st.sampled_from([1, 1, 1, 2, 3]))
            made = [encode_event(draw(events(project, likely))) for _ in range(count)]
            data = encode_change_set(ChangeSet(f"change-{number}", project, tuple(made)))
            entries.append(Entry(position, EntryKind.CHANGE, data, time))
    return Log(tuple(entries))
