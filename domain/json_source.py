"""Where a member of a JSON document stands in its text.

For what must come back exactly as it was given (a schema): parsing and writing again would
change white space and the way numbers are written.
"""

from __future__ import annotations

import json
import re

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def member_span(document: str, name: str) -> tuple[int, int] | None:
    """First and last character (exclusive) of the value under `name` in a JSON object.

    None if it has no such member, or is no object. `document` was parsed before: nothing is
    checked here.
    """
    at = _skip(document, 0)
    if document[at] != "{":
        return None
    at = _skip(document, at + 1)
    while document[at] != "}":
        if document[at] == ",":
            at = _skip(document, at + 1)
        member, at = _DECODER.raw_decode(document, at)
        start = _skip(document, _skip(document, at) + 1)
        _, end = _DECODER.raw_decode(document, start)
        if member == name:
            return start, end
        at = _skip(document, end)
    return None


def _skip(document: str, at: int) -> int:
    found = _SPACE.match(document, at)
    assert found is not None
    return found.end()
