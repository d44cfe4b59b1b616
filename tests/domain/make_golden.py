"""Writes golden entries that are not there yet: `python -m tests.domain.make_golden`.

Must never overwrite one: what a release wrote is frozen.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from domain.change_set import ChangeSet, encode_change_set
from domain.codec import encode_event
from domain.config import ConfigEvent, config_id, content_event, deleted_event
from tests.domain.test_codec import GOLDEN, meaning_of

PROJECT = "01890000-0000-7000-8000-000000000001"
ODD: Any = {
    "": [None, True, False, -0.0, 1.0, 1e22, 5e-324, 9223372036854775807, -9223372036854775808],
    "_type_": "datetime_iso",
    "a/b~c": {"é": "e\u0301", "\U0001f600": '\u2028\u2029\x01\x7f"\\'},
    "order": {"z": 1, "a": 2},
}
USER = {"user_id": "01890000-0000-7000-8000-000000000002", "email": "ada@example.org"}
KEY = {"key_id": "01890000-0000-7000-8000-000000000003", "key_name": "pipeline"}


def _write(key: str, version: int, content: Any, **changes: Any) -> ConfigEvent:
    fields: dict[str, Any] = {
        "current_deleted": False,
        "content": content,
        "schema_id": None,
        "schema_version": None,
        "timestamp": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "actor": USER,
        "comment": None,
    }
    return content_event(config_id(PROJECT, key), version, **fields | changes)


def _delete(key: str, version: int, comment: str | None) -> ConfigEvent:
    return deleted_event(
        config_id(PROJECT, key),
        version,
        timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        actor=KEY,
        comment=comment,
    )


ENTRIES: dict[str, list[ConfigEvent]] = {
    "v1-created": [
        _write("payments.limits.eu", 0, ODD, schema_id="s1", schema_version=3, comment="first")
    ],
    "v1-updated": [_write("a", 1, "text", actor=KEY, comment='line\nbreak "quoted" \u2028 é')],
    "v1-restored": [_write("a", 3, None, current_deleted=True)],
    "v1-rolled-back": [_write("a", 4, ODD, to_version=1, actor={})],
    "v1-deleted": [_delete("a", 2, None)],
    "v1-change-set": [
        _write("a", 0, []),
        _write("b-_B.9", 1, {}),
        _write("c", 7, 0.1, to_version=2),
        _delete("d", 1, "gone"),
        _write("e", 2, False, current_deleted=True, schema_id="s2", schema_version=1),
    ],
}


def main() -> None:
    """Write what is missing."""
    GOLDEN.mkdir(exist_ok=True)
    for name, events in ENTRIES.items():
        path = GOLDEN / f"{name}.entry"
        if not path.exists():
            change_set = ChangeSet(f"change-{name}", PROJECT, tuple(map(encode_event, events)))
            path.write_bytes(encode_change_set(change_set))
            text = json.dumps(meaning_of(change_set), indent=2, ensure_ascii=False)
            path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
