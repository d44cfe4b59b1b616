"""Goal: what the documents say is shown by a test is shown by a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("document", ["SECURITY.md", "DEPLOYMENT.md"])
def test_every_test_that_is_named_exists(document: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    named = NAMED.findall(text)
    assert named
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file()
        or (name and not re.search(rf"def {name}\(", (ROOT / file).read_text(encoding="utf-8")))
    ]
    assert missing == []
