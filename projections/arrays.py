"""Rows as PostgreSQL's `unnest` takes them: many rows in one statement, one array for a column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def arrays(rows: Sequence[Sequence[Any]], columns: int) -> list[list[Any]]:
    """`columns` arrays, each as long as there are rows."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(columns)]


def numbered_from(first: int, sql: str) -> str:
    """The statement with its arguments numbered from `first` on instead of 1, so that it can be
    a part of a larger one."""
    return re.sub(r"\$(\d+)", lambda match: f"${int(match[1]) + first - 1}", sql)
