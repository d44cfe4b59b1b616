"""Who made a change is told from the event's first bytes, and never from what its content says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from projections.recorded import keyed_from_row

BEFORE = b'{"timestamp":"2026-01-01T12:00:00Z",'


class Row(tuple[Any, ...]):
    """A row of `LINE_COLUMNS` and `KEYED`, read by place and by name."""

    def __getitem__(self, place: Any) -> Any:
        return super().__getitem__(-1 if place == "made_by" else place)


def made_by(head: bytes | None) -> tuple[str | None, str | None]:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    config = (1, 1, "c", 0, "p", "k", 1, "config:created", None, None, None, None)
    revision = keyed_from_row(Row((*config, None, None, noon, b"", head)))
    return revision.key_id, revision.key_name


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (BEFORE + b'"actor":{"key_id":"i","key_name":"n"},"content":"\xc3', ("i", "n")),
        (BEFORE + b'"actor":{"key_id":"i"},"comment":null', ("i", None)),
        (BEFORE + b'"actor":{"user_id":"u","email":"e"},"content":{"key_id":"i"}}', (None, None)),
        (BEFORE + b'"content":{"timestamp":"","actor":{"key_id":"i"}}}', (None, None)),
        (b'{"content":{"timestamp":"","actor":{"key_id":"i"}}}', (None, None)),
        (b'{"content":' + BEFORE + b'"actor":{"key_id":"i"}}}', (None, None)),
        (BEFORE + b'"actor":{"key_id":"i","key_na', (None, None)),
        (BEFORE + b'"actor":["key_id","key_name"]}', (None, None)),
        (BEFORE + b'"actor":{"key_id":1,"key_name":null}}', (None, None)),
        (None, (None, None)),
    ],
)
def test_the_key_is_told_from_the_actor_alone(
    head: bytes | None, expected: tuple[str | None, str | None]
) -> None:
    assert made_by(head) == expected
