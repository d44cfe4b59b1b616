"""What is asked of contents by containment (PostgreSQL's `@>`), made as cheap as it can be.

Containment asks of each element of an array whether some element of the content's array holds
it. So repeats say nothing, and the work grows with the product of both arrays.
"""

from __future__ import annotations

from typing import Any

import orjson


def without_repeats(value: Any) -> Any:
    """`value` with every element that an array holds already left out, at every depth.

    Contained in the same documents. Elements are the same if their texts are, whatever the order
    of names: so 1 and true stay apart, and 1 and 1.0 both stay, which costs one comparison.
    """
    if isinstance(value, dict):
        return {name: without_repeats(child) for name, child in value.items()}
    if isinstance(value, list):
        kept = {_text(child): child for child in map(without_repeats, value)}
        return list(kept.values())
    return value


def count_elements(value: Any) -> int:
    """How many elements the arrays in `value` have, at every depth together."""
    if isinstance(value, dict):
        return sum(map(count_elements, value.values()))
    if isinstance(value, list):
        return len(value) + sum(map(count_elements, value))
    return 0


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
